"""Recipes whose samples come from a server: the same training as in this process, its report, and what is refused first."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.calling import trueline
from tests.contract_server import contract_server
from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.models import remote_http
from trueline.models.remote_http import RemoteError
from trueline.models.tokens import word_tokenizer
from trueline.recipes.sampling import told
from trueline.train.loop import InvariantError

SMALL = ("iterations=4", "batch=4", "group=4", "max_tokens=6")
FAST = ("optim.lr=1e-2", "optim.muon=0.02", "optim.warmup=0")


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    return toys.model(tmp_path_factory.mktemp("start"))


@pytest.fixture(scope="module")
def server(start):
    with contract_server(start) as url:
        yield url


def words(tmp_path, start, *more):
    """Many prompts, so that none comes twice in a rollout: a server draws on where this process would draw anew."""
    rows = [{"prompt": f"{a} {b} {c} {d}"} for a in "abcdef" for b in "ghijkl" for c in "mnop" for d in "qrst"]
    asked = toys.rows(tmp_path / "many.jsonl", rows)
    return (f"start={start}", f"prompts={asked}", "reward=rule:contains=a,ends", *SMALL, *FAST, *more)


def test_a_server_changes_where_samples_come_from_and_nothing_else(tmp_path, start, server):
    """Metrics and weights are those of a run that samples here, up to rounding; the pushed weights go with the stage."""
    here, _ = toys.run(tmp_path / "here", "grpo", *words(tmp_path, start, "mismatch=token"))
    there, _ = toys.run(tmp_path / "there", "grpo", *words(tmp_path, start, f"sampler.server={server}"))
    alone, served = rows_of(here, "grpo"), rows_of(there, "grpo")
    for a, b in zip(alone, served, strict=True):
        same = [n for n in a if not n.startswith("seconds")]
        assert {n: b[n] for n in same} == pytest.approx({n: a[n] for n in same}, abs=1e-3)
    one, other = (load_file(f / "stages/grpo/model/model.safetensors") for f in (here, there))
    begun = load_file(Path(start) / "model.safetensors")
    apart, moved = (max(float((other[n] - w[n]).abs().max()) for n in other) for w in (one, begun))
    assert apart < 0.02 * moved
    assert not list(there.rglob("weights-*"))


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        ("grpo", ("mismatch=sequence", "minibatches=2")),
        ("grpo", ("estimator=remax", "refills=1")),
        ("rloo", ("kl=0.05",)),
        ("ppo", ()),
        ("ppo_lagrangian", ("cost=rule:contains=b",)),
        ("online_dpo", ()),
    ],
)
def test_every_recipe_of_rollouts_runs_one_step_off(tmp_path, start, server, recipe, more):
    """Samples are one rollout old after the first, and the distance to the sampler is in the log and in the result."""
    folder, _ = toys.run(
        tmp_path / "run", recipe, *words(tmp_path, start, f"sampler.server={server}", "sampler.staleness=1", *more),
        "sampler.mismatch_most=2",
    )  # fmt: skip
    rows, result = rows_of(folder, recipe), result_of(folder, recipe)
    firsts = [r for r in rows if "seconds_pushing" in r]
    assert firsts[0]["staleness"] == 0
    assert all(0 < r["staleness"] <= 1 and ("refills=1" in more or r["staleness"] == 1) for r in firsts[1:])
    assert abs(firsts[0]["mismatch_kl"]) < 1e-5
    assert max(r["mismatch_kl"] for r in firsts[1:]) > 1e-4
    assert result["mismatch_kl"] == pytest.approx(sum(r["mismatch_kl"] for r in rows) / len(rows))
    assert {"staleness", "probe_gap"} <= result.keys()
    assert ("mismatch_cut" in result) == (recipe != "online_dpo")
    assert "pushing" in result["phases"]


def test_weights_are_left_where_both_see_them(tmp_path, start, server):
    """`folder` holds a folder of each stage while it runs, under the path that `seen_as` says, and nothing afterwards."""
    (tmp_path / "seen").symlink_to(tmp_path / "left")
    where = (f"sampler.folder={tmp_path / 'left'}", f"sampler.seen_as={tmp_path / 'seen'}")
    toys.run(tmp_path / "run", "grpo", *words(tmp_path, start, f"sampler.server={server}", *where, "iterations=2"))
    assert (tmp_path / "left").is_dir()
    assert not list((tmp_path / "left").iterdir())
    with pytest.raises(RemoteError, match=r"could it not read /nowhere/.*-grpo/weights-00000000\?"):
        toys.run(
            tmp_path / "lost",
            "grpo",
            *words(tmp_path, start, f"sampler.server={server}", where[0], "sampler.seen_as=/nowhere/"),
        )


def test_importance_weights_are_the_default_and_can_be_left_out(tmp_path, start, server):
    """`auto` weighs by token for a server and not at all here; `none` still tells how far the sampler is."""
    plain, _ = toys.run(tmp_path / "plain", "grpo", *words(tmp_path, start, "iterations=1"))
    left, _ = toys.run(
        tmp_path / "left", "grpo", *words(tmp_path, start, "iterations=1", f"sampler.server={server}", "mismatch=none")
    )
    assert not {"mismatch_kl", "mismatch_cut", "staleness"} & rows_of(plain, "grpo")[0].keys()
    assert told(rows_of(plain, "grpo")) == {}
    assert {"mismatch_kl", "staleness"} <= rows_of(left, "grpo")[0].keys()
    assert "mismatch_cut" not in rows_of(left, "grpo")[0]


def test_a_sampler_too_far_off_ends_the_run(tmp_path, start, server):
    """The bound on mismatch_kl holds before the update, and the error says what to change."""
    most = (f"sampler.server={server}", "sampler.staleness=1", "sampler.mismatch_most=1e-9")
    with pytest.raises(InvariantError, match=r"mismatch_kl is .* raise sampler\.mismatch_most"):
        toys.run(tmp_path / "run", "grpo", *words(tmp_path, start, *most))


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("sampler.staleness=2", "expected 0 or 1"),
        ("sampler.parallel=0", "parallel must be at least 1"),
        ("sampler.probe=0", "probe and mismatch_most above 0"),
        ("sampler.server=localhost:8000", "expected an address such as"),
        ("sampler.staleness=1", "name the server in sampler.server"),
        ("sampler.sever=x", "server"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path, start, word, message):
    """Each with what was expected."""
    with pytest.raises((ConfigError, RemoteError), match=message):
        toys.run(tmp_path / "run", "grpo", *words(tmp_path, start, word))


def test_a_wrong_server_is_refused_before_work_starts(tmp_path, start, server, monkeypatch):
    """Nobody there, another vocabulary, a context too short: said before the run's folder is made."""
    monkeypatch.setattr(remote_http, "PAUSES", ())
    other = tmp_path / "other"
    policy = toys.tiny(word_tokenizer(("<pad>", "<bos>", "<eos>", *"zyxwv")), width=16, layers=1, heads=2, context=160)
    policy.save(other)
    for recipe in ("grpo", "online_dpo"):
        for more, message in (
            (("sampler.server=http://127.0.0.1:9",), "no server of samples"),
            ((f"sampler.server={server}", f"start={other}"), "reads text otherwise"),
            ((f"sampler.server={server}", "max_tokens=400"), "context of 128 tokens"),
        ):
            with pytest.raises(RemoteError, match=message):
                toys.run(tmp_path / "run", recipe, *words(tmp_path, start, *more))
            assert not (tmp_path / "run" / "stages").exists()
    done = trueline("run", "grpo", *words(tmp_path, start, "sampler.server=http://127.0.0.1:9"), "--out", tmp_path / "cli")
    assert done.code == 2
    assert "no server of samples at http://127.0.0.1:9" in done.err


def test_an_adapter_is_trained_on_a_servers_samples(tmp_path, start, server):
    """With LoRA the server gets the merged weights at every push: the probe of each passes, and the reward's log goes on."""
    pytest.importorskip("peft", reason="adapters need the extra `lora`")
    ahead = (f"sampler.server={server}", "sampler.staleness=1", "sampler.mismatch_most=2")
    folder, _ = toys.run(tmp_path / "run", "grpo", *words(tmp_path, start, *ahead, "adapter.rank=2", "optim.muon=0"))
    rows = rows_of(folder, "grpo")
    assert len(rows) == 4
    assert max(r["probe_gap"] for r in rows) < 1e-4
    assert any(r["mismatch_kl"] != 0 for r in rows[1:])


SCRIPT = """
import json, os, signal, sys
import torch
torch.set_num_threads(1)
from pathlib import Path
from trueline.recipes import running
folder, at, words = sys.argv[1], int(sys.argv[2]), json.loads(sys.argv[3])
def track(stage, step, metrics):
    if step == at:
        os.kill(os.getpid(), signal.SIGKILL)
running.carry_out(running.order(words[0], words[1:]), Path(folder), track=track, save_every=0)
"""


@pytest.mark.slow
@pytest.mark.parametrize("staleness", [0, 1])
def test_a_killed_run_goes_on_with_the_rollout_that_was_on_its_way(tmp_path, start, server, staleness):
    """SIGKILL after a step, and the same command: weights, metrics and samples to the bit, as if nothing had happened."""
    asked = words(
        tmp_path, start, "iterations=8", f"sampler.server={server}", f"sampler.staleness={staleness}", "sampler.mismatch_most=2"
    )

    def run(folder, at):
        command = [sys.executable, "-c", SCRIPT, str(folder), str(at), json.dumps(["grpo", *asked])]
        return subprocess.run(command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, check=False).returncode

    def left(folder):
        rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
        metrics = [{k: v for k, v in row.items() if not k.startswith("seconds") and k != "probe_gap"} for row in rows]
        return load_file(folder / "stages/grpo/model/model.safetensors"), metrics, (folder / "samples.jsonl").read_text()

    assert run(tmp_path / "straight", 0) == 0
    model, metrics, samples = left(tmp_path / "straight")
    assert run(tmp_path / "killed", 5) == -signal.SIGKILL
    assert run(tmp_path / "killed", 0) == 0
    again, logged, said = left(tmp_path / "killed")
    assert logged == metrics
    assert said == samples
    assert all(torch.equal(again[n], model[n]) for n in model)

"""SIGTERM to a run: exit code 143, a checkpoint of the step under way, and the same command goes on to the same bits.

pytest tests/test_cli_preemption.py
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from tests.recipes.test_interruption import interpreter, left, orders
from trueline.models.checkpoint import latest_checkpoint

pytestmark = pytest.mark.slow

# One process that has imported everything forks a child for every run, in a process group of its own. The child tells itself,
# or the whole group with its helpers, after the metrics of a step are logged and before a checkpoint can be written.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import torch, torch._dynamo
from trueline.cli import main
from trueline.core import stopping
from trueline.models.policy import Policy
from trueline.recipes import running
from trueline.recipes.studio import Studio
from trueline.store.runs import RunDirectory
os.fsync = lambda _: None

def itself():
    os.kill(os.getpid(), signal.SIGTERM)

def group():
    os.killpg(0, signal.SIGTERM)

def run(folder, words, threads, at=0, told=()):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.setsid()
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(os.open(folder + ".err", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644), 2)
    log, remember = RunDirectory.log, Studio._remember

    def logged(self, step, values, stage=""):
        log(self, step, values, stage)
        for who in told if step == at else ():
            {"itself": itself, "the group": group}[who]()

    def remembered(self, stage):
        if at < 0:
            itself()
        return remember(self, stage)

    RunDirectory.log, Studio._remember = logged, remembered
    if list(told) == ["itself"] * 2:
        stopping.ONE_NOTICE = 0
    try:
        main(["run", *words, "--out", folder, "--threads", str(threads)])
    except SystemExit as end:
        os._exit(end.code or 0)

root = Path(sys.argv[1])
running.recipes(), Policy.load(root / "model")
for case in json.loads(sys.stdin.read()):
    ended = run(**case)
    saved = [int(path.stem[5:]) for path in Path(case["folder"]).glob("stages/*/checkpoint/step-*")]
    print(json.dumps({"ended": ended, "said": Path(case["folder"] + ".err").read_text(), "saved": saved}), flush=True)
"""
TOLD = {  # recipe, threads, after which step, who is told, and the steps that are saved then
    "one process": ("sft", 1, 3, ["itself"], [3]),
    "the last step": ("sft", 1, 14, ["itself"], [14]),
    "the group, helpers too": ("sft", 2, 3, ["the group"], [3]),
    "a launcher says it again": ("sft", 2, 3, ["the group", "itself", "the group"], [3]),
    "amid the passes of PPO": ("ppo", 1, 5, ["itself"], [6]),
    "amid the passes of PPO, helpers too": ("ppo", 2, 5, ["the group"], [6]),
    "twice": ("sft", 1, 3, ["itself", "itself"], []),
    "between stages": ("sft", 1, -1, ["itself"], []),
}


@pytest.fixture(scope="module")
def ends(tmp_path_factory):
    """Every run, made once: how it ended, what it said, which steps were saved; those of TOLD twice, told and again."""
    root = tmp_path_factory.mktemp("told")
    words = orders(root)
    cases = []
    for name, (recipe, threads, at, told, _) in TOLD.items():
        one = {"folder": str(root / name), "words": words[recipe], "threads": threads}
        cases += [{**one, "at": at, "told": told}, one]
    cases += [{"folder": str(root / f"{r}{n}"), "words": words[r], "threads": n} for r in ("sft", "ppo") for n in (1, 2)]
    done = interpreter(SCRIPT, str(root), input=json.dumps(cases))
    assert done.returncode == 0, done.stderr[-2000:]
    found = list(map(json.loads, done.stdout.splitlines()))
    assert [one["ended"] for one in found[2 * len(TOLD) :]] == [0] * 4
    return root, {name: (found[2 * i], found[2 * i + 1]) for i, name in enumerate(TOLD)}


@pytest.mark.parametrize("name", TOLD)
def test_a_run_that_is_told_to_end_goes_on_to_the_same_bits(ends, name):
    """Whoever is told, and when: exit 143, the step saved, and the same command ends as a run that was let alone."""
    root, (told, again) = ends[0], ends[1][name]
    recipe, threads, *_, saved = TOLD[name]
    assert (told["ended"], told["saved"]) == (143, saved), told["said"]
    assert again["ended"] == 0, again["said"]
    ours, straight = left(root / name, recipe), left(root / f"{recipe}{threads}", recipe)
    assert all(torch.equal(ours[0][key], straight[0][key]) for key in straight[0])
    assert ours[1:] == straight[1:]
    assert not list((root / name).rglob("*.tmp"))


@pytest.mark.parametrize("name", TOLD)
def test_the_last_line_says_what_is_kept_and_how_to_go_on(ends, name):
    """One line on standard error: which step is saved and where, or that what was done is kept; and what to do."""
    told, again = ends[1][name]
    *before, line = told["said"].splitlines()
    assert line.startswith("error: stopped by SIGTERM: ")
    assert line.endswith("; run the same command again and it goes on")
    kept = "second SIGTERM" if name == "twice" else "what was done is kept"
    for step in TOLD[name][-1]:
        kept = f": step {step} of 14 is saved in "
    assert kept in line
    waited = [said for said in before if "cannot be taken up at step 5 of 14" in said]
    assert len(waited) == name.startswith("amid")
    assert "goes on where it stopped" in again["said"] or name == "between stages"


def test_a_stage_that_was_done_is_not_done_again(ends):
    """SIGTERM between two stages costs nothing but the next one's start."""
    assert "sft: unchanged, not run again" in ends[1]["between stages"][1]["said"]


def test_a_scheduler_ends_a_command(tmp_path):
    """SIGTERM from outside to `trueline run` and all its processes: exit 143, a whole checkpoint, and none is left behind."""
    words = [*orders(tmp_path)["sft"], "epochs=500", "--threads", "2", "--quiet", "--json", "--out", str(tmp_path / "run")]
    log = tmp_path / "run" / "metrics.jsonl"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-m", "trueline", "run", *words], start_new_session=True, **pipes)
    try:
        while not log.exists() or log.read_bytes().count(b"\n") < 3:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGTERM)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    saved = latest_checkpoint(tmp_path / "run" / "stages" / "sft" / "checkpoint")
    assert (process.returncode, out, err.count("\n")) == (143, "", 1)
    assert f"step {saved.step} of " in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)

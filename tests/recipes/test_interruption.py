"""Kill -9 in the middle of any stage, and the same command goes on to the same weights, metrics and samples, to the bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tests.recipes import toys

pytestmark = pytest.mark.slow

# One process that has imported everything forks a child for every run: a killed one and the one that goes on after it.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
from random import Random
import torch
import torch._dynamo  # the first backward pass imports it, and each child would anew
torch.set_num_threads(1)
from trueline.models import checkpoint
from trueline.models.policy import Policy
from trueline.recipes import running
running.write = running.record = lambda *_: None  # the page and the database come after the stage
os.fsync = lambda _: None  # what a killed process wrote, the kernel keeps

def run(folder, words, at=0, moment=""):
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1]
    write, written = checkpoint.save, []
    def track(stage, step, metrics):
        if step == at and moment == "after a step":
            os.kill(os.getpid(), signal.SIGKILL)
    def save(*arguments, **options):
        written.append(1)
        if len(written) == at and moment == "in a checkpoint":
            os.kill(os.getpid(), signal.SIGKILL)
        return write(*arguments, **options)
    checkpoint.save = save
    try:
        running.carry_out(running.order(words[0], words[1:]), Path(folder), track=track, save_every=0)
    except BaseException as error:
        print(error, file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)

root = Path(sys.argv[1])
running.recipes(), Policy.load(root / "model")  # what the first use imports
for name, (points, words) in json.loads(sys.stdin.read()).items():
    straight = root / name / "straight"
    assert run(straight, words) == 0, name
    steps = max(json.loads(line)["step"] for line in (straight / "metrics.jsonl").open())
    saves = steps // 2 if name == "ppo" else steps  # PPO's two passes over a rollout are taken up together
    rng = Random(f"kill/{name}")
    for point in range(points):
        moment = rng.choice(["after a step", "in a checkpoint"])
        at = rng.randint(1, steps if moment == "after a step" else saves)
        folder = root / name / f"{point}"
        killed = run(folder, words, at, moment)
        again = run(folder, words)
        print(json.dumps({"name": name, "folder": str(folder), "at": at, "moment": moment, "killed": killed, "again": again}))
"""
HALVES = (("sft", "dpo", "pretrain"), ("grpo", "ppo", "reward"))  # each in an interpreter of its own, side by side
POINTS = {"sft": 10, "dpo": 10, "grpo": 10, "ppo": 10, "pretrain": 2, "reward": 2}


def orders(tmp_path):
    start = f"start={toys.model(tmp_path)}"
    pairs, asked = f"data={toys.preferences(tmp_path)}", f"prompts={toys.prompts(tmp_path)}"
    rl = (start, "reward=rule:contains=a,ends", asked, "batch=4", "group=4", "max_tokens=6")
    text = tmp_path / "text.txt"
    text.write_text("a b c d e f g h " * 200)
    return {
        "pretrain": ("pretrain", start, f"text={text}", "stream=true", "tokens=2000", "batch=256", "row=32", "long_row=64"),
        "sft": ("sft", start, f"data={toys.conversations(tmp_path)}", "batch=96", "epochs=2"),
        "reward": ("reward", start, pairs, "groups=8", "epochs=1"),
        "dpo": ("dpo", start, pairs, "groups=8", "epochs=2"),
        "grpo": ("grpo", *rl, "iterations=12"),
        "ppo": ("ppo", *rl, "iterations=7"),
    }


def interpreter(*arguments, **options):
    """A Python of its own with one thread: bit-identity holds for a fixed number of threads."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run([sys.executable, "-c", *arguments], capture_output=True, text=True, check=False, env=env, **options)


@pytest.fixture(scope="module")
def kills(tmp_path_factory):
    """Every kill, made once: where, when, and how it ended."""
    root = tmp_path_factory.mktemp("kills")
    asked = {name: (POINTS[name], words) for name, words in orders(root).items()}
    halves = [{name: asked[name] for name in names} for names in HALVES]
    with ThreadPoolExecutor(len(halves)) as pool:
        made = list(pool.map(lambda half: interpreter(SCRIPT, str(root), input=json.dumps(half)), halves))
    assert [done.returncode for done in made] == [0] * len(halves), [done.stderr[-2000:] for done in made]
    return [json.loads(line) for done in made for line in done.stdout.splitlines()]


def left(folder, name):
    """What a run leaves, without what a clock says: weights, metrics, samples."""
    model = load_file(folder / f"stages/{name}/model/model.safetensors")
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    metrics = [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in rows]
    samples = folder / "samples.jsonl"
    return model, metrics, samples.read_text() if samples.exists() else ""


@pytest.mark.parametrize("name", list(POINTS))
def test_a_killed_stage_ends_as_if_it_had_not_been(kills, name):
    """Killed with SIGKILL at random steps, or while a checkpoint is written, and started again: the same run to the bit."""
    mine = [kill for kill in kills if kill["name"] == name]
    assert len(mine) == POINTS[name]
    model, metrics, samples = left(Path(mine[0]["folder"]).with_name("straight"), name)
    assert bool(samples) == (name in ("grpo", "ppo"))
    for kill in mine:
        where = f"{kill['moment']} {kill['at']}"
        assert os.WIFSIGNALED(kill["killed"]), where
        assert os.WTERMSIG(kill["killed"]) == signal.SIGKILL, where
        assert kill["again"] == 0, where
        ours, rows, seen = left(Path(kill["folder"]), name)
        assert ours.keys() == model.keys(), where
        assert all(torch.equal(ours[key], model[key]) for key in ours), where
        assert rows == metrics, where
        assert seen == samples, where


@pytest.mark.parametrize("harm", ["cut short", "changed"])
def test_a_torn_checkpoint_is_passed_over(tmp_path, harm):
    """Where the newest checkpoint is half a file, or not what its hash says, the one before it is taken: the same end."""
    words = orders(tmp_path)["dpo"]
    before = torch.get_num_threads()
    torch.set_num_threads(1)

    def stop(stage, step, metrics):
        if step == 6:
            raise KeyboardInterrupt

    try:
        toys.run(tmp_path / "straight", *words, save_every=0)
        with pytest.raises(KeyboardInterrupt):
            toys.run(tmp_path / "torn", *words, track=stop, save_every=0)
        kept = sorted((tmp_path / "torn/stages/dpo/checkpoint").glob("step-*.safetensors"))
        assert [path.stem for path in kept] == ["step-00000004", "step-00000005"]
        data = bytearray(kept[-1].read_bytes())
        if harm == "changed":
            data[-1] ^= 1
        kept[-1].write_bytes(data if harm == "changed" else data[: len(data) // 2])
        first = []
        toys.run(tmp_path / "torn", *words, save_every=0, track=lambda stage, step, metrics: first.append(step))
    finally:
        torch.set_num_threads(before)
    assert first[0] == 5
    straight, torn = (left(tmp_path / run, "dpo") for run in ("straight", "torn"))
    assert all(torch.equal(straight[0][key], torn[0][key]) for key in straight[0])
    assert straight[1:] == torn[1:]


def test_an_interrupt_leaves_a_run_that_goes_on(tmp_path):
    """Ctrl-C in the middle, then the same command: done, with nothing twice in the metrics."""
    words = orders(tmp_path)["sft"]

    def stop(stage, step, metrics):
        if step == 3:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        toys.run(tmp_path / "run", *words, track=stop, save_every=0)
    toys.run(tmp_path / "run", *words, save_every=0)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert steps == sorted(set(steps))

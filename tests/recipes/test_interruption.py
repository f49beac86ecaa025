"""Kill -9 in the middle of any stage, and the same command goes on to the same end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from tests.recipes import toys

SCRIPT = """
import os, signal, sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from trueline.recipes.running import carry_out, order

signal_number, at, folder, *words = sys.argv[1:]

def track(stage, step, metrics):
    if step == int(at):
        os.kill(os.getpid(), int(signal_number))

carry_out(order(words[0], words[1:]), Path(folder), track=track, save_every=0)
"""


@pytest.fixture(autouse=True)
def one_thread():
    """Bit-identity holds for a fixed number of threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def cut_off(by, at, folder, words):
    """Run in a process of its own that is sent a signal at a step; return how it ended."""
    command = [sys.executable, "-c", SCRIPT, str(int(by)), str(at), str(folder), *words]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "OMP_NUM_THREADS": "1"}
    ).returncode


def orders(tmp_path):
    start = f"start={toys.model(tmp_path)}"
    pairs, asked = f"data={toys.preferences(tmp_path)}", f"prompts={toys.prompts(tmp_path)}"
    rl = (start, "reward=rule:contains=a,ends", asked, "iterations=5", "batch=4", "group=4", "max_tokens=6")
    text = tmp_path / "text.txt"
    text.write_text("a b c d e f g h " * 200)
    return {
        "pretrain": ("pretrain", start, f"text={text}", "stream=true", "tokens=2000", "batch=256", "row=32", "long_row=64"),
        "sft": ("sft", start, f"data={toys.conversations(tmp_path)}", "batch=96"),
        "reward": ("reward", start, pairs, "groups=8", "epochs=1"),
        "dpo": ("dpo", start, pairs, "groups=8", "epochs=1"),
        "grpo": ("grpo", *rl),
        "ppo": ("ppo", *rl),
    }


@pytest.mark.parametrize("name", ["pretrain", "sft", "reward", "dpo", "grpo", "ppo"])
def test_a_killed_stage_ends_as_if_it_had_not_been(tmp_path, name):
    """Killed with SIGKILL at its fourth step and started again: the same weights to the bit, and the same metrics."""
    words = orders(tmp_path)[name]
    toys.run(tmp_path / "straight", *words, save_every=0)
    assert cut_off(signal.SIGKILL, 4, tmp_path / "killed", words) == -signal.SIGKILL
    toys.run(tmp_path / "killed", *words, save_every=0)
    ours, theirs = (load_file(tmp_path / run / f"stages/{name}/model/model.safetensors") for run in ("straight", "killed"))
    assert ours.keys() == theirs.keys()
    assert all((ours[key] == theirs[key]).all() for key in ours)
    timed = ("seconds",)
    logs = [
        [{k: v for k, v in json.loads(line).items() if k not in timed} for line in (tmp_path / run / "metrics.jsonl").open()]
        for run in ("straight", "killed")
    ]
    assert logs[0] == logs[1]


def test_an_interrupt_leaves_a_run_that_goes_on(tmp_path):
    """Ctrl-C in the middle, then the same command: done, with nothing twice in the metrics."""
    words = orders(tmp_path)["sft"]
    assert cut_off(signal.SIGINT, 3, tmp_path / "run", words) != 0
    toys.run(tmp_path / "run", *words, save_every=0)
    steps = [json.loads(line)["step"] for line in (tmp_path / "run" / "metrics.jsonl").open()]
    assert steps == sorted(set(steps))

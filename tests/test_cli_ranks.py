"""`trueline run` under torchrun, `accelerate launch` or srun: the same run, by processes that share the weights.

pytest tests/test_cli_ranks.py
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tests.calling import trueline
from tests.ranks import free_port
from tests.recipes import toys

pytestmark = pytest.mark.slow
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}


@pytest.fixture
def words(monkeypatch, tmp_path):
    """A short fine-tuning run."""
    monkeypatch.chdir(tmp_path)
    start, data = f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}"
    return ["run", "sft", start, data, "batch=96", "held_out=0.2", "optim.muon=0", "--threads", "1", "--quiet"]


def curve(folder):
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [json.loads(line)["loss"] for line in lines if "loss" in json.loads(line)]


def launched(launcher, words, out, timeout=240):
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "trueline", *words, "--out", out],
        env=ENVIRONMENT, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def ranks(words, out, size=2):
    """Processes as srun starts them: each a command of its own, with its place in the environment."""
    place = {"SLURM_STEP_NUM_TASKS": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    command = [sys.executable, "-m", "trueline", *words, "--out", out]
    return [
        subprocess.Popen(
            command, text=True, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
            env={**ENVIRONMENT, **place, "SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank)},
        )
        for rank in range(size)
    ]  # fmt: skip


LAUNCHERS = {"torchrun": ["torch.distributed.run", "--nproc-per-node", "2"]}
LAUNCHERS["accelerate"] = ["accelerate.commands.launch", "--cpu", "--num_processes", "2", "--num_machines", "1"]


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_a_launched_run_is_the_run(launcher, words, tmp_path):
    """Its losses are those of one process within 1e-5, and it leaves one model folder that `transformers` loads."""
    if importlib.util.find_spec(LAUNCHERS[launcher][0].partition(".")[0]) is None:
        pytest.skip(f"{launcher} is not installed")
    assert trueline(*words, "--out", "alone").code == 0
    launched(LAUNCHERS[launcher], words, "two")
    torch.testing.assert_close(
        torch.tensor(curve(tmp_path / "two")), torch.tensor(curve(tmp_path / "alone")), atol=1e-5, rtol=1e-5
    )
    model = tmp_path / "two" / "stages" / "sft" / "model"
    names = load_file(model / "model.safetensors").keys()
    assert names == load_file(tmp_path / "alone" / "stages" / "sft" / "model" / "model.safetensors").keys()
    assert AutoModelForCausalLM.from_pretrained(model).num_parameters() > 0


def test_preemption_saves_on_all_ranks_and_one_process_goes_on(words, tmp_path):
    """SIGTERM to every rank: rank 0 ends with 143 and the others with it, and a process alone takes the run up."""
    long = [*words, "epochs=12"]
    started = ranks(long, "mine")
    log, deadline = tmp_path / "mine" / "metrics.jsonl", time.monotonic() + 120
    while not (log.exists() and len(log.read_text().splitlines()) > 3) and time.monotonic() < deadline:
        time.sleep(0.02)
    for process in started:
        process.send_signal(signal.SIGTERM)
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [143, 143], said
    assert "is saved in" in said[0]
    (kept,) = (tmp_path / "mine" / "stages" / "sft" / "checkpoint").glob("step-*")
    assert kept.is_dir()
    found = trueline(*long, "--out", "mine")
    assert found.code == 0, found.err
    assert trueline(*long, "--out", "whole").code == 0
    torch.testing.assert_close(
        torch.tensor(curve(tmp_path / "mine")), torch.tensor(curve(tmp_path / "whole")), atol=1e-5, rtol=1e-5
    )


def test_a_run_that_cannot_begin_ends_on_every_rank(words):
    """What is wrong with a command is said before ranks wait for each other, with exit code 2."""
    started = ranks([*words, "batch=none"], "mine")
    said = [process.communicate(timeout=120)[1] for process in started]
    assert [process.returncode for process in started] == [2, 2]
    assert all("batch: expected a whole number" in text for text in said)

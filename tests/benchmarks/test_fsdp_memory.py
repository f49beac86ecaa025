"""The plan of sharded training is held against FSDP itself, on tensors without memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

CASES = ("1b:1:2048:8", "1b:8:128:1", "1b:8:2048:8:recompute")  # fullest at the loss, and at the embedding


def asked(*cases: str) -> subprocess.CompletedProcess[str]:
    """The benchmark in a process of its own: it makes a process group, and does without kernels."""
    command = [sys.executable, "-m", "benchmarks.fsdp_memory", "--json", *cases]
    return subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, timeout=240, check=False)


@pytest.mark.slow
def test_the_plan_is_what_fsdp_holds():
    """At one process and at eight, with long rows and short, all kept or made again: within a tenth of every operation's."""
    done = asked(*CASES)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout)
    assert [one["case"] for one in found] == list(CASES)
    assert {one["when"] for one in found} == {"loss", "embedding"}
    for one in found:
        assert sum(one["kinds"].values()) == pytest.approx(one["tracked"])
        assert one["planned"] == pytest.approx(one["tracked"], rel=0.1)


@pytest.mark.slow
def test_a_case_that_cannot_be_read_is_named():
    """A model that is not known is bad usage."""
    done = asked("2b:1:128:1")
    assert done.returncode == 2
    assert "2b:1:128:1: expected MODEL" in done.stderr

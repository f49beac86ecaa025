"""Seeds side by side leave what one process would have left.

pytest tests/lab/test_workers.py
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from trueline.lab.workers import side_by_side
from trueline.recipes.progress import Quiet

pytestmark = pytest.mark.slow


class Said(Quiet):
    def __init__(self):
        self.lines = []

    def say(self, name, text):
        self.lines.append(text)


def leave(folder: Path, seed: int) -> None:
    """Write down which process had this seed; one of them fails, one is killed."""
    (folder / str(seed)).write_text(str(os.getpid()))
    if seed == 2:
        raise RuntimeError("a fault of this seed")
    if seed == 3:
        os.kill(os.getpid(), 9)


def test_every_seed_has_a_process_of_its_own_and_none_is_waited_for_in_vain(tmp_path):
    """Seeds are done in other processes, each once; one that fails or is killed ends none of the others, and is told of."""
    show = Said()
    side_by_side(partial(leave, tmp_path), [0, 1, 2, 3], 2, "E99", show)
    processes = {file.name: int(file.read_text()) for file in tmp_path.iterdir()}
    assert processes.keys() == {"0", "1", "2", "3"}
    assert len(set(processes.values())) == 4
    assert os.getpid() not in processes.values()
    assert sum("done" in line for line in show.lines) == 2
    assert {line[:6] for line in show.lines if "run again" in line} == {"seed 2", "seed 3"}

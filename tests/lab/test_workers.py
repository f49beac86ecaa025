"""Seeds side by side leave what one process would have left.

pytest tests/lab/test_workers.py
"""

from __future__ import annotations

import os
import signal
import threading
import time
from functools import partial
from pathlib import Path

import pytest

from trueline.core import stopping
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


def train(folder: Path, seed: int) -> None:
    """Make steps until SIGTERM comes, then save."""
    with stopping.put_off():
        (folder / f"{seed} began").touch()
        while not stopping.asked():
            time.sleep(0.01)
        (folder / f"{seed} saved").touch()
        raise stopping.Preempted


def test_sigterm_lets_every_seed_save_what_it_is_at(tmp_path):
    """Who started the processes passes SIGTERM on, waits until each has saved and ended, and starts no other."""

    def tell():
        while len(list(tmp_path.iterdir())) < 2:
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    teller = threading.Thread(target=tell)
    teller.start()
    with stopping.listening(), pytest.raises(stopping.Preempted):
        side_by_side(partial(train, tmp_path), [0, 1, 2], 2, "E99", Said())
    teller.join()
    assert {file.name for file in tmp_path.iterdir()} == {"0 began", "0 saved", "1 began", "1 saved"}

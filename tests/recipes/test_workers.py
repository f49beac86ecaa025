"""Seeds side by side leave what one process would have left.

pytest tests/recipes/test_workers.py
"""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from trueline.cluster.executor import Local
from trueline.core import stopping
from trueline.recipes.progress import Quiet
from trueline.recipes.workers import side_by_side

pytestmark = pytest.mark.slow


class Said(Quiet):
    def __init__(self):
        self.lines = []

    def say(self, name, text):
        self.lines.append(text)


def seeds(folder: Path, count: int) -> dict[str, dict[str, object]]:
    return {f"seed {seed}": {"folder": str(folder), "seed": seed} for seed in range(count)}


def leave(item, bench) -> bool:
    """Write down that a worker had this seed; one of them fails, one kills whoever has it."""
    (Path(item["folder"]) / str(item["seed"])).write_text(str(os.getpid()))
    if item["seed"] == 3:
        os.kill(os.getpid(), 9)
    return item["seed"] != 2


def test_every_seed_is_done_elsewhere_and_none_is_waited_for_in_vain(tmp_path):
    """Seeds are done in other processes; one that fails, or kills its workers, ends none of the others, and is told of."""
    show = Said()
    with Local(workers=2, retries=1) as executor:
        side_by_side(f"{__name__}:leave", seeds(tmp_path, 6), executor, "E99", show)
    processes = {file.name: int(file.read_text()) for file in tmp_path.iterdir()}
    assert processes.keys() == set("012345")
    assert os.getpid() not in processes.values()
    assert [line.split(";")[0] for line in show.lines[1:]] == [
        f"seed {n} {'ended early, and will be run again' if n in (2, 3) else 'done'}" for n in range(6)
    ]


def train(item, bench) -> bool:
    """Make steps until SIGTERM comes, then save."""
    folder, seed = Path(item["folder"]), item["seed"]
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
    with stopping.listening(), pytest.raises(stopping.Preempted), Local(workers=2) as executor:
        side_by_side(f"{__name__}:train", seeds(tmp_path, 3), executor, "E99", Said())
    teller.join()
    assert {file.name for file in tmp_path.iterdir()} == {"0 began", "0 saved", "1 began", "1 saved"}

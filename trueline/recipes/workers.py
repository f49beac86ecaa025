"""Runs side by side, on an executor: processes of this machine, or a cluster whose machines share the folder.

    trueline run align seeds=4 --workers 2
    trueline run dpo start=MODEL data=pairs.jsonl --sweep objective.beta=0.05,0.1,0.2 --workers 3
    trueline lab run E3 --workers 2

A worker leaves its run in the folder where it would lie anyway, and says nothing else: whoever started it reads what is done,
and runs what is not, so that a run that failed, or whose workers were killed, is run again where its error can be shown.
Results do not depend on how many workers there are, since every seed of every setting is a run of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.cluster.executor import Executor, WorkersLostError
from trueline.core.config import to_spec
from trueline.evaluate.words import duration
from trueline.recipes.progress import Show

if TYPE_CHECKING:
    from trueline.recipes.running import Order


def runs_of(asked: Order, folder: Path, how: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What `running.one_seed` is told of each run of an order, by its seed; a run lies where it would without workers."""
    told = {"recipe": asked.name, "settings": to_spec(asked.recipe), "world_seed": asked.world_seed, "how": dict(how)}
    seeds = range(asked.seed, asked.seed + asked.seeds)
    places = {seed: folder / f"seed{seed}" if asked.seeds > 1 else folder for seed in seeds}
    return {f"seed {seed}": {**told, "seed": seed, "folder": str(place)} for seed, place in places.items()}


def side_by_side(
    work: str, items: Mapping[str, Mapping[str, Any]], executor: Executor, name: str, show: Show, what: str = "seeds"
) -> None:
    """Call `work` with each item, which says whether its run is done; return when all ended, whatever became of them.

    Items are named as people know their runs: "seed 3".
    """
    waiting, began = list(items), time.monotonic()

    def told(done: bool) -> None:
        run = waiting.pop(0)
        ended = len(items) - len(waiting)
        left = (time.monotonic() - began) / ended * len(waiting)
        how = "done" if done else "ended early, and will be run again"
        show.say(name, f"{run} {how}; {ended} of {len(items)}, about {duration(left)} left")

    show.say(name, f"{len(items)} {what}, {min(executor.workers, len(items))} at a time, each in a process of its own")
    while waiting:
        try:
            for done in executor.map(work, [items[run] for run in waiting]):
                told(done)
        except WorkersLostError:  # its item is the first that waits; the others begin where they were
            told(False)

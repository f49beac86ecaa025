"""Seeds side by side, on an executor: processes of this machine, or a cluster whose machines share the folder.

    trueline run align seeds=4 --workers 2
    trueline lab run E3 --workers 2

A worker leaves its seed's run in the folder where it would lie anyway, and says nothing else: whoever started it reads what is
done, and runs what is not, so that a seed that failed, or whose workers were killed, is run again where its error can be shown.
Results do not depend on how many workers there are, since every seed is a run of its own.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from trueline.cluster.executor import Executor, WorkersLostError
from trueline.evaluate.words import duration
from trueline.recipes.progress import Show


def side_by_side(
    work: str, settings: Mapping[str, Any], seeds: Sequence[int], executor: Executor, name: str, show: Show
) -> None:
    """Call `work` with the settings and each seed, which says whether it is done; return when all ended, whatever became of
    them."""
    waiting, began = list(seeds), time.monotonic()

    def told(done: bool) -> None:
        seed = waiting.pop(0)
        ended = len(seeds) - len(waiting)
        left = (time.monotonic() - began) / ended * len(waiting)
        how = "done" if done else "ended early, and will be run again"
        show.say(name, f"seed {seed} {how}; {ended} of {len(seeds)}, about {duration(left)} left")

    show.say(name, f"{len(seeds)} seeds, {min(executor.workers, len(seeds))} at a time, each in a process of its own")
    while waiting:
        try:
            for done in executor.map(work, [{**settings, "seed": seed} for seed in waiting]):
                told(done)
        except WorkersLostError:  # its item is the first that waits; the others begin where they were
            told(False)

"""Seeds side by side: one process a seed, as many at once as were asked for.

    trueline lab run E3 --workers 2

A process leaves its seed's run in the folder where it would lie anyway, and says nothing else: whoever started it reads what is
done, and runs what is not, so that a seed whose process was killed or failed is run again where its error can be shown. Results
do not depend on how many processes there are, since every seed is a run of its own.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess

from trueline.core.processes import dies_with
from trueline.evaluate.words import duration
from trueline.recipes.progress import Show


def side_by_side(work: Callable[[int], None], seeds: Sequence[int], workers: int, name: str, show: Show) -> None:
    """Call `work(seed)` for every seed in processes, `workers` at once; return when all have ended, whatever became of them."""
    spawn, waiting, began = get_context("spawn"), list(seeds), time.monotonic()
    running: dict[BaseProcess, int] = {}
    ended = 0
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                process = spawn.Process(target=_quietly, args=(work, waiting[0], os.getpid()), daemon=True)
                process.start()
                running[process] = waiting.pop(0)
                show.say(name, f"seed {running[process]} starts in a process of its own")
            connection.wait([process.sentinel for process in running])
            for process in [process for process in running if not process.is_alive()]:
                ended += 1
                left = (time.monotonic() - began) / ended * (len(seeds) - ended)
                how = "done" if process.exitcode == 0 else "ended early, and will be run again"
                show.say(name, f"seed {running.pop(process)} {how}; {ended} of {len(seeds)}, about {duration(left)} left")
    finally:
        for process in running:
            process.terminate()


def _quietly(work: Callable[[int], None], seed: int, parent: int) -> None:
    """Do the work, for as long as the parent lives; an error is shown by whoever runs this seed again."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if not dies_with(parent):
        return
    try:
        work(seed)
    except Exception:
        raise SystemExit(1) from None

"""An Executor: one function over many items in worker processes, results in order and each exactly once.

    with Local(workers=4) as executor:
        for result in executor.map("trueline.recipes.spread:chunk", items):
            ...

Items and results are JSON values, and a function is its name: nothing is pickled, and a worker is a fresh interpreter. A result
is a function of its item, so that it does not matter who computes it, or how often. A worker that dies has its task done again
by another, a bounded number of times; an error of the task itself is told at once. Who stops reading stops the workers.
`Local` is processes of this machine; cluster/ray_executor.py has the same on Ray.
"""

from __future__ import annotations

import json
import queue
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from trueline.cluster.bench import work_named
from trueline.cluster.desk import Desk
from trueline.cluster.tender import Call, Ended, Job, Tender
from trueline.core import stopping
from trueline.core.limits import Tally

Json = Any
AHEAD = 4  # results of so many tasks a worker may wait for the one that is next: an item that takes long holds up no worker
RETRIES = 3  # times that a task is done again because its worker died
SHOWN = 100  # characters of an item in an error
SWITCHING = 0.0005  # seconds that one thread may keep the others waiting while workers ask: Python's own are ten times that
NOTHING: Mapping[str, str] = {}


class TaskFailedError(RuntimeError):
    """The function raised on an item. `trace` is where, as the worker saw it."""

    def __init__(self, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.trace = trace


class WorkersLostError(RuntimeError):
    """An item whose workers died, every time that it was tried."""


class Executor(Protocol):
    """Worker processes somewhere. Use it in a `with`; it starts them when they are first needed."""

    @property
    def workers(self) -> int:
        """Tasks that are under way at a time, at most."""

    def map(
        self,
        work: str,
        items: Iterable[Json],
        *,
        known: Mapping[str, str] = NOTHING,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Json]:
        """Yield `work(item, bench)` for every item, in their order; `work` is `package.module:function` (cluster/bench.py).

        `known` is what workers may look up by key; `progress` is told how many results came, in whatever order. Items are
        taken only a few ahead of what is yielded. Raises TaskFailedError or WorkersLostError in the place of the first result
        that there is not; both name the item.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass
class Local:
    """`workers` processes of this machine, each on one thread: as many as there are cores keep it busy."""

    workers: int = 2
    retries: int = RETRIES
    tally: Tally = field(default_factory=Tally, repr=False)
    _jobs: queue.SimpleQueue[Job | None] = field(default_factory=queue.SimpleQueue, init=False, repr=False)
    _tenders: list[Tender] = field(default_factory=list, init=False, repr=False)
    _switching: float = field(default_factory=sys.getswitchinterval, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.workers < 1 or self.retries < 0:
            raise ValueError(f"expected at least 1 worker and no negative number of retries, got {self}")

    def map(
        self,
        work: str,
        items: Iterable[Json],
        *,
        known: Mapping[str, str] = NOTHING,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Json]:
        """As `Executor.map`."""
        work_named(work)
        call = Call(work, Desk(tally=self.tally, known=known))
        for _ in range(self.workers - len(self._tenders)):
            self._tenders.append(Tender(self._jobs, self.retries))

        def start(number: int, item: str) -> None:
            self._jobs.put(Job(call, number, item))

        try:
            yield from in_order(items, self.workers * AHEAD, start, call.ended.get, progress)
        except stopping.Preempted:  # each worker ends where its work can be taken up, as this process does
            call.over = True
            for tender in self._tenders:
                tender.pass_on(call)
            for tender in self._tenders:
                tender.wait(call)
            raise
        finally:
            call.over = True
            for tender in self._tenders:
                tender.leave(call)

    def __enter__(self) -> Self:
        self._switching = sys.getswitchinterval()
        sys.setswitchinterval(min(self._switching, SWITCHING))
        return self

    def __exit__(self, *_: object) -> None:
        """End every worker, whatever it does."""
        sys.setswitchinterval(self._switching)
        for tender in self._tenders:
            tender.end()
            self._jobs.put(None)
        for tender in self._tenders:
            tender.thread.join()
        self._tenders.clear()


def in_order(
    items: Iterable[Json], ahead: int, start: Callable[[int, str], None], ended: Callable[[], Ended],
    progress: Callable[[int], None],
) -> Iterator[Json]:  # fmt: skip
    """Start items, at most `ahead` of the one that is yielded next, and yield their results in order as they end in any."""
    waiting, came = enumerate(items), dict[int, str | Exception]()
    shown: dict[int, str] = {}
    started = done = given = 0
    while True:
        while started - given < ahead and (found := next(waiting, None)) is not None:
            text = json.dumps(found[1], allow_nan=False)
            shown[found[0]] = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
            start(found[0], text)
            started += 1
        if given == started:
            return
        while given not in came:
            number, result = ended()
            came[number] = result
            done += 1
            progress(done)
        yield _result(came.pop(given), f"item {given} ({shown.pop(given)})")
        given += 1


def _result(ended: str | Exception, item: str) -> Json:
    if isinstance(ended, Exception):
        raise WorkersLostError(f"{item}: {ended}") from None
    told = json.loads(ended)
    if "done" in told:
        return told["done"]
    failed = told["failed"]
    raise TaskFailedError(f"{item}: {failed['kind']}: {failed['text']}", failed["trace"])

"""Figures of a project that take time: kept until something happens in it, and counted again without holding a page up.

A project of 5,000 items with five answers to each takes seconds to be read and measured (docs/web_ranking.md says how many),
and while people work, something happens every second. So a page waits for new figures for PATIENCE only, and is else given
those before, and told so. One thread counts each kind, and after a long count it rests twice as long as it worked.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from trueline.recipes.ranked import Standing, prioritise, standing
from trueline.store.opening import Database
from trueline.store.ranking import named, progress, version
from trueline.store.ranking_records import Progress

KEPT = 32  # projects whose figures are kept
PATIENCE = 0.15  # seconds that a page waits for new figures
LONG = 1.0  # seconds of a count after which
RESTS = 2.0  # times as long as it took it rests, before it counts the same project again
log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class At(Generic[T]):
    """Figures and the event after which they were counted; None before the first. `behind`: something has happened since."""

    value: T | None
    event: int
    behind: bool


@dataclass
class _Kept(Generic[T]):
    event: int = -1
    value: T | None = None
    counting: Future[None] | None = None
    not_before: float = 0.0
    long: bool = False  # whether the last count was


class Counting(Generic[T]):
    """One kind of figures, by project."""

    def __init__(self, count: Callable[[Database, str], T], patience: float = PATIENCE) -> None:
        self.count, self.patience = count, patience
        self._kept: OrderedDict[tuple[Database, str], _Kept[T]] = OrderedDict()
        self._lock = Lock()
        self._hand = ThreadPoolExecutor(1, "ranking")

    def at(self, database: Database, project: str, patience: float | None = None) -> At[T]:
        """Figures of a project as it is now, or as it was a little before. What took long the last time is not waited for."""
        event = version(database, project)
        with self._lock:
            kept = self._kept.setdefault((database, project), _Kept())
            self._kept.move_to_end((database, project))
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
            idle = kept.counting is None or kept.counting.done()
            if kept.event != event and idle and (kept.value is None or time.monotonic() >= kept.not_before):
                kept.counting = self._hand.submit(self._again, kept, database, project)
            waited = kept.counting
        if kept.event != event and waited is not None:
            wait([waited], timeout=0.0 if kept.long else self.patience if patience is None else patience)
            if kept.value is None and waited.done():
                waited.result()  # raises what kept it from being counted
        return At(value=kept.value, event=kept.event, behind=kept.event != event)

    def _again(self, kept: _Kept[T], database: Database, project: str) -> None:
        began = time.monotonic()
        event = version(database, project)  # before the figures: they may know more than it says, never less
        try:
            kept.value = self.count(database, project)
        except Exception as error:
            log.error("the figures of a ranking project cannot be counted", exc_info=error)
            raise
        kept.event = event
        took = time.monotonic() - began
        kept.long = took > LONG
        kept.not_before = time.monotonic() + (RESTS * took if kept.long else 0.0)


PROGRESS: Counting[Progress] = Counting(progress)
STANDING: Counting[Standing] = Counting(standing)


def _urgent(database: Database, project: str) -> int:
    found = named(database, project)
    return prioritise(database, found) if found.choosing == "uncertain" else 0


URGENT: Counting[int] = Counting(_urgent, patience=0.0)  # asked after an answer: what to ask next is worked out meanwhile

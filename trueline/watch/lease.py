"""Holding on to a watch while its round runs, from a thread of its own: a model in this process keeps the loop busy for long.

    with Held(engine, watch.id, holder, clock, seconds=120, lost=halt.stop):
        ...

The lease is renewed three times as often as it must be. Where another has taken it, or where nobody could be reached for as
long as it runs, `lost` is called, and the round asks no more.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType

from trueline.store.opening import Database
from trueline.store.watches import renew
from trueline.targets.patience import Clock

OFTEN = 3


def now_of(clock: Clock) -> datetime:
    """The time of day on a clock."""
    return datetime.fromtimestamp(clock.today(), UTC)


@dataclass
class Held:
    """A lease that is renewed until the block ends."""

    engine: Database
    watch: str
    holder: str
    clock: Clock
    seconds: float
    lost: Callable[[str], None]
    wait: Callable[[threading.Event, float], bool] = threading.Event.wait  # whether the block ended meanwhile
    _over: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Held:
        self._thread = threading.Thread(target=self._keep, name=f"lease of {self.watch}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._over.set()
        if self._thread is not None:
            self._thread.join()

    def _keep(self) -> None:
        since = self.clock.now()
        while not self.wait(self._over, self.seconds / OFTEN):
            try:
                if not renew(self.engine, self.watch, self.holder, now_of(self.clock), self.seconds):
                    self.lost("another daemon holds this watch by now")
                    return
                since = self.clock.now()
            except Exception as error:  # a database that is away for a moment: there is time until the lease runs out
                if self.clock.now() - since >= self.seconds:
                    self.lost(f"the lease could not be renewed: {' '.join(str(error).split())[:200]}")
                    return

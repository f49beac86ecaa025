"""A watch of any target for tests: small, with two attacks, and a round of it carried out in this process."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime

from trueline.recipes.progress import Quiet
from trueline.store.watches import RoundRow, WatchRow, add_watch
from trueline.targets.patience import Clock
from trueline.watch.budget import Halt, read_budget
from trueline.watch.daemon import keep_watch
from trueline.watch.spec import Spec, checked, new_watch

QUICK = ("patience.attempts=1", "patience.first=0.001")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def watched(target: str, goals: object, *, name: str = "w", budget: str = "questions=40", **more: object) -> WatchRow:
    """A watch that is due at NOW."""
    told = {"attacks": "role,rot13,past", "sentinels": 8, "ask": QUICK, "tries": 2, **more}
    spec = checked(Spec(target=target, goals=str(goals), **told))
    return new_watch(spec, name=name, every=3600, budget=read_budget(budget), now=NOW, own=f"id-{name}")


def added(database: object, *args: object, **more: object) -> WatchRow:
    """The same, in a database."""
    row = watched(*args, **more)
    add_watch(database, row)
    return row


def clock(seconds: float = 0.0) -> Clock:
    """A clock that shows NOW and so many seconds, and sleeps for none."""

    async def sleep(_: float) -> None:
        await asyncio.sleep(0)

    return Clock(now=time.monotonic, today=lambda: NOW.timestamp() + seconds, sleep=sleep)


def run_due(
    database: object, seconds: float = 0.0, *, holder: str = "a", halt: Halt | None = None, **more: object
) -> list[RoundRow]:
    """Carry out what is due so many seconds after NOW."""
    work = keep_watch(database, holder=holder, halt=halt or Halt(), show=Quiet(), clock=clock(seconds), once=True, **more)
    return asyncio.run(work)

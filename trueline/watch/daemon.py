"""The daemon: takes what is due, one round after the other, and sleeps until the next. Any number of them share one database.

    await keep_watch(engine, holder=a_holder(), halt=halt, show=Quiet())               # until it is halted
    await keep_watch(engine, holder=a_holder(), halt=halt, show=Quiet(), once=True)    # what is due now, for cron and CI

A halt ends it after the questions under way are answered and stored, and gives the lease back: another goes on at once. A
daemon that is killed leaves a lease that runs out. In both cases the same round goes on under its number and its run.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from datetime import datetime, timedelta
from secrets import token_hex

from trueline.recipes.progress import Show
from trueline.store.opening import Database
from trueline.store.watches import LeaseLostError, RoundRow, WatchRow, claim, give_back, watches
from trueline.targets.patience import Clock
from trueline.watch.budget import Halt
from trueline.watch.lease import Held, now_of
from trueline.watch.round import carry_out

LEASE = 120.0  # seconds; longer than the clocks of two machines may differ
POLL = 30.0  # seconds until the database is looked at again, for watches that others add
MOMENT = 0.2  # seconds in which a sleeping daemon notices a halt


async def keep_watch(
    engine: Database,
    *,
    holder: str,
    halt: Halt,
    show: Show,
    clock: Clock = Clock(),  # noqa: B008 - frozen
    once: bool = False,
    name: str | None = None,
    lease: float = LEASE,
    ended: Callable[[WatchRow, RoundRow], None] = lambda watch, row: None,
) -> list[RoundRow]:
    """Carry out rounds until halted, or (`once`) each that is due by now, and return those that ended.

    `name` looks at one watch alone; `ended` is told of each round as it ends.
    """
    done, began = [], now_of(clock)
    while not halt.why:
        try:
            now = now_of(clock)
            watch = claim(engine, now, holder, lease, name=name, due=began if once else now)
            row = None if watch is None else await _one(engine, watch, holder, clock, halt, show, lease)
            pause = _seconds_to_next(engine, now, name) if watch is None else 0.0
        except Exception as error:  # a database that is away, or full: what is stored is whole, and the lease runs out
            if once:
                raise
            show.say("watch", f"goes on in {POLL:.0f} s: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
            watch, row, pause = None, None, POLL
        if watch is not None and row is not None:
            done.append(row)
            ended(watch, row)
        if watch is None:
            if once:
                break
            await _rest(clock, halt, pause)
    return done


def a_holder() -> str:
    """A name for this daemon that no other has: where it runs, and a word of its own."""
    return f"{socket.gethostname()}:{os.getpid()}:{token_hex(4)}"


async def _one(
    engine: Database, watch: WatchRow, holder: str, clock: Clock, halt: Halt, show: Show, lease: float
) -> RoundRow | None:
    """Carry one claimed watch's round out; None where it was halted or lost."""
    own = Halt(outer=halt)

    try:
        with Held(engine, watch.id, holder, clock, lease, own.stop):
            row = await carry_out(engine, watch, holder=holder, clock=clock, halt=own, show=show)
    except LeaseLostError as lost:
        show.say(watch.name, f"left to another: {lost}")
        return None
    if row is None:
        given = give_back(engine, watch.id, holder)
        show.say(watch.name, f"{own.why}; {'another may go on with it' if given else 'another goes on with it'}")
    return row


def _seconds_to_next(engine: Database, now: datetime, name: str | None) -> float:
    """How long to sleep: to the next watch that is due, and not longer than POLL."""
    due = [datetime.fromisoformat(row.due) for row in watches(engine) if row.state == "active" and name in (None, row.name)]
    first = min(due, default=now + timedelta(seconds=POLL))
    return min(POLL, max(1.0, (first - now).total_seconds()))


async def _rest(clock: Clock, halt: Halt, seconds: float) -> None:
    """Sleep, in moments, so that a halt is noticed."""
    until = clock.now() + seconds
    while not halt.why and (left := until - clock.now()) > 0:
        await clock.sleep(min(MOMENT, left))

"""Watches, their rounds and alerts in a database: what is tested when, who is at it, and what came of it.

    watch = claim(database, now, "host:pid", 120)           # of what is due, by one statement; None where nothing is
    round = begin_round(database, watch, "host:pid", now)   # a new one, or the one that a killed daemon left
    renew(database, watch.id, "host:pid", now, 120)         # False once another has the lease
    save_progress(database, round, "host:pid", result=...)  # refused, as the end is, to whom has lost the lease
    end_round(database, round, "host:pid", now, "done", result)

A lease lies in the row of its watch and runs until a time; whoever comes after that time may take it. Times are given as
datetimes with a zone, and kept as ISO 8601 text in UTC, all of one length, so that text sorts as time does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, Engine, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from trueline.core.records import nearest
from trueline.store.opening import writing
from trueline.store.watch_tables import alerts as alert_rows
from trueline.store.watch_tables import rounds as round_rows
from trueline.store.watch_tables import watches as watch_rows

WatchState = Literal["active", "paused", "removed"]
RoundState = Literal["running", "done", "stopped", "failed"]


class WatchError(ValueError):
    """A watch that is not there, or that is there already."""


class LeaseLostError(RuntimeError):
    """Another holds the watch by now: what this one knows of the round is no longer written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchRow:
    """What is tested, how often, and who is at it. Times are ISO 8601, UTC."""

    id: str
    name: str
    target: str
    every: int  # seconds from the start of a round to the start of the next
    spec: Mapping[str, Any]
    budget: Mapping[str, Any]
    created: str
    due: str
    state: WatchState = "active"
    next: int = 1  # the number of the next round, or of the one under way
    holder: str | None = None
    lease: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RoundRow:
    """One round: its campaign's run, what was chosen to be asked, and what came of it."""

    watch: str
    number: int
    state: RoundState
    holder: str
    run: str
    started: str
    ended: str | None
    plan: Mapping[str, Any]
    result: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertRow:
    """What people are told, once: the id is a hash of what it is about. `sent` says of each channel when, or why not."""

    id: str
    watch: str
    number: int
    kind: str
    severity: str
    text: str
    record: Mapping[str, Any]
    created: str
    sent: Mapping[str, Any]


def stamp(time: datetime) -> str:
    """Write a time as all times are kept.

    >>> stamp(datetime(2026, 1, 2, tzinfo=UTC))
    '2026-01-02T00:00:00.000000+00:00'
    """
    return time.astimezone(UTC).isoformat(timespec="microseconds")


def add_watch(engine: Engine, row: WatchRow) -> None:
    """Add a watch. Raises WatchError where one of its name is there; a removed one's name is free again."""
    try:
        with writing(engine) as connection:
            connection.execute(watch_rows.insert(), asdict(row))
    except IntegrityError:
        raise WatchError(f"there is a watch called {row.name!r} already; remove it, or give this one another --name") from None


def watches(engine: Engine, *, removed: bool = False) -> list[WatchRow]:
    """List the watches by name, those that were removed only if asked for."""
    query = select(watch_rows).order_by(watch_rows.c.name, watch_rows.c.created)
    with engine.connect() as connection:
        found = [WatchRow(**row) for row in connection.execute(query).mappings()]
    return [row for row in found if removed or row.state != "removed"]


def watch_named(engine: Engine, name: str) -> WatchRow:
    """Return the watch of that name. Raises WatchError with the nearest right one."""
    known = {row.name: row for row in watches(engine)}
    if name not in known:
        listed = ", ".join(known) or "none: trueline watch add TARGET makes one"
        raise WatchError(f"there is no watch called {name!r}{nearest(name, known)}; watches: {listed}")
    return known[name]


def set_state(engine: Engine, name: str, state: WatchState) -> WatchRow:
    """Pause, resume or remove a watch, and return it. A round under way ends when paused, and is broken off when removed."""
    row = watch_named(engine, name)
    free = {"holder": None, "lease": None} if state == "removed" else {}
    _change(engine, watch_rows.c.id == row.id, {"state": state, **free})
    return next(found for found in watches(engine, removed=True) if found.id == row.id)


def note_attestation(engine: Engine, name: str, attested: Mapping[str, str]) -> None:
    """Remember the last attestation of a watch (its name, and when it expires), so that its end is told."""
    row = watch_named(engine, name)
    _change(engine, watch_rows.c.id == row.id, {"spec": {**row.spec, "attested": dict(attested)}})


def bring_forward(engine: Engine, name: str, now: datetime) -> None:
    """Make a watch due by now, however long it has time."""
    row = watch_named(engine, name)
    _change(engine, (watch_rows.c.id == row.id) & (watch_rows.c.due > stamp(now)), {"due": stamp(now)})


def claim(
    engine: Engine, now: datetime, holder: str, lease_seconds: float, *, name: str | None = None, due: datetime | None = None
) -> WatchRow | None:
    """Take the watch that has been due for longest and that nobody holds, of any name or of one; None where there is none.

    What counts is what was due by `due`, if that is earlier than now.

    It is one statement. PostgreSQL passes over rows that another is just taking, and asks again about one that was taken
    meanwhile; SQLite has one writer at a time.
    """
    free = or_(watch_rows.c.lease.is_(None), watch_rows.c.lease <= stamp(now))
    active = (watch_rows.c.state == "active") & (watch_rows.c.due <= stamp(due or now))
    wanted = select(watch_rows.c.id).where(active, free)
    wanted = wanted if name is None else wanted.where(watch_rows.c.name == name)
    first = wanted.order_by(watch_rows.c.due, watch_rows.c.id).limit(1).with_for_update(skip_locked=True)
    take = watch_rows.update().where(watch_rows.c.id == first.scalar_subquery(), watch_rows.c.state == "active", free)
    with writing(engine) as connection:
        until = stamp(now + timedelta(seconds=lease_seconds))
        taken = connection.execute(take.values(holder=holder, lease=until).returning(*watch_rows.c)).mappings().first()
    return None if taken is None else WatchRow(**taken)


def renew(engine: Engine, watch: str, holder: str, now: datetime, lease_seconds: float) -> bool:
    """Hold on to a watch; False where it was lost. One that ran out and that nobody took is still there to be renewed."""
    until = stamp(now + timedelta(seconds=lease_seconds))
    return _change(engine, (watch_rows.c.id == watch) & (watch_rows.c.holder == holder), {"lease": until})


def give_back(engine: Engine, watch: str, holder: str) -> bool:
    """Let another take the round that is under way; False where one has done so already."""
    return _change(engine, (watch_rows.c.id == watch) & (watch_rows.c.holder == holder), {"holder": None, "lease": None})


def begin_round(engine: Engine, watch: WatchRow, holder: str, now: datetime) -> RoundRow:
    """Begin the watch's next round, or go on with the one that another began and did not end."""
    with _held(engine, watch.id, holder) as connection:
        number = connection.execute(select(watch_rows.c.next).where(watch_rows.c.id == watch.id)).scalar_one()
        this = _this(watch.id, number)
        if _round(connection, watch.id, number) is not None:
            connection.execute(round_rows.update().where(this).values(holder=holder))
        else:
            new: dict[str, Any] = {"holder": holder, "run": "", "started": stamp(now), "ended": None, "plan": {}, "result": {}}
            connection.execute(round_rows.insert(), {"watch": watch.id, "number": number, "state": "running", **new})
        begun = _round(connection, watch.id, number)
    assert begun is not None
    return begun


def save_progress(
    engine: Engine, row: RoundRow, holder: str, *, run: str | None = None, plan: Mapping[str, Any] | None = None,
    result: Mapping[str, Any] | None = None,
) -> RoundRow:  # fmt: skip
    """Write what is known of a round by now, and return it. Raises LeaseLostError where another has it."""
    given = {"run": run, "plan": plan, "result": result}
    return _save(engine, row, holder, {name: value for name, value in given.items() if value is not None})


def end_round(
    engine: Engine, row: RoundRow, holder: str, now: datetime, state: RoundState, result: Mapping[str, Any]
) -> RoundRow:
    """End a round and free its watch for the next one, together. Raises LeaseLostError where another has it.

    The next is due `every` seconds after this one began: what was missed meanwhile is not made up for.
    """
    return _save(engine, row, holder, {"state": state, "ended": stamp(now), "result": dict(result)}, over=True)


def rounds(engine: Engine, watch: str, *, last: int | None = None) -> list[RoundRow]:
    """Return the rounds of a watch in order, all of them or the last few."""
    query = select(round_rows).where(round_rows.c.watch == watch).order_by(round_rows.c.number.desc()).limit(last)
    with engine.connect() as connection:
        return [RoundRow(**row) for row in connection.execute(query).mappings()][::-1]


def latest_rounds(engine: Engine, limit: int = 50) -> list[RoundRow]:
    """Return the rounds of all watches that began last, the latest first."""
    query = select(round_rows).order_by(round_rows.c.started.desc(), round_rows.c.watch).limit(limit)
    with engine.connect() as connection:
        return [RoundRow(**row) for row in connection.execute(query).mappings()]


def add_alert(engine: Engine, row: AlertRow) -> bool:
    """Raise an alert; False where it was raised already, which stays as it is."""
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[engine.dialect.name]
    once = dialect.insert(alert_rows).on_conflict_do_nothing(index_elements=[alert_rows.c.id])
    with writing(engine) as connection:
        return connection.execute(once.returning(alert_rows.c.id), asdict(row)).first() is not None


def mark_sent(engine: Engine, alert: str, channel: str, outcome: Mapping[str, Any]) -> None:
    """Say what became of an alert on a channel (`channels.Sent`: at, ok, tries, why). Other channels' words stay."""
    this = alert_rows.c.id == alert
    with writing(engine) as connection:
        sent = connection.execute(select(alert_rows.c.sent).where(this).with_for_update()).scalar_one()
        connection.execute(alert_rows.update().where(this).values(sent={**sent, channel: dict(outcome)}))


def alerts(engine: Engine, *, watch: str | None = None, limit: int | None = None) -> list[AlertRow]:
    """Return the alerts of a watch or of all, the latest first."""
    query = select(alert_rows) if watch is None else select(alert_rows).where(alert_rows.c.watch == watch)
    query = query.order_by(alert_rows.c.created.desc(), alert_rows.c.id).limit(limit)
    with engine.connect() as connection:
        return [AlertRow(**row) for row in connection.execute(query).mappings()]


def _change(engine: Engine, which: ColumnElement[bool], values: Mapping[str, Any]) -> bool:
    """Change the watches that fit, and say whether there was one."""
    with writing(engine) as connection:
        statement = watch_rows.update().where(which).values(**values).returning(watch_rows.c.id)
        return connection.execute(statement).first() is not None


@contextmanager
def _held(engine: Engine, watch: str, holder: str) -> Iterator[Connection]:
    """One transaction of whoever holds a watch; its row is locked, so that nobody takes it meanwhile."""
    with writing(engine) as connection:
        now_held = connection.execute(select(watch_rows.c.holder).where(watch_rows.c.id == watch).with_for_update()).scalar()
        if now_held != holder:
            raise LeaseLostError(f"the watch {watch} is held by {now_held or 'nobody'} by now, and not by {holder}")
        yield connection


def _save(engine: Engine, row: RoundRow, holder: str, values: Mapping[str, Any], over: bool = False) -> RoundRow:
    with _held(engine, row.watch, holder) as connection:
        stored = _round(connection, row.watch, row.number)
        if stored is None or stored.state != "running":
            raise LeaseLostError(f"round {row.number} of {row.watch} has ended already")
        connection.execute(round_rows.update().where(_this(row.watch, row.number)).values(**values, holder=holder))
        if over:
            this = watch_rows.c.id == row.watch
            every = connection.execute(select(watch_rows.c.every).where(this)).scalar_one()
            due = stamp(datetime.fromisoformat(row.started) + timedelta(seconds=every))
            free = watch_rows.update().where(this).values(due=due, next=row.number + 1, holder=None, lease=None)
            connection.execute(free)
        saved = _round(connection, row.watch, row.number)
    assert saved is not None
    return saved


def _this(watch: str, number: int) -> ColumnElement[bool]:
    return (round_rows.c.watch == watch) & (round_rows.c.number == number)


def _round(connection: Connection, watch: str, number: int) -> RoundRow | None:
    found = connection.execute(select(round_rows).where(_this(watch, number))).mappings().first()
    return None if found is None else RoundRow(**found)

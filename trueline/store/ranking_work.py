"""What annotators do with a project: take the next item, save drafts, submit, skip, discard, and take the last answer back.

    offer = next_item(engine, project.id, person, now)       # Offer: assignment, item and draft, or why there is none
    save_draft(engine, offer.assignment.id, person, given, now)
    submit(engine, offer.assignment.id, person, given, now)  # or status="skipped", or "discarded" with given.reason
    offer = reopen(engine, project.id, person, now)          # undo: one's last answer is a draft again

A page says whether the draft that stands is the one that it knew (`seen`, asked within the transaction): where another tab has
written another one since, it gets a StaleError, and nothing is lost silently. `ranking_left.py` counts what is left for whom.

Every function is one transaction that holds the project, so that ten annotators at once never get more than `overlap` answers
and leases on an item. A *slot* of an item is held by a lease that runs, by an answer that was submitted, and by one that was
submitted and is being changed. What is skipped or discarded frees its slot, and its annotator does not get the item again;
an item that `overlap` annotators discarded is not given out any more. A lease that ran out frees its slot and leaves the draft:
as long as nobody has taken the slot over, its annotator may still submit, and is given the item again first.

Choice is deterministic in the project's seed, the person and what was answered before. Items without gold come in one seeded
order for everyone (or the most urgent first), so that they get their overlap soon; gold items are given to every annotator, and
repeats are items that they submitted at least five answers ago, or as long ago as can be. Neither takes a slot.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select

from trueline.core.records import from_dict, to_dict
from trueline.store.folders import digest
from trueline.store.opening import writing
from trueline.store.ranking import answer_of, assignment_of, held, item_of, note, text
from trueline.store.ranking_records import (
    Answer,
    Given,
    Item,
    Kind,
    LeaseError,
    Offer,
    Project,
    RankingError,
    StaleError,
    Status,
    check_given,
)
from trueline.store.ranking_tables import assignments as rows
from trueline.store.ranking_tables import items as item_rows

APART = 5  # answers between an item and its repeat, where there are so many
_OPEN = ("leased", "draft")
Seen = Callable[[Given | None], bool]


def next_item(engine: Engine, project: str, person: str, now: datetime) -> Offer:
    """Give an annotator what they hold, else what they left unfinished, else something new; or say why there is nothing."""
    with writing(engine) as connection:
        settings = held(connection, project, closed=True)
        if settings.state == "closed":
            return Offer(why="closed")
        unfinished = _unfinished(connection, project, person)
        for row in unfinished:
            if row["expires"] > text(now):
                return _offer(connection, row)
        if settings.cap and answered_today(connection, project, person, now) >= settings.cap:
            return Offer(why="cap")
        for row in unfinished:
            if _has_room(connection, settings, row, now):
                return _offer(connection, _leased_again(connection, settings, row, now))
        offer = _something_new(connection, settings, person, now)
        waits = offer.why == "done" and any(_has_room(connection, settings, row, None) for row in unfinished)
        return replace(offer, why="busy") if waits else offer


def assigned(engine: Engine, assignment: str, person: str) -> Offer:
    """Read what an annotator was given, whatever became of it; a LeaseError where it was never theirs."""
    with engine.connect() as connection:
        return _offer(connection, _row(connection, assignment, person))


def save_draft(
    engine: Engine, assignment: str, person: str, given: Given, now: datetime, *, seen: Seen | None = None
) -> Answer:
    """Keep what an annotator has so far, in the place of the draft before; the lease begins anew."""
    with writing(engine) as connection:
        settings, row = _held_row(connection, assignment, person)
        _may_write(connection, settings, row, now)
        _check_seen(row, seen)
        check_given(given, _item(connection, row["item"]), settings.questions, whole=False)
        values = {"status": "draft", "answer": to_dict(given), "expires": _ends(settings, now)}
        return answer_of(_changed(connection, row, values))


def submit(
    engine: Engine, assignment: str, person: str, given: Given, now: datetime, *, status: Status = "submitted",
    seen: Seen | None = None,
) -> Answer:  # fmt: skip
    """Store an answer, or that the item was skipped or discarded. The same again, as a second click sends it, is no error."""
    if status not in ("submitted", "skipped", "discarded"):
        raise RankingError(f"an answer is submitted, skipped or discarded; got {status!r}")
    with writing(engine) as connection:
        settings, row = _held_row(connection, assignment, person)
        if row["status"] == status and row["answer"] == to_dict(given):
            return answer_of(row)
        _may_write(connection, settings, row, now)
        _check_seen(row, seen)
        check_given(given, _item(connection, row["item"]), settings.questions, whole=status == "submitted")
        if status == "discarded" and not given.reason.strip():
            raise RankingError("discard: expected the reason why; say it in a few words")
        values = {"status": status, "answer": to_dict(given), "answered": text(now), "kept": int(status == "submitted")}
        note(connection, row["project"], row["item"], person, assignment, status, now, given)
        return answer_of(_changed(connection, row, values))


def reopen(engine: Engine, project: str, person: str, now: datetime) -> Offer:
    """Make one's last answer a draft again, and hold it; asked again, the one before. The history keeps what was said.

    What was skipped or discarded comes back only while its slot is free.
    """
    with writing(engine) as connection:
        settings = held(connection, project)
        query = select(rows).where(rows.c.project == project, rows.c.person == person, rows.c.answered.is_not(None))
        last = query.where(rows.c.status.not_in(_OPEN)).order_by(rows.c.answered.desc(), rows.c.number.desc()).limit(1)
        row = connection.execute(last).mappings().first()
        if row is None:
            raise RankingError("there is no answer of yours to take back in this project")
        if not _has_room(connection, settings, row, now):
            raise LeaseError("that item has all its answers by now; what you said of it stays as it is")
        note(connection, project, row["item"], person, row["id"], "reopened", now, from_dict(Given, row["answer"]))
        values = {"status": "draft", "answered": None, "expires": _ends(settings, now)}
        return _offer(connection, _changed(connection, row, values))


def shuffled(seed: int, person: str, item: str, turn: int, size: int) -> tuple[int, ...]:
    """Return the order in which an annotator is shown an item's cards, made of the seed alone."""
    order = list(range(size))
    Random(f"ranking/{seed}/{person}/{item}/{turn}").shuffle(order)
    return tuple(order)


def _something_new(connection: Connection, settings: Project, person: str, now: datetime) -> Offer:
    mine = (rows.c.project == settings.id) & (rows.c.person == person)
    number = 1 + connection.execute(select(func.count()).where(mine)).scalar_one()
    drawn = Random(f"ranking/{settings.seed}/{person}/{number}").random()
    if drawn < settings.gold_share and (found := _gold(connection, settings, person, number)):
        return _given_out(connection, settings, found, person, number, 0, "gold", now)
    repeats = settings.gold_share <= drawn < settings.gold_share + settings.repeat_share
    if repeats and (again := _repeat(connection, settings, person, number)):
        return _given_out(connection, settings, again["item"], person, number, again["turns"], "repeat", now)
    found = _fresh(connection, settings, person, text(now))
    if found is None:
        return Offer(why="busy" if _fresh(connection, settings, person, None) else "done")
    return _given_out(connection, settings, found, person, number, 0, "new", now)


def _fresh(connection: Connection, settings: Project, person: str, now: str | None) -> str | None:
    """The first item that this annotator has not seen and that has a free slot; without `now`, leases count for nothing."""
    urgent = [item_rows.c.priority.desc()] if settings.choosing == "uncertain" else []
    query = select(item_rows.c.id).where(*fresh_items(settings, person, now))
    return connection.execute(query.order_by(*urgent, item_rows.c.place).limit(1)).scalar()


def fresh_items(settings: Project, person: str, now: str | None) -> list[Any]:
    """What holds of an item that this annotator may be given anew; without `now`, leases count for nothing."""
    mine = select(rows.c.item).where(rows.c.project == settings.id, rows.c.person == person)
    slots = select(func.count()).where(rows.c.item == item_rows.c.id, rows.c.kind == "new", _holds_a_slot(now))
    thrown = select(func.count()).where(rows.c.item == item_rows.c.id, rows.c.status == "discarded")
    return [
        item_rows.c.project == settings.id,
        item_rows.c.gold == 0,
        item_rows.c.id.not_in(mine),
        slots.scalar_subquery() < settings.overlap,
        thrown.scalar_subquery() < settings.overlap,
    ]


def _holds_a_slot(now: str | None) -> Any:
    running = [rows.c.status.in_(_OPEN) & (rows.c.expires > now)] if now is not None else []
    return or_(rows.c.status == "submitted", rows.c.kept == 1, *running)


def _gold(connection: Connection, settings: Project, person: str, number: int) -> str | None:
    mine = select(rows.c.item).where(rows.c.project == settings.id, rows.c.person == person)
    query = select(item_rows.c.id).where(item_rows.c.project == settings.id, item_rows.c.gold == 1, item_rows.c.id.not_in(mine))
    left = connection.execute(query.order_by(item_rows.c.place)).scalars().all()
    return Random(f"ranking/{settings.seed}/{person}/{number}/gold").choice(left) if left else None


def _repeat(connection: Connection, settings: Project, person: str, number: int) -> Mapping[str, Any] | None:
    """The item that this annotator is shown again: one that they submitted and have seen the least often, long enough ago."""
    mine = (rows.c.project == settings.id) & (rows.c.person == person) & (rows.c.kind != "gold")
    turns, last = func.max(rows.c.turn).label("turn"), func.max(rows.c.number).label("last")
    query = select(rows.c.item, turns, last).where(mine).group_by(rows.c.item)
    all_of_it = query.having(func.count() == func.sum((rows.c.status == "submitted").cast(rows.c.turn.type)))
    seen = connection.execute(all_of_it.order_by(turns, last)).mappings().all()
    if not seen:
        return None
    fewest = [row for row in seen if row["turn"] == seen[0]["turn"]]
    apart = [row for row in fewest if row["last"] <= number - 1 - APART]
    chosen = Random(f"ranking/{settings.seed}/{person}/{number}/repeat").choice(apart) if apart else fewest[0]
    return {"item": chosen["item"], "turns": chosen["turn"] + 1}


def _given_out(
    connection: Connection, settings: Project, item: str, person: str, number: int, turn: int, kind: Kind, now: datetime
) -> Offer:
    size = len(_item(connection, item).completions)
    row = {
        "id": digest([item, person, turn])[:24],
        "project": settings.id,
        "item": item,
        "person": person,
        "number": number,
        "turn": turn,
        "kind": kind,
        "shown": list(shuffled(settings.seed, person, item, turn, size)),
        "created": text(now),
        "expires": _ends(settings, now),
        "status": "leased",
        "kept": 0,
        "answered": None,
        "answer": {},
    }
    connection.execute(rows.insert(), row)
    note(connection, settings.id, item, person, row["id"], "leased", now, None)
    return _offer(connection, row)


def _unfinished(connection: Connection, project: str, person: str) -> list[Mapping[str, Any]]:
    query = select(rows).where(rows.c.project == project, rows.c.person == person, rows.c.status.in_(_OPEN))
    return list(connection.execute(query.order_by(rows.c.number)).mappings())


def answered_today(connection: Connection, project: str, person: str, now: datetime) -> int:
    """Count what an annotator answered since midnight (UTC)."""
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    mine = (rows.c.project == project) & (rows.c.person == person) & rows.c.status.in_(("submitted", "discarded"))
    return connection.execute(select(func.count()).where(mine, rows.c.answered >= text(midnight))).scalar_one()


def _has_room(connection: Connection, settings: Project, row: Mapping[str, Any], now: datetime | None) -> bool:
    """Whether an annotator may go on with what they were given: the slot is theirs still, or free, or none is needed.

    Without `now`, the leases of others count for nothing.
    """
    time = text(now) if now else None
    if row["kept"] or row["kind"] != "new" or (time and row["status"] in _OPEN and row["expires"] > time):
        return True
    others = (rows.c.item == row["item"]) & (rows.c.kind == "new") & (rows.c.id != row["id"])
    return connection.execute(select(func.count()).where(others, _holds_a_slot(time))).scalar_one() < settings.overlap


def _held_row(connection: Connection, assignment: str, person: str) -> tuple[Project, Mapping[str, Any]]:
    """Hold the project of a person's assignment, and read the row again, as it is now that nobody else can change it."""
    settings = held(connection, _row(connection, assignment, person)["project"])
    return settings, _row(connection, assignment, person)


def _may_write(connection: Connection, settings: Project, row: Mapping[str, Any], now: datetime) -> None:
    if row["status"] not in _OPEN:
        raise LeaseError(f"this item is {row['status']} already; take that back first, then change it")
    if not _has_room(connection, settings, row, now):
        raise LeaseError("the time for this item ran out and another annotator has taken it over; go on with the next one")


def _check_seen(row: Mapping[str, Any], seen: Seen | None) -> None:
    if seen and not seen(from_dict(Given, row["answer"]) if row["answer"] else None):
        raise StaleError("this item was changed in another tab since you opened it here; look at that first")


def _row(connection: Connection, assignment: str, person: str) -> Mapping[str, Any]:
    row = connection.execute(select(rows).where(rows.c.id == assignment, rows.c.person == person)).mappings().first()
    if row is None:
        raise LeaseError("this item was not given to you; go on with the next one")
    return row


def _leased_again(connection: Connection, settings: Project, row: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    note(connection, settings.id, row["item"], row["person"], row["id"], "leased", now, None)
    return _changed(connection, row, {"expires": _ends(settings, now)})


def _changed(connection: Connection, row: Mapping[str, Any], values: Mapping[str, Any]) -> Mapping[str, Any]:
    connection.execute(rows.update().where(rows.c.id == row["id"]).values(values))
    return {**row, **values}


def _offer(connection: Connection, row: Mapping[str, Any]) -> Offer:
    draft = from_dict(Given, row["answer"]) if row["answer"] else None
    return Offer(assignment=assignment_of(row), item=_item(connection, row["item"]), draft=draft)


def _item(connection: Connection, key: str) -> Item:
    return item_of(key, connection.execute(select(item_rows.c.record).where(item_rows.c.id == key)).scalar_one())


def _ends(settings: Project, now: datetime) -> str:
    return text(now + timedelta(seconds=settings.lease))

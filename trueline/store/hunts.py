"""Conversations of people with targets in the database: a question is stored before it is asked, and again with its answer.

    run = sitting(engine, run)                                    # one for each target and judge, made once
    begin(engine, hunt)                                           # a conversation in which nothing was said yet
    turn = ask(engine, hunt, turn, allowed)                       # HuntError: the budget, or an answer that is under way
    turn = answer(engine, answered, attempt, hashes)              # turn and attempt, in one transaction
    hunt_of(engine, id), hunts(engine, person=...), turns_of(engine, id), used(engine, person, since)

A process that dies between the two leaves a turn that was asked. Whoever opens the conversation sees it and may ask `again`;
each asking has a token, so that a late answer of an earlier one is not taken. Claims are in `hunt_claims.py`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from sqlalchemy import Connection, Engine, func, select

from trueline.core.records import from_dict, to_dict
from trueline.core.types import Attempt, Run
from trueline.store.database import Hashes, insert, insert_attempts
from trueline.store.hunt_records import Hunt, HuntError, Turn
from trueline.store.opening import writing
from trueline.store.people_tables import hunts as hunt_rows
from trueline.store.people_tables import turns as rows
from trueline.store.tables import attempts as attempt_rows
from trueline.store.tables import runs as run_rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """What a question is checked against, in the transaction that stores it."""

    an_hour: int  # questions of one person; each asking counts
    since: str  # an hour ago
    under_way: Collection[str] = ()  # tokens that this process waits for: what else was asked has nobody who waits


def sitting(engine: Engine, run: Run) -> Run:
    """Store a run of people's questions unless it is there, and return it as it is stored."""
    row = {"id": run.id, "recipe": run.recipe, "seed": run.seed, "commit": run.commit, "started": run.started}
    with writing(engine) as connection:
        insert(connection, run_rows, [{**row, "record": to_dict(run)}])
        return from_dict(Run, connection.execute(select(run_rows.c.record).where(run_rows.c.id == run.id)).scalar_one())


def begin(engine: Engine, hunt: Hunt) -> None:
    """Store a conversation in which nothing was said yet; the same one again changes nothing."""
    with writing(engine) as connection:
        hold(connection, hunt.run)
        _begin(connection, hunt)


def ask(engine: Engine, hunt: Hunt, turn: Turn, allowed: Allowed) -> Turn:
    """Store a question (and the conversation, where it is the first) before it is asked; return it with its number."""
    with writing(engine) as connection:
        hold(connection, hunt.run)
        _begin(connection, hunt)
        stored = connection.execute(select(hunt_rows.c.person).where(hunt_rows.c.id == hunt.id)).scalar_one()
        if stored != turn.person:
            raise HuntError("this conversation is another person's; begin one of your own")
        others = _turns(connection, hunt.id)
        _may_ask(connection, turn, others, allowed)
        if turn.parent and not any(other.id == turn.parent and other.state == "answered" for other in others):
            raise HuntError("what this goes on from was not answered; ask that again first, or reload the page")
        numbered = replace(turn, number=max((other.number for other in others), default=0) + 1)
        connection.execute(rows.insert(), _row(numbered))
    return numbered


def again(engine: Engine, turn: str, person: str, token: str, now: str, allowed: Allowed) -> Turn:
    """Ask a turn once more that failed, or that nobody waits for any longer."""
    with writing(engine) as connection:
        found = _held(connection, turn)
        if found.person != person:
            raise HuntError("this conversation is another person's")
        if found.state == "answered":
            raise HuntError("this was answered meanwhile; reload the page")
        _may_ask(connection, found, _turns(connection, found.hunt), allowed)
        changed = replace(found, state="asked", token=token, asked=now, asks=found.asks + 1, fault="")
        _update(connection, changed)
    return changed


def answer(engine: Engine, turn: Turn, made: tuple[Attempt, Hashes] | None) -> Turn:
    """Store what came back with its attempt, both or none. Where another asking has taken over, nothing is changed."""
    with writing(engine) as connection:
        stored = _held(connection, turn.id)
        if stored.token != turn.token or stored.state != "asked":
            return stored
        if made is not None:
            attempt, hashes = made
            run = connection.execute(select(hunt_rows.c.run).where(hunt_rows.c.id == turn.hunt)).scalar_one()
            turn = replace(turn, query=_next_query(connection, run, attempt, hashes))
            insert_attempts(connection, run, [(replace(attempt, query=turn.query), hashes)])
        _update(connection, turn)
    return turn


def hunt_of(engine: Engine, id: str) -> Hunt | None:  # noqa: A002 - what the column is called
    """Read a conversation; None where there is none of that id."""
    with engine.connect() as connection:
        record = connection.execute(select(hunt_rows.c.record).where(hunt_rows.c.id == id)).scalar()
    return None if record is None else from_dict(Hunt, record)


def hunts_by_id(engine: Engine, ids: Collection[str]) -> dict[str, Hunt]:
    """Read some conversations at once."""
    with engine.connect() as connection:
        found = connection.execute(select(hunt_rows.c.id, hunt_rows.c.record).where(hunt_rows.c.id.in_(ids)))
        return {key: from_dict(Hunt, record) for key, record in found}


def hunts(engine: Engine, *, person: str, target: str | None = None, key: str | None = None) -> list[Hunt]:
    """Read a person's conversations, the newest first: with one target, about one goal, or all."""
    query = select(hunt_rows.c.record).where(hunt_rows.c.person == person)
    for column, wanted in ((hunt_rows.c.target, target), (hunt_rows.c.goal, key)):
        query = query if wanted is None else query.where(column == wanted)
    with engine.connect() as connection:
        found = connection.execute(query.order_by(hunt_rows.c.created.desc(), hunt_rows.c.id).limit(200)).scalars()
        return [from_dict(Hunt, record) for record in found]


def turns_of(engine: Engine, hunt: str) -> list[Turn]:
    """Read the turns of a conversation, in the order in which they were said."""
    with engine.connect() as connection:
        return _turns(connection, hunt)


def turn_of(engine: Engine, id: str) -> Turn | None:  # noqa: A002 - what the column is called
    """Read one turn; None where there is none of that id."""
    with engine.connect() as connection:
        record = connection.execute(select(rows.c.record).where(rows.c.id == id)).scalar()
    return None if record is None else from_dict(Turn, record)


def used(engine: Engine, person: str, since: str) -> int:
    """Count the questions that a person has asked since then."""
    with engine.connect() as connection:
        return _used(connection, person, since)


def hold(connection: Connection, run: str) -> None:
    """Hold a run's row to the end of the transaction: two people at one target are stored one after the other.

    SQLite holds the whole database anyway (`writing`).
    """
    if connection.execute(select(run_rows.c.id).where(run_rows.c.id == run).with_for_update()).scalar() is None:
        raise HuntError(f"no run {run!r} is stored; open the target again")


def _begin(connection: Connection, hunt: Hunt) -> None:
    row = {"id": hunt.id, "run": hunt.run, "person": hunt.person, "target": hunt.target, "goal": hunt.key}
    insert(connection, hunt_rows, [{**row, "created": hunt.created, "record": to_dict(hunt)}])


def _may_ask(connection: Connection, turn: Turn, others: Collection[Turn], allowed: Allowed) -> None:
    if any(other.state == "asked" and other.token in allowed.under_way for other in others):
        raise HuntError("an answer is under way in this conversation; wait for it, or begin another one")
    spent = _used(connection, turn.person, allowed.since)
    if spent >= allowed.an_hour:
        raise HuntError(f"{spent} questions in the last hour, and {allowed.an_hour} are allowed; go on a little later")


def _used(connection: Connection, person: str, since: str) -> int:
    query = select(func.coalesce(func.sum(rows.c.asks), 0)).where(rows.c.person == person, rows.c.asked > since)
    return int(connection.execute(query).scalar_one())


def _next_query(connection: Connection, run: str, attempt: Attempt, hashes: Hashes) -> int:
    """People ask about one goal of one target in one series, whoever they are."""
    column = attempt_rows.c
    mine = (column.run == run, column.target == hashes.target, column.goal == (attempt.goal.id or hashes.goal))
    most = connection.execute(select(func.max(column.query)).where(*mine, column.attack == attempt.attack)).scalar()
    return (most or 0) + 1


def _held(connection: Connection, turn: str) -> Turn:
    found = connection.execute(
        select(rows.c.record, hunt_rows.c.run).join(hunt_rows, hunt_rows.c.id == rows.c.hunt).where(rows.c.id == turn)
    ).first()
    if found is None:
        raise HuntError("there is no such turn; reload the page")
    hold(connection, found[1])
    return from_dict(Turn, connection.execute(select(rows.c.record).where(rows.c.id == turn)).scalar_one())


def _turns(connection: Connection, hunt: str) -> list[Turn]:
    found = connection.execute(select(rows.c.record).where(rows.c.hunt == hunt).order_by(rows.c.number)).scalars()
    return [from_dict(Turn, record) for record in found]


def _row(turn: Turn) -> dict[str, object]:
    columns = ("id", "hunt", "number", "person", "state", "asked", "asks")
    return {**{name: getattr(turn, name) for name in columns}, "record": to_dict(turn)}


def _update(connection: Connection, turn: Turn) -> None:
    connection.execute(rows.update().where(rows.c.id == turn.id).values(_row(turn)))

"""Claims in the database: that a turn got what it should not, whether it was found before, and what was decided.

    claim = add_claim(engine, claim, twin_of=twin_of, entry=finding, grow=grown)   # accepted, a twin, or waiting
    claim = settle_claim(engine, id, decided, entry=finding, grow=grown)           # an operator's word
    claims(engine, person=..., state=...), claim_of(engine, id), claimed(engine, turn_ids), counted(engine)

A claim and the finding that it becomes are one transaction. What a finding is, and how a bank grows, is for the caller to say
(attack/bank.py): `entry` is the finding of this claim, `grow(known, [entry])` the bank with it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Engine, func, or_, select

from trueline.core.records import from_dict, to_dict
from trueline.core.types import Finding
from trueline.store.database import insert_findings
from trueline.store.hunt_records import ASKERS, KNOWN, Claim, Counted, HuntError, Known
from trueline.store.hunts import hold
from trueline.store.opening import writing
from trueline.store.people_tables import claims as rows
from trueline.store.tables import findings as finding_rows

MOST = 5000  # attacks that a new claim is compared with, the newest first
Grow = Callable[[Sequence[Finding], Sequence[Finding]], Sequence[Finding]]
TwinOf = Callable[[Sequence[Known]], str]  # the key of the one that it is a twin of, or nothing


def add_claim(
    engine: Engine, claim: Claim, *, own_goal: bool, twin_of: TwinOf, entry: Finding, by_judge: bool, grow: Grow
) -> Claim:
    """Store a claim: a twin of what is known counts for nobody; what the judge saw too is accepted, the rest waits.

    `own_goal`: the claimant has put the goal into words, so that what was found about any goal of the target is compared.
    """
    with engine.connect() as connection:  # comparing takes a while, and nobody has to wait for it
        seen = _near(connection, claim, own_goal)
        twin = twin_of([*_claimed(connection, seen), *_found(connection, claim)])
    with writing(engine) as connection:
        hold(connection, claim.run)
        if (there := _of_turn(connection, claim.turn)) is not None:  # a second click
            return there
        fresh = _near(connection, claim, own_goal).difference(seen)  # what came while it was compared
        if twin := twin or twin_of(_claimed(connection, fresh)):
            claim = replace(claim, state="twin", twin=twin, decided=claim.created, by="judge")
        elif by_judge:
            claim = replace(claim, state="accepted", decided=claim.created, by="judge")
            _remember(connection, claim.run, entry, grow)
        connection.execute(rows.insert(), _row(claim))
    return claim


def settle_claim(engine: Engine, id: str, decided: Callable[[Claim], Claim], *, entry: Finding, grow: Grow) -> Claim:  # noqa: A002 - the column's name
    """Change a claim that waits, with the finding that it becomes where it is accepted. Another's word stays as it is."""
    with writing(engine) as connection:
        hold(connection, _read(connection, id).run)
        claim = _read(connection, id)
        if claim.state != "waiting":
            raise HuntError(f"this claim is {claim.state} already; reload the page")
        claim = decided(claim)
        if claim.state == "merged" and not _is_known(connection, claim):
            raise HuntError(f"there is no finding or claim with the key {claim.twin!r:.40}; take one that is listed")
        if claim.state == "accepted":
            _remember(connection, claim.run, entry, grow)
        connection.execute(rows.update().where(rows.c.id == id).values(_row(claim)))
    return claim


def claims(engine: Engine, *, person: str | None = None, waiting: bool | None = None, most: int | None = None) -> list[Claim]:
    """Read claims: those that wait, the oldest first; those that are decided, or all, the newest first."""
    query = select(rows.c.record).order_by(rows.c.created if waiting else rows.c.created.desc(), rows.c.id).limit(most)
    query = query if person is None else query.where(rows.c.person == person)
    if waiting is not None:
        query = query.where(rows.c.state == "waiting" if waiting else rows.c.state != "waiting")
    with engine.connect() as connection:
        return [from_dict(Claim, record) for record in connection.execute(query).scalars()]


def waiting_claims(engine: Engine) -> int:
    """Count the claims that wait for an operator."""
    with engine.connect() as connection:
        return int(connection.execute(select(func.count()).where(rows.c.state == "waiting")).scalar_one())


def counted(engine: Engine) -> list[Counted]:
    """What of each kind each person found, once: of accepted claims alone."""
    kind = (rows.c.person, rows.c.family, rows.c.category, rows.c.cluster)
    query = select(*kind, func.min(rows.c.created).label("created")).where(rows.c.state == "accepted").group_by(*kind)
    with engine.connect() as connection:
        return [Counted(**row) for row in connection.execute(query).mappings()]


def claim_of(engine: Engine, id: str) -> Claim | None:  # noqa: A002 - the column's name
    """Read one claim; None where there is none of that id."""
    with engine.connect() as connection:
        record = connection.execute(select(rows.c.record).where(rows.c.id == id)).scalar()
    return None if record is None else from_dict(Claim, record)


def claimed(engine: Engine, turns: Collection[str]) -> Mapping[str, Claim]:
    """The claims on these turns, by turn."""
    with engine.connect() as connection:
        found = connection.execute(select(rows.c.record).where(rows.c.turn.in_(turns))).scalars()
        return {claim.turn: claim for claim in (from_dict(Claim, record) for record in found)}


def _near(connection: Connection, claim: Claim, own_goal: bool) -> frozenset[str]:
    """The claims that it may be a twin of: about the same thing or by the same words; for one's own goal, any of the target."""
    near = or_(rows.c.cluster == _plain(claim.cluster), rows.c.key == claim.key)
    near = or_(near, rows.c.target == claim.target) if own_goal else near
    query = select(rows.c.id).where(rows.c.state.in_(KNOWN), near).order_by(rows.c.created.desc()).limit(MOST)
    return frozenset(connection.execute(query).scalars())


def _claimed(connection: Connection, ids: Collection[str]) -> list[Known]:
    query = select(rows.c.record).where(rows.c.id.in_(ids)).order_by(rows.c.created, rows.c.id)
    found = connection.execute(query).scalars()
    return [Known(key=record["twin"] or record["key"], text=record["text"]) for record in found]


def _found(connection: Connection, claim: Claim) -> list[Known]:
    """The newest findings about the same thing, or by the same words, whoever or whatever found them."""
    # Read here and not by the database: PostgreSQL takes nothing out of JSON in which a zero character stands anywhere.
    query = select(finding_rows.c.key, finding_rows.c.record).order_by(finding_rows.c.created.desc()).limit(MOST)
    firsts = [(key, record["attempts"][0]) for key, record in connection.execute(query) if record["attempts"]]
    return [
        Known(key=key, text="\n".join(m["text"] for m in first["conversation"]["messages"] if m["role"] in ASKERS))
        for key, first in firsts
        if key == claim.key or first["goal"]["about"].get("cluster") == claim.cluster
    ]


def _is_known(connection: Connection, claim: Claim) -> bool:
    finding = connection.execute(select(finding_rows.c.key).where(finding_rows.c.key == claim.twin)).scalar()
    others = select(rows.c.id).where(rows.c.key == claim.twin, rows.c.state.in_(KNOWN), rows.c.id != claim.id)
    return finding is not None or connection.execute(others).first() is not None


def _remember(connection: Connection, run: str, entry: Finding, grow: Grow) -> None:
    record = connection.execute(select(finding_rows.c.record).where(finding_rows.c.key == entry.key)).scalar()
    known = [] if record is None else [from_dict(Finding, record)]
    insert_findings(connection, run, grow(known, [entry]))


def _of_turn(connection: Connection, turn: str) -> Claim | None:
    record = connection.execute(select(rows.c.record).where(rows.c.turn == turn)).scalar()
    return None if record is None else from_dict(Claim, record)


def _read(connection: Connection, id: str) -> Claim:  # noqa: A002 - the column's name
    record = connection.execute(select(rows.c.record).where(rows.c.id == id)).scalar()
    if record is None:
        raise HuntError("there is no such claim; reload the page")
    return from_dict(Claim, record)


def _row(claim: Claim) -> dict[str, Any]:
    columns = ("id", "turn", "run", "person", "target", "key", "cluster", "category", "family", "state", "created")
    return {**{name: _plain(getattr(claim, name)) for name in columns}, "record": to_dict(claim)}


def _plain(text: str) -> str:
    """PostgreSQL has no zero character in texts."""
    return text.replace("\0", "\ufffd")

"""Attempts a page at a time, newest first, each with its conversation: what a person reads who looks into a cell of a heat map.

    page = transcripts(database, run="r1", family="role", outcome="success")
    page = transcripts(database, run="r1", family="role", outcome="success", before=page.older)

A page costs the same with a million attempts as with ten: the tallies say which cells fit and how new they are, and an index
leads to the newest attempts of each. (A database that is asked for the newest of something rare might else read them all.)
An id is the attempt's place in this database, and says where a page begins. A campaign that is resumed makes its attempts
again, with other ids: what names an attempt for good is its run, target, goal, attack, judge and query.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

from sqlalchemy import ColumnElement, Connection, Engine, TextClause, func, select, text

from trueline.core.outcome import Outcome
from trueline.core.records import from_dict
from trueline.core.types import Attempt
from trueline.store.opening import reading
from trueline.store.tables import attempts
from trueline.store.tally_tables import tallies

LIMIT = 50
MOST = 250
_MOST = 150  # cells that are looked into one by one; more than these have new attempts everywhere
_SIZES = (1, 4, 16, 64, 256, 450)  # SQLite takes no more than 500 at once
_WINDOW = 2000  # ids that are looked through at once, where they are more


@dataclass(frozen=True, slots=True, kw_only=True)
class Transcript:
    """An attempt as the database has it; `created` is ISO 8601, UTC."""

    id: int
    run: str
    target: str  # the content hash of what was attacked
    outcome: Outcome
    created: str
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some transcripts, newest first; `older` is where the next page begins, or None; `total` is how many fit on all pages."""

    transcripts: tuple[Transcript, ...]
    older: int | None
    total: int


def transcripts(
    engine: Engine,
    *,
    run: str | None = None,
    target: str | None = None,
    judge: str | None = None,
    family: str | None = None,
    category: str | None = None,
    expected: str | None = None,
    outcome: Outcome | None = None,
    before: int | None = None,
    limit: int = LIMIT,
) -> Page:
    """Read the newest attempts that fit every condition given and have an id below `before`."""
    if not 1 <= limit <= MOST:
        raise ValueError(f"expected a page of 1 to {MOST} transcripts, got limit={limit}")
    wanted = {"run": run, "target": target, "judge": judge, "family": family, "category": category, "expected": expected}
    fits = [tallies.c[name] == value for name, value in {**wanted, "outcome": outcome}.items() if value is not None]
    extent = select(func.sum(tallies.c["count"]), func.min(tallies.c.oldest), func.max(tallies.c.newest)).where(*fits)
    with reading(engine) as connection:
        total, oldest, newest = connection.execute(extent).one()
        if total is None:
            return Page(transcripts=(), older=None, total=0)
        below = newest + 1 if before is None else min(before, newest + 1)
        ids = _newest(connection, fits, oldest, below, limit + 1)
        rows = connection.execute(_SHOWN.where(attempts.c.id.in_(ids[:limit])).order_by(attempts.c.id.desc())).mappings().all()
    shown = tuple(map(_transcript, rows))
    return Page(transcripts=shown, older=ids[limit - 1] if len(ids) > limit else None, total=total)


def transcript(engine: Engine, id_: int) -> Transcript | None:
    """Read one attempt by its id; None where there is none."""
    with engine.connect() as connection:
        row = connection.execute(_SHOWN.where(attempts.c.id == id_)).mappings().first()
    return None if row is None else _transcript(row)


_SHOWN = select(*(attempts.c[name] for name in ("id", "run", "target", "outcome", "created", "record")))


def _newest(connection: Connection, fits: list[ColumnElement[bool]], oldest: int, below: int, limit: int) -> list[int]:
    """The newest ids below one. Only cells that go on above it, and the newest of those that ended, can hold them."""
    if not fits:
        newest = select(attempts.c.id).where(attempts.c.id < below).order_by(attempts.c.id.desc()).limit(limit)
        return list(connection.execute(newest).scalars())
    go_on = select(tallies.c.cell).where(*fits, tallies.c.newest >= below, tallies.c.oldest < below).limit(_MOST + 1)
    ended = select(tallies.c.cell).where(*fits, tallies.c.newest < below).order_by(tallies.c.newest.desc()).limit(limit)
    cells = list(connection.execute(go_on).scalars())
    if len(cells) > _MOST:
        return _together(connection, fits, oldest, below, limit)
    return _one_by_one(connection, [*cells, *connection.execute(ended).scalars()], below, limit)


def _one_by_one(connection: Connection, cells: list[str], below: int, limit: int) -> list[int]:
    size = next(size for size in _SIZES if len(cells) <= size)
    padded = {f"cell{number}": cell for number, cell in enumerate(cells + ["none"] * (size - len(cells)))}
    return list(connection.execute(_union(size), {**padded, "below": below, "limit": limit}).scalars())


@cache
def _union(size: int) -> TextClause:
    """The newest of so many cells, as a text of few sizes: to build and plan it anew each time would cost most of a page."""
    one = "SELECT id FROM (SELECT id FROM attempts WHERE cell = :cell{0} AND id < :below ORDER BY id DESC LIMIT :limit) AS c{0}"
    cells = " UNION ALL ".join(one.format(number) for number in range(size))
    return text(f"SELECT id FROM ({cells}) AS cells ORDER BY id DESC LIMIT :limit")  # noqa: S608 - nothing in it was given


def _together(connection: Connection, fits: list[ColumnElement[bool]], oldest: int, below: int, limit: int) -> list[int]:
    """Look through the ids, window by window: so many cells have attempts almost everywhere."""
    ids: list[int] = []
    window = _WINDOW
    while len(ids) < limit and below > oldest:
        inside = attempts.c.id.between(max(oldest, below - window), below - 1)
        found = select(attempts.c.id).join(tallies, tallies.c.cell == attempts.c.cell).where(inside, *fits)
        ids += connection.execute(found.order_by(attempts.c.id.desc()).limit(limit - len(ids))).scalars()
        below, window = below - window, 2 * window
    return ids


def _transcript(row: Mapping[str, object]) -> Transcript:
    shown = {name: row[name] for name in ("id", "run", "target", "outcome", "created")}
    return Transcript(**shown, attempt=from_dict(Attempt, row["record"]))  # type: ignore[arg-type]

"""How many attempts came to what, by any of the axes, without reading an attempt: for heat maps, and over-refusal beside them.

    for tally in tallied(database, "family", "category", run="r1", expected="refuse"):
        print(tally.of["family"], tally.of["category"], tally.outcomes.raw)

Whoever stores attempts adds them here in the same transaction, and whoever drops them takes them away, so that a tally is never
older than what it counts. Attempts are locked before tallies, and tallies in the order of their keys: writers wait, and none
waits for one who waits for it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Literal, get_args

from sqlalchemy import Connection, Engine, case, func, select
from sqlalchemy.dialects import postgresql, sqlite

from trueline.core.outcome import OUTCOMES, Outcomes
from trueline.store.folders import digest
from trueline.store.tally_tables import tallies

Axis = Literal["run", "target", "judge", "family", "category", "expected"]
AXES: tuple[Axis, ...] = get_args(Axis)
KEY = (*AXES, "outcome")  # what makes a cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What the attempts that share these values came to."""

    of: Mapping[Axis, str]
    outcomes: Outcomes


def tallied(engine: Engine, *by: Axis, **only: str | Collection[str] | None) -> list[Tally]:
    """Count the attempts that have every value given (or one of several), apart for each value of the axes `by`, in order."""
    if unknown := [axis for axis in (*by, *only) if axis not in AXES]:
        raise ValueError(f"expected axes of tallies ({', '.join(AXES)}), got {', '.join(unknown)}")
    columns = [tallies.c[axis] for axis in by]
    query = select(*columns, tallies.c.outcome, func.sum(tallies.c["count"])).group_by(*columns, tallies.c.outcome)
    for axis, value in only.items():
        if value is not None:
            query = query.where(tallies.c[axis].in_([value] if isinstance(value, str) else value))
    found: dict[tuple[str, ...], dict[Any, int]] = {}
    with engine.connect() as connection:
        for *values, outcome, count in connection.execute(query):
            found.setdefault(tuple(values), dict.fromkeys(OUTCOMES, 0))[outcome] = count
    return [Tally(of=dict(zip(by, key, strict=True)), outcomes=Outcomes(counts=found[key])) for key in sorted(found)]


@lru_cache(maxsize=4096)
def cell_of(*key: str) -> str:
    """Name the cell of attempts that share these values of KEY."""
    return digest(key)[:32]


def add(connection: Connection, keys: Mapping[str, tuple[str, ...]], new: Sequence[tuple[int, str]]) -> None:
    """Add attempts by id and cell, in the transaction that stored them, as the last thing that it does."""
    ids: dict[str, list[int]] = {}
    for id_, cell in new:
        ids.setdefault(cell, []).append(id_)
    rows = [
        {"cell": cell, **dict(zip(KEY, keys[cell], strict=True)), "count": len(some), "oldest": min(some), "newest": max(some)}
        for cell, some in sorted(ids.items())
    ]
    if rows:
        connection.execute(_adding(connection.dialect.name), rows)


def forget(connection: Connection, run: str) -> None:
    """Forget a run's tallies, in the transaction that drops its attempts."""
    connection.execute(tallies.delete().where(tallies.c.run == run))


@cache
def _adding(dialect: str) -> Any:
    statement = {"sqlite": sqlite, "postgresql": postgresql}[dialect].insert(tallies)
    old, new = tallies.c, statement.excluded
    more = {
        "count": old["count"] + new["count"],
        "oldest": case((new.oldest < old.oldest, new.oldest), else_=old.oldest),
        "newest": case((new.newest > old.newest, new.newest), else_=old.newest),
    }
    return statement.on_conflict_do_update(index_elements=[old.cell], set_=more)

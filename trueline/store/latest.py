"""Runs as pages ask for them: the latest first, a page at a time; and how often a target refused what it should answer.

page = latest_runs(database, attacked=True)         # campaigns: runs with attempts; page.runs, page.older
found = refusals(database, "r1")                    # found.refused of found.taken answers
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import JSON, ColumnElement, Engine, Text, and_, cast, exists, func, or_, select, type_coerce, union_all

from trueline.core.records import from_dict
from trueline.core.types import Run
from trueline.store.tables import attempts, runs
from trueline.store.tally_tables import tallies

LIMIT = 25
MOST = 500  # answers of which stances are read
ANSWERED = ("success", "failure", "undetermined")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunPage:
    """Some runs, the latest first; `older` is where the next page begins, or empty."""

    runs: tuple[Run, ...]
    older: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Of so many answers that took a stance, how many refuse; and of how many answers in all they were read."""

    refused: int
    taken: int
    answers: int


def latest_runs(engine: Engine, *, attacked: bool = False, before: str = "", limit: int = LIMIT) -> RunPage:
    """Read the runs, or those alone in which something was attacked, from behind `before` (a page's `older`) on."""
    query = select(runs.c.id, runs.c.started, runs.c.record).order_by(runs.c.started.desc(), runs.c.id.desc()).limit(limit + 1)
    if attacked:
        query = query.where(exists().where(tallies.c.run == runs.c.id))
    if before:
        started, cut, id_ = before.partition("~")
        if not cut:
            raise ValueError(f"expected the place of a page (its `older`), got {before!r:.60}")
        query = query.where(or_(runs.c.started < started, and_(runs.c.started == started, runs.c.id < id_)))
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    older = f"{rows[limit - 1].started}~{rows[limit - 1].id}" if len(rows) > limit else ""
    return RunPage(runs=tuple(from_dict(Run, row.record) for row in rows[:limit]), older=older)


def run_of(engine: Engine, id_: str) -> Run | None:
    """Read one run; None where there is none of that id."""
    with engine.connect() as connection:
        record = connection.execute(select(runs.c.record).where(runs.c.id == id_)).scalar()
    return None if record is None else from_dict(Run, record)


def refusals(engine: Engine, run: str, family: str, most: int = MOST) -> Refused:
    """Count the stances of a run's answers to goals that should be answered, asked by one family of attacks.

    Where there are more answers than `most`, each cell gives its newest, in proportion: a stance lies in the record, and
    what is read must be bounded.
    """
    fits = (tallies.c.run == run, tallies.c.family == family, tallies.c.expected == "comply", tallies.c.outcome.in_(ANSWERED))
    with engine.connect() as connection:
        cells = connection.execute(select(tallies.c.cell, tallies.c["count"]).where(*fits)).all()
        total = sum(n for _, n in cells)
        if not total:
            return Refused(refused=0, taken=0, answers=0)
        parts = []
        for cell, n in cells:
            newest = select(attempts.c.id).where(attempts.c.cell == cell).order_by(attempts.c.id.desc())
            parts.append(select(newest.limit(n if total <= most else -(-n * most // total)).subquery().c.id))
        these = select(union_all(*parts).subquery().c.id)
        stance = _stance(engine.dialect.name)
        found = connection.execute(select(stance, func.count()).where(attempts.c.id.in_(these)).group_by(stance))
        counts = {said.strip('"'): n for said, n in found if said}
    refused, complied = counts.get("refuse", 0), counts.get("comply", 0)
    return Refused(refused=refused, taken=refused + complied, answers=total)


def _stance(dialect: str) -> ColumnElement[str]:
    """The stance in a record, as JSON text. Neither database reads a value out of JSON that holds a zero character."""
    record = func.replace(cast(attempts.c.record, Text()), r"\u0000", r"\ufffd")
    read = cast(record, JSON()) if dialect == "postgresql" else type_coerce(record, JSON())
    return cast(read["judgement"]["stance"], Text()).label("stance")

"""Runs, stages, attempts, replies and findings in a database that `opening.py` opened.

Saving the same thing twice stores it once, so that a run that was killed simply saves again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Engine, Row, Table, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError

from trueline.core.outcome import Outcome, reached
from trueline.core.records import from_dict, to_dict
from trueline.core.types import Attempt, Completion, Finding, Run
from trueline.store import tallies
from trueline.store.folders import digest
from trueline.store.opening import DatabaseError, writing
from trueline.store.runs import State, Value
from trueline.store.tables import attempts as attempt_rows
from trueline.store.tables import chunks as chunk_rows
from trueline.store.tables import findings as finding_rows
from trueline.store.tables import replies as reply_rows
from trueline.store.tables import runs as run_rows
from trueline.store.tables import stages as stage_rows

_ROWS_PER_INSERT = 500  # so many are held in memory at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage as the database knows it; `saved` is ISO 8601, UTC."""

    run: str
    name: str
    key: str
    state: State
    metrics: Mapping[str, Value]
    saved: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """The content hashes of what made an attempt; empty: nobody hashed it, and the goal's is then taken from the goal."""

    target: str
    attack: str = ""
    judge: str = ""
    goal: str = ""


def save_run(engine: Engine, run: Run) -> None:
    """Store a run; the same run again changes nothing, another run of the same id is refused."""
    record = to_dict(run)
    row = {"id": run.id, "recipe": run.recipe, "seed": run.seed, "commit": run.commit, "started": run.started}
    with writing(engine) as connection:
        insert(connection, run_rows, [{**row, "record": record}])
        stored = connection.execute(select(run_rows.c.record).where(run_rows.c.id == run.id)).scalar_one()
    if stored != record:
        differs = ", ".join(name for name in record if stored.get(name) != record[name])
        raise DatabaseError(f"run {run.id!r} is stored already with another {differs}; give this run its own id")


def list_runs(engine: Engine, recipe: str | None = None) -> list[Run]:
    """List the runs, of one recipe or of all, oldest first."""
    query = _where(select(run_rows.c.record), run_rows, {"recipe": recipe}).order_by(run_rows.c.started, run_rows.c.id)
    with engine.connect() as connection:
        return [from_dict(Run, record) for record in connection.execute(query).scalars()]


def save_stage(
    engine: Engine, run: str, name: str, key: str, state: State = "done", metrics: Mapping[str, Value] | None = None
) -> None:
    """Store how a stage of a stored run stands; a later word replaces the earlier one."""
    row = {"run": run, "name": name, "key": key, "state": state, "metrics": dict(metrics or {}), "saved": utc_now()}
    with writing_of(engine, run) as connection:
        insert(connection, stage_rows, [row], replacing=("key", "state", "metrics", "saved"))


def stages(engine: Engine, run: str | None = None) -> list[StageRow]:
    """List the stages, of one run or of all, in the order in which they were saved."""
    query = _where(select(stage_rows), stage_rows, {"run": run}).order_by(stage_rows.c.saved, stage_rows.c.name)
    with engine.connect() as connection:
        return [StageRow(**row) for row in connection.execute(query).mappings()]


def save_attempts(engine: Engine, run: str, records: Iterable[tuple[Attempt, Hashes]]) -> int:
    """Store attempts with the hashes of what made them, and return how many were new.

    One attempt is one (run, target, goal, attack, judge, query): what is stored stays as it is.
    """
    with writing_of(engine, run) as connection:
        return insert_attempts(connection, run, records)


def drop_attempts(engine: Engine, run: str) -> None:
    """Forget a run's attempts, and its chunks, as a campaign does that makes them again from its replies."""
    with writing(engine) as connection:
        _hold(connection, run)
        connection.execute(attempt_rows.delete().where(attempt_rows.c.run == run))
        connection.execute(chunk_rows.delete().where(chunk_rows.c.run == run))
        tallies.forget(connection, run)


def save_replies(
    engine: Engine, run: str, answered: Mapping[str, Completion], made: Iterable[tuple[Attempt, Hashes]] = ()
) -> None:
    """Remember what was answered to questions, which are given as hashes; the first answer to a question stays.

    Attempts that were made of earlier answers are stored with them, in the same transaction.
    """
    with writing_of(engine, run) as connection:
        insert_replies(connection, run, answered)
        insert_attempts(connection, run, made)


def replies(engine: Engine, run: str) -> dict[str, Completion]:
    """Read all that was answered in a run, by the question's hash."""
    query = select(reply_rows.c.question, reply_rows.c.record).where(reply_rows.c.run == run)
    with engine.connect() as connection:
        return {question: from_dict(Completion, record) for question, record in connection.execute(query)}


def attempts(
    engine: Engine,
    *,
    run: str | None = None,
    goal: str | None = None,
    attack: str | None = None,
    target: str | None = None,
    judge: str | None = None,
    outcome: Outcome | None = None,
) -> list[Attempt]:
    """Read the attempts that fit every condition given, in the order in which they were stored."""
    wanted = {"run": run, "goal": goal, "attack": attack, "target": target, "judge": judge, "outcome": outcome}
    query = _where(select(attempt_rows.c.record), attempt_rows, wanted).order_by(attempt_rows.c.id)
    with engine.connect() as connection:
        return [from_dict(Attempt, record) for record in connection.execute(query).scalars()]


def save_findings(engine: Engine, run: str, found: Iterable[Finding]) -> None:
    """Store findings together, all or none, and take none away.

    A later word on the same key replaces the earlier one, and keeps the time when it was first seen.
    """
    with writing_of(engine, run) as connection:
        insert_findings(connection, run, found)


def findings(engine: Engine, *, run: str | None = None, status: str | None = None) -> list[Finding]:
    """Read the findings that fit every condition given, oldest first."""
    query = _where(select(finding_rows.c.record), finding_rows, {"run": run, "status": status})
    with engine.connect() as connection:
        found = connection.execute(query.order_by(finding_rows.c.created, finding_rows.c.key)).scalars()
        return [from_dict(Finding, record) for record in found]


def insert(connection: Connection, table: Table, rows: list[dict[str, Any]], replacing: tuple[str, ...] = ()) -> int:
    """Insert the rows that are not there; where one is, put the `replacing` columns in its place. Return the rows touched."""
    return len(_inserted(connection, table, rows, replacing))


def _inserted(
    connection: Connection, table: Table, rows: list[dict[str, Any]], replacing: tuple[str, ...] = ()
) -> Sequence[Row[Any]]:
    """As `insert`, but return what is told of each row touched: its key, of an attempt its id and cell."""
    dialect = {"sqlite": sqlite, "postgresql": postgresql}[connection.dialect.name]
    statement = dialect.insert(table)
    if replacing:
        changed = {name: statement.excluded[name] for name in replacing}
        statement = statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=changed)
    else:
        statement = statement.on_conflict_do_nothing()
    told = table.primary_key if table is not attempt_rows else (attempt_rows.c.id, attempt_rows.c.cell)
    return connection.execute(statement.returning(*told), rows).all()  # a row count is not told everywhere


def insert_attempts(connection: Connection, run: str, records: Iterable[tuple[Attempt, Hashes]]) -> int:
    """Store attempts in a transaction that stores more; return how many were new."""
    rest, keys, new = iter(records), dict[str, tuple[str, ...]](), list[Row[tuple[int, str]]]()
    while some := list(islice(rest, _ROWS_PER_INSERT)):
        rows = [_attempt_row(run, attempt, hashes) for attempt, hashes in some]
        for (attempt, _), row in zip(some, rows, strict=True):
            category = attempt.goal.category.replace("\0", "\ufffd")  # PostgreSQL has no zero character in texts
            key = (run, row["target"], row["judge"], row["family"], category, attempt.goal.expected, row["outcome"])
            row["cell"] = tallies.cell_of(*key)
            keys[row["cell"]] = key
        new += _inserted(connection, attempt_rows, rows)
    tallies.add(connection, keys, new)
    return len(new)


def insert_replies(connection: Connection, run: str, answered: Mapping[str, Completion]) -> None:
    """Store replies in a transaction that stores more; the first answer to a question stays."""
    rows = [{"run": run, "question": q, "created": utc_now(), "record": to_dict(c)} for q, c in answered.items()]
    for start in range(0, len(rows), _ROWS_PER_INSERT):
        insert(connection, reply_rows, rows[start : start + _ROWS_PER_INSERT])


def insert_findings(connection: Connection, run: str, found: Iterable[Finding]) -> None:
    """Store findings in a transaction that stores more, as `save_findings` does."""
    now, rest = utc_now(), iter(found)
    changing = ("run", "severity", "status", "updated", "record", "family", "category", "target")
    record = connection.execute(select(run_rows.c.record).where(run_rows.c.id == run)).scalar()
    target = record["spec"].get("target") if record else None
    while some := list(islice(rest, _ROWS_PER_INSERT)):
        rows = [
            {"key": f.key, "run": run, "severity": f.severity, "status": f.status, "created": now, "updated": now,
             "record": to_dict(f), **_facts(f, target)}
            for f in some
        ]  # fmt: skip
        insert(connection, finding_rows, rows, replacing=changing)


def _attempt_row(run: str, attempt: Attempt, hashes: Hashes) -> dict[str, Any]:
    goal = hashes.goal or digest(to_dict(attempt.goal))
    return {
        "run": run,
        "goal": attempt.goal.id or goal,
        "attack": attempt.attack,
        "target": hashes.target,
        "judge": attempt.judgement.judge,
        "query": attempt.query,
        "family": attempt.family,
        "level": attempt.level,
        "outcome": reached(attempt),
        "score": attempt.judgement.score,
        "goal_hash": goal,
        "attack_hash": hashes.attack,
        "judge_hash": hashes.judge,
        "created": utc_now(),
        "record": to_dict(attempt),
    }


def _facts(finding: Finding, target: object) -> dict[str, str]:
    """What a finding is of, as pages filter it."""
    first = finding.attempts[0] if finding.attempts else None
    facts = {
        "family": (first.family or first.attack) if first else "",
        "category": first.goal.category if first else "",
        "target": target if isinstance(target, str) and target else first.completion.model if first else "",
    }
    return {name: fact.replace("\0", "\ufffd") for name, fact in facts.items()}  # PostgreSQL has no zero character in texts


@contextmanager
def writing_of(engine: Engine, run: str) -> Iterator[Connection]:
    """One transaction for what belongs to a run. The database itself refuses what belongs to none (a foreign key)."""
    try:
        with writing(engine) as connection:
            _hold(connection, run)
            yield connection
    except IntegrityError:
        with engine.connect() as connection:
            if connection.execute(select(run_rows.c.id).where(run_rows.c.id == run)).scalar() is None:
                raise DatabaseError(f"no run {run!r} is stored; call save_run first") from None
        raise


def _hold(connection: Connection, run: str) -> None:
    """Let one at a time write to a run. Two who store the same rows in another order would wait for each other."""
    if connection.dialect.name == "postgresql":  # SQLite has one writer at a time
        connection.execute(select(run_rows.c.id).where(run_rows.c.id == run).with_for_update(key_share=True))


def _where(query: Any, table: Table, wanted: Mapping[str, str | None]) -> Any:
    for name, value in wanted.items():
        if value is not None:
            query = query.where(table.c[name] == value)
    return query


def utc_now() -> str:
    """The time as tables have it: ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="microseconds")

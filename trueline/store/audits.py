"""The guard's audit in a database: rows are added and read, never changed; what a row means is said in guard/audit.

add_rows(engine, rows)                      # one transaction
for row in rows_of(engine, writer): ...     # in order, a slice in memory at a time
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from operator import attrgetter
from pathlib import Path
from typing import Any

from sqlalchemy import JSON, ColumnElement, Engine, Insert, String, and_, bindparam, cast, column, exists, func, select

from trueline.store.opening import writing
from trueline.store.tables import audit, audit_texts

_SLICE = 1000  # rows in memory at a time
DECISIONS = ("accepted", "settled")  # on a request, and on its reply


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    """One row: what is asked for by column, the body that was written, and the hash that chains it to the row before."""

    writer: str
    seq: int
    id: str
    kind: str
    time: str
    endpoint: str
    action: str
    key: str
    tokens: int | None
    body: str
    hash: str


_NAMES = [column.name for column in fields(AuditRow)]
_values = attrgetter(*_NAMES)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditText:
    """Raw text that a policy retains until it expires (ISO 8601, UTC)."""

    writer: str
    seq: int
    expires: str
    content: bytes


def add_rows(engine: Engine, rows: Sequence[AuditRow], texts: Sequence[AuditText] = ()) -> None:
    """Add rows and the texts beside them, all or none. A row that is there already is an IntegrityError."""
    if not rows and not texts:
        return
    with writing(engine) as connection:
        if rows:
            connection.execute(_insert_many(engine.dialect.name), {"rows": json.dumps([_values(row) for row in rows])})
        if texts:
            connection.execute(audit_texts.insert(), [asdict(text) for text in texts])


def last_row(engine: Engine, writer: str) -> AuditRow | None:
    """The end of a writer's chain."""
    query = select(audit).where(audit.c.writer == writer).order_by(audit.c.seq.desc()).limit(1)
    with engine.connect() as connection:
        row = connection.execute(query).mappings().first()
    return AuditRow(**row) if row else None


def rows_of(engine: Engine, writer: str, after: int = 0) -> Iterator[AuditRow]:
    """A writer's rows in order, from the one after `after` on."""
    while True:
        query = select(audit).where(audit.c.writer == writer, audit.c.seq > after).order_by(audit.c.seq).limit(_SLICE)
        with engine.connect() as connection:
            some = [AuditRow(**row) for row in connection.execute(query).mappings()]
        yield from some
        if len(some) < _SLICE:
            return
        after = some[-1].seq


def rows_with(engine: Engine, id: str) -> list[AuditRow]:  # noqa: A002 - what the column is called
    """The rows of one exchange, in the order in which they were written."""
    query = select(audit).where(audit.c.id == id).order_by(audit.c.writer, audit.c.seq)
    with engine.connect() as connection:
        return [AuditRow(**row) for row in connection.execute(query).mappings()]


def recent_rows(engine: Engine, most: int) -> list[AuditRow]:
    """The last decisions, the latest first."""
    decision = audit.c.kind.in_(DECISIONS)
    query = select(audit).where(decision).order_by(audit.c.id.desc(), audit.c.kind.desc()).limit(most)
    with engine.connect() as connection:
        return [AuditRow(**row) for row in connection.execute(query).mappings()]


def bodies_since(engine: Engine, kind: str, time: str) -> Iterator[str]:
    """The bodies of the rows of one kind since a time (ISO 8601, UTC), in its order, a slice in memory at a time."""
    query = select(audit.c.body).where(audit.c.kind == kind, audit.c.time >= time).order_by(audit.c.time, audit.c.seq)
    with engine.connect().execution_options(yield_per=_SLICE) as connection:
        yield from connection.execute(query).scalars()


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """How many decisions of one kind (accepted, settled) came to one action within an hour (2026-11-28T14, UTC)."""

    hour: str
    kind: str
    action: str
    n: int


def traffic_since(engine: Engine, time: str) -> list[Traffic]:
    """Count the decisions since a time (ISO 8601, UTC) by hour, kind and action, from an index alone."""
    by = (func.substr(audit.c.time, 1, 13).label("hour"), audit.c.kind, audit.c.action)
    query = select(*by, func.count()).where(audit.c.kind.in_(DECISIONS), audit.c.time >= time).group_by(*by).order_by(*by)
    with engine.connect() as connection:
        return [Traffic(hour=hour, kind=kind, action=action, n=n) for hour, kind, action, n in connection.execute(query)]


def recent_bodies(engine: Engine, kind: str, most: int) -> list[str]:
    """The bodies of the last rows of one kind, the latest first."""
    query = select(audit.c.body).where(audit.c.kind == kind).order_by(audit.c.time.desc(), audit.c.action.desc()).limit(most)
    with engine.connect() as connection:
        return list(connection.execute(query).scalars())


def audit_writers(engine: Engine) -> list[str]:
    """Every writer that has a row."""
    with engine.connect() as connection:
        return list(connection.execute(select(audit.c.writer).distinct().order_by(audit.c.writer)).scalars())


def text_of(engine: Engine, writer: str, seq: int) -> bytes | None:
    """The text that was retained beside a row; None where none was, or where it is purged."""
    query = select(audit_texts.c.content).where(audit_texts.c.writer == writer, audit_texts.c.seq == seq)
    with engine.connect() as connection:
        return connection.execute(query).scalar()


def purge_texts(engine: Engine, before: str) -> int:
    """Delete the texts that expire before a time (ISO 8601, UTC), and return how many they were. The rows stay.

    SQLite overwrites what is deleted, and its log is emptied; PostgreSQL keeps dead rows until it vacuums.
    """
    with writing(engine) as connection:
        if engine.dialect.name == "sqlite":
            connection.exec_driver_sql("PRAGMA secure_delete = ON")
        purged = connection.execute(audit_texts.delete().where(audit_texts.c.expires < before)).rowcount
    if purged and engine.dialect.name == "sqlite":
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    return purged


def unsettled(engine: Engine) -> list[tuple[AuditRow, bool]]:
    """Accepted exchanges without a decision on the reply, oldest first, and whether that is lost: their process has ended.

    It has ended where the writer was opened again behind them; else it may still be under way.
    """
    later = audit.alias()
    settled = exists().where(later.c.id == audit.c.id, later.c.kind == "settled")
    reopened = exists().where(and_(later.c.writer == audit.c.writer, later.c.seq > audit.c.seq, later.c.kind == "opened"))
    query = select(audit, reopened.label("lost")).where(audit.c.kind == "accepted", ~settled).order_by(audit.c.id)
    with engine.connect() as connection:
        rows = [dict(row) for row in connection.execute(query).mappings()]
    return [(AuditRow(**{name: row[name] for name in row if name != "lost"}), bool(row["lost"])) for row in rows]


def tokens_since(engine: Engine, time: str) -> dict[str, int]:
    """The tokens that each key has spent since a time (ISO 8601, UTC), those of every writer together."""
    total = func.sum(audit.c.tokens)
    query = select(audit.c.key, total).where(audit.c.time >= time, audit.c.tokens.is_not(None)).group_by(audit.c.key)
    with engine.connect() as connection:
        return {key: int(tokens) for key, tokens in connection.execute(query)}


@cache
def _insert_many(dialect: str) -> Insert:
    """An insert of rows that come as one JSON text (a list of lists).

    One call for all rows, in which the driver lets other threads run: executemany takes the interpreter's lock back for each
    row, and a thread that answers requests meanwhile waits for it as often.
    """
    rows = bindparam("rows", type_=String)
    values: list[ColumnElement[Any]]
    if dialect == "sqlite":
        found = func.json_each(rows).table_valued("value")
        values = [func.json_extract(found.c.value, f"$[{index}]") for index in range(len(_NAMES))]
    else:
        found = func.json_array_elements(cast(rows, JSON)).table_valued(column("value", JSON))
        values = [cast(found.c.value.op("->>")(index), audit.c[name].type) for index, name in enumerate(_NAMES)]
    return audit.insert().from_select(_NAMES, select(*values))


def same_file(engine: Engine) -> tuple[int, int] | None:
    """Which file an SQLite database is; None elsewhere. A database that was removed while open takes writes to nowhere."""
    if engine.dialect.name != "sqlite" or not engine.url.database or engine.url.database == ":memory:":
        return None
    try:
        found = Path(engine.url.database).stat()
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino

"""Parts of a campaign that were carried out by workers, each stored whole or not at all.

    save_chunk(engine, "r1", key, told, answered, made)       its attempts, its replies, and that it is done: one transaction
    done = chunks(engine, "r1")                               what was told of each, by key

A chunk that is there is not carried out again, whoever was killed since; one that comes twice is stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Engine, select

from trueline.core.types import Attempt, Completion
from trueline.store.database import Hashes, insert, insert_attempts, insert_replies, utc_now, writing_of
from trueline.store.tables import chunks as chunk_rows


def save_chunk(
    engine: Engine, run: str, key: str, told: Mapping[str, object], answered: Mapping[str, Completion],
    made: Iterable[tuple[Attempt, Hashes]],
) -> None:  # fmt: skip
    """Store a chunk: attempts in their order, replies by the question's hash, and `told`, any JSON; what is there stays."""
    with writing_of(engine, run) as connection:
        if insert(connection, chunk_rows, [{"run": run, "key": key, "created": utc_now(), "record": dict(told)}]):
            insert_replies(connection, run, answered)
            insert_attempts(connection, run, made)


def chunks(engine: Engine, run: str) -> dict[str, Mapping[str, Any]]:
    """Read what was told of each chunk of a run, by its key."""
    query = select(chunk_rows.c.key, chunk_rows.c.record).where(chunk_rows.c.run == run)
    with engine.connect() as connection:
        return {row.key: row.record for row in connection.execute(query)}

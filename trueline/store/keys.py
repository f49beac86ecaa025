"""The gateway's keys in a database: their digests and limits, never the keys themselves.

save_key(engine, row); revoke_key(engine, "k1f3...", at=now); keys(engine)
"""

from __future__ import annotations

from dataclasses import asdict, dataclass

from sqlalchemy import Engine, select

from trueline.store.opening import writing
from trueline.store.tables import guard_keys


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key. Times are ISO 8601, UTC; a limit of 0 is none; a burst of 0 is a minute's requests."""

    id: str
    label: str
    digest: str  # SHA-256 of the secret, hex
    created: str
    revoked: str | None = None
    requests_a_minute: int = 0
    burst: int = 0
    bytes_a_minute: int = 0
    tokens_a_day: int = 0


def save_key(engine: Engine, row: KeyRow) -> None:
    """Add a key."""
    with writing(engine) as connection:
        connection.execute(guard_keys.insert(), asdict(row))


def keys(engine: Engine) -> list[KeyRow]:
    """Every key, those that are revoked included, oldest first."""
    with engine.connect() as connection:
        rows = connection.execute(select(guard_keys).order_by(guard_keys.c.created, guard_keys.c.id)).mappings()
        return [KeyRow(**row) for row in rows]


def revoke_key(engine: Engine, id: str, at: str) -> bool:  # noqa: A002 - what the column is called
    """Say that a key is revoked; False where there is no such key. One that is revoked stays so since when it was."""
    with writing(engine) as connection:
        known = connection.execute(select(guard_keys.c.id).where(guard_keys.c.id == id)).scalar()
        change = guard_keys.update().where(guard_keys.c.id == id, guard_keys.c.revoked.is_(None))
        connection.execute(change.values(revoked=at))
    return known is not None

"""Brings a database's tables to the newest form, by Alembic, from the migrations that ship with the package.

It works on a connection that is already in a transaction: a migration is there whole or not at all, and a second process that
opens the same new database waits for the first.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

_LOCK = 7205759403792  # any fixed number: the PostgreSQL advisory lock that means "trueline migrates"


def config(connection: Connection) -> Config:
    """Give Alembic's own commands a configuration: these migrations, on this connection."""
    settings = Config()
    settings.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    settings.attributes["connection"] = connection
    return settings


def upgrade(connection: Connection) -> None:
    """Bring the tables to the newest form, or do nothing where they have it."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    settings = config(connection)
    scripts = ScriptDirectory.from_config(settings)
    now, known = current(connection), {script.revision for script in scripts.walk_revisions()}
    if now is not None and now not in known:
        raise ValueError(
            f"it is at revision {now!r}, which this version of trueline does not know; "
            f"install the newer trueline that wrote it, or choose another database"
        )
    if now != scripts.get_current_head():
        command.upgrade(settings, "head")


def current(connection: Connection) -> str | None:
    """Say which revision the tables have; None before the first."""
    return MigrationContext.configure(connection).get_current_revision()

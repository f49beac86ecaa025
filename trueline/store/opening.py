"""Opening a database: SQLite by default, PostgreSQL by URL, its tables brought to the newest migration.

    database = open_database()                                       # TRUELINE_DATABASE, or runs/trueline.db
    database = open_database("elsewhere.db")                         # an SQLite file
    database = open_database("postgresql://me:secret@host/name")     # with the extra `postgres`

`TRUELINE_DATABASE` is an environment variable because the URL may hold a password; it is never printed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from trueline.store.migrations import upgrade

DEFAULT = "runs/trueline.db"
Database = Engine  # what other rooms call it: they speak no SQL
# A lock is waited for, in milliseconds. With WAL, NORMAL keeps every commit of a killed process; only a power cut can take the
# last ones away, and it never leaves a torn file. FULL would wait for the disk at each commit.
_PRAGMAS = ("busy_timeout = 30000", "journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON")


class DatabaseError(RuntimeError):
    """A database that cannot be opened, or that holds something else than the caller says. Never shows a password."""


def open_database(url: str | Path | None = None) -> Engine:
    """Open a database and bring it to the newest migration. Without a URL: TRUELINE_DATABASE, else `runs/trueline.db`."""
    address = address_of(url)
    shown = address.render_as_string(hide_password=True)
    try:
        engine = create_engine(address)
        if engine.dialect.name == "sqlite":
            _prepare_sqlite(engine)
        with writing(engine) as connection:
            upgrade(connection)
    except ModuleNotFoundError as error:
        raise DatabaseError(f"{shown}: {error}; install the driver: pip install 'trueline[postgres]'") from None
    except (NoSuchModuleError, DBAPIError, ValueError) as error:
        cause = str(error.orig if isinstance(error, DBAPIError) else error).strip().partition("\n")[0]
        raise DatabaseError(f"{shown}: cannot open this database: {_without_password(cause, address)}") from None
    return engine


def open_beside(run: Path) -> Engine:
    """Open the database of a run's folder: TRUELINE_DATABASE, else `trueline.db` beside it."""
    return open_database(os.environ.get("TRUELINE_DATABASE") or run.parent / "trueline.db")


@contextmanager
def beside(run: Path) -> Iterator[Engine]:
    """The database of a run's folder, closed again behind what is read from it."""
    engine = open_beside(run)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Hold one transaction for writing. SQLite takes its write lock at once: it then waits for others instead of failing."""
    with engine.execution_options(sqlite_begin="BEGIN IMMEDIATE").begin() as connection:
        yield connection


def address_of(url: str | Path | None = None) -> URL:
    """Where a database is, without asking it; a text that can be no address is a DatabaseError."""
    url = url if url is not None else os.environ.get("TRUELINE_DATABASE") or DEFAULT
    if isinstance(url, Path) or "://" not in url:
        address = URL.create("sqlite", database=str(url))
    else:
        try:
            address = make_url(url)
        except (ArgumentError, ValueError):
            raise DatabaseError(
                "expected a database URL such as sqlite:///file.db or postgresql://user:password@host/name, "
                "or the path of an SQLite file; got something else (not shown, it may hold a password)"
            ) from None
    if address.drivername in ("postgres", "postgresql"):  # psycopg 3 is the driver that the extra `postgres` installs
        address = address.set(drivername="postgresql+psycopg")
    if address.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseError(f"expected an SQLite or a PostgreSQL database, got {address.get_backend_name()!r}")
    return address


def _without_password(text: str, address: URL) -> str:
    return text.replace(str(address.password), "***") if address.password else text


def _prepare_sqlite(engine: Engine) -> None:
    """Keep readers and a writer out of each other's way (WAL), wait for a lock, and hold foreign keys to their word."""
    if engine.url.database not in (None, "", ":memory:"):
        Path(engine.url.database).parent.mkdir(parents=True, exist_ok=True)

    @event.listens_for(engine, "connect")
    def connect(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver must begin no transaction of its own: `begin` below does
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("sqlite_begin", "BEGIN"))

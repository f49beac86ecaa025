"""Databases for tests: SQLite, and a real PostgreSQL, which is started once in each worker.

    def test_it_holds_on_every_database(url): ...         # runs twice; the tables are there, and empty
    def test_it_holds_on_postgresql(postgres_url): ...
    def test_of_migrations(bare_url): ...                 # nothing is there

The tables are made once in each worker, by the migrations, and copied for each test.
`TRUELINE_TEST_POSTGRES`, the URL of an empty database, takes the place of the server that is started here.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Server, cluster, missing

GIVEN = "TRUELINE_TEST_POSTGRES"
KINDS = ["sqlite", "postgres"]


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Give the worker's PostgreSQL."""
    if words := missing():
        pytest.skip(words)
    with cluster() as server:
        yield server


@pytest.fixture(scope="session")
def _made_in_postgres(postgres_server: Server) -> Iterator[str]:
    with postgres_server.database() as url:
        _open_and_close(url)
        yield url


@pytest.fixture(scope="session")
def _made_in_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("made") / "a.db"
    _open_and_close(made)
    return made


@pytest.fixture
def bare_postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database."""
    if given := os.environ.get(GIVEN):
        yield given
        _emptied(given)
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield url


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of a PostgreSQL database with empty tables."""
    if os.environ.get(GIVEN):
        yield str(request.getfixturevalue("bare_postgres_url"))
    else:
        server, made = (request.getfixturevalue(name) for name in ("postgres_server", "_made_in_postgres"))
        with server.database(like=made) as url:
            yield url


@pytest.fixture(params=KINDS)
def bare_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'a.db'}"
    return str(request.getfixturevalue("bare_postgres_url"))


@pytest.fixture(params=KINDS)
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of a database with empty tables, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{shutil.copy(request.getfixturevalue('_made_in_sqlite'), tmp_path / 'a.db')}"
    return str(request.getfixturevalue("postgres_url"))


def _open_and_close(address: str | Path) -> None:
    from trueline.store.opening import open_database

    open_database(address).dispose()


def _emptied(url: str) -> None:
    from alembic import command

    from trueline.store import migrations
    from trueline.store.opening import open_database, writing

    engine = open_database(url)
    with writing(engine) as connection:
        command.downgrade(migrations.config(connection), "base")
    engine.dispose()

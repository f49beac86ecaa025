"""Empty databases for tests: SQLite, and a real PostgreSQL, which is started once in each worker.

    def test_it_holds_on_every_database(url): ...         # runs twice
    def test_it_holds_on_postgresql(postgres_url): ...

`TRUELINE_TEST_POSTGRES`, the URL of an empty database, takes the place of the server that is started here.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.postgres import Server, cluster, missing


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[Server]:
    """Give the worker's PostgreSQL."""
    if words := missing():
        pytest.skip(words)
    with cluster() as server:
        yield server


@pytest.fixture
def postgres_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """Give the URL of an empty PostgreSQL database."""
    if given := os.environ.get("TRUELINE_TEST_POSTGRES"):
        yield given
        _emptied(given)
    else:
        with request.getfixturevalue("postgres_server").database() as url:
            yield url


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Give the URL of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'deep' / 'a.db'}"
    return str(request.getfixturevalue("postgres_url"))


def _emptied(url: str) -> None:
    from alembic import command

    from trueline.store import migrations
    from trueline.store.opening import open_database, writing

    engine = open_database(url)
    with writing(engine) as connection:
        command.downgrade(migrations.config(connection), "base")
    engine.dispose()

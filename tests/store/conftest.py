"""An empty database for tests of the store: SQLite, and PostgreSQL where TRUELINE_TEST_POSTGRES names one."""

import os

import pytest
from alembic import command

from trueline.store import migrations
from trueline.store.opening import open_database, writing

POSTGRES = os.environ.get("TRUELINE_TEST_POSTGRES", "")


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgres", marks=pytest.mark.skipif(not POSTGRES, reason="TRUELINE_TEST_POSTGRES is not set")),
    ]
)
def url(request, tmp_path):
    """Give the URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'deep' / 'a.db'}"
    else:
        yield POSTGRES
        engine = open_database(POSTGRES)
        with writing(engine) as connection:
            command.downgrade(migrations.config(connection), "base")
        engine.dispose()

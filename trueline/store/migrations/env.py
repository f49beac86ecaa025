"""Alembic's environment: it migrates on the connection that `trueline.store.migrations.config` was given."""

from alembic import context

from trueline.store import account_tables, ranking_tables, tally_tables, watch_tables  # noqa: F401 - they put their tables there
from trueline.store.tables import metadata


def migrate() -> None:
    """Run the migrations that Alembic was asked for, in the transaction that the connection is in."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        render_as_batch=True,  # SQLite cannot alter a table in place: Alembic copies it
        transactional_ddl=True,
    )
    with context.begin_transaction():
        context.run_migrations()


if __name__ == "env_py":  # the name under which Alembic runs this file; a plain import does nothing
    migrate()

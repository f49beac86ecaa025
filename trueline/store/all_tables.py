"""Every table of the store on one `metadata`: what Alembic compares a database with. A new file of tables has its line here."""

from trueline.store import (  # noqa: F401 - each puts its tables on the metadata
    account_tables,
    people_tables,
    ranking_tables,
    tally_tables,
    watch_tables,
)
from trueline.store.tables import metadata

__all__ = ["metadata"]

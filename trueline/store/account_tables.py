"""The tables of the web pages' accounts: who may come in, as what, and who is in just now."""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, String, Table

from trueline.store.tables import metadata

people = Table(
    "people",
    metadata,
    Column("id", String, primary_key=True),  # random; what records and exports hold in place of a name
    Column("name", String, nullable=False, unique=True),
    Column("password", String, nullable=False),  # Argon2id, with its salt and settings
    Column("roles", JSON, nullable=False),  # of annotator, red-teamer, operator, admin
    Column("created", String, nullable=False),
    Column("disabled", String),  # since when
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", String, primary_key=True),  # SHA-256 of the cookie's token; the token itself is nowhere
    Column("person", ForeignKey("people.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("csrf", String, nullable=False),
    Column("created", String, nullable=False),
    Column("expires", String, nullable=False, index=True),
)

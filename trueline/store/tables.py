"""The tables: what is asked for by column, and the whole record as JSON beside it.

A change here needs a migration (README.md of this folder says how); a test compares the two.
Times are ISO 8601 text in UTC, which sorts as time does in every database.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={  # named, so that a migration can drop them on every database
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

runs = Table(
    "runs",
    metadata,
    Column("id", String, primary_key=True),
    Column("recipe", String, nullable=False, index=True),
    Column("seed", BigInteger, nullable=False),
    Column("commit", String, nullable=False),
    Column("started", String, nullable=False, index=True),
    Column("record", JSON, nullable=False),  # core.types.Run
)

stages = Table(
    "stages",
    metadata,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("key", String, nullable=False, index=True),  # content hash of its inputs
    Column("state", String, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("saved", String, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("goal", String, nullable=False),  # the prompt's id, or a hash of the prompt where it has none
    Column("attack", String, nullable=False),
    Column("target", String, nullable=False),  # content hash of what was attacked
    Column("judge", String, nullable=False),
    Column("query", Integer, nullable=False),
    Column("family", String, nullable=False),
    Column("level", String),
    Column("outcome", String, nullable=False),  # success, failure, undetermined, error
    Column("score", Float),
    Column("goal_hash", String, nullable=False),  # content hashes: what the names stood for
    Column("attack_hash", String, nullable=False),
    Column("judge_hash", String, nullable=False),
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # core.types.Attempt
    Column("cell", String, nullable=False, server_default=text("''")),  # where it is counted: tally_tables.py
    UniqueConstraint("run", "target", "goal", "attack", "judge", "query"),  # stored exactly once
    Index(None, "goal", "attack"),
    Index(None, "cell", "id"),
)

replies = Table(  # the memory of a run: a question that was answered is not asked again
    "replies",
    metadata,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("question", String, primary_key=True),  # content hash of who was asked what, and how it was to be sampled
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # core.types.Completion
)

chunks = Table(  # parts of a campaign that workers carried out whole: none is carried out again (chunks.py)
    "chunks",
    metadata,
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String, primary_key=True),  # content hash of what was asked
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # what there was to say of it beside its attempts
)

findings = Table(
    "findings",
    metadata,
    Column("key", String, primary_key=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),  # the run that saw it last
    Column("severity", String, nullable=False),
    Column("status", String, nullable=False),
    Column("created", String, nullable=False),
    Column("updated", String, nullable=False),
    Column("record", JSON, nullable=False),  # core.types.Finding
    Column("family", String, nullable=False, server_default=text("''")),  # of its first attempt, as is the category
    Column("category", String, nullable=False, server_default=text("''")),
    Column("target", String, nullable=False, server_default=text("''")),  # as the run that saw it last names it, else the model
    Column("cluster", String, nullable=False, server_default=text("''")),  # findings that are one weakness: watch/clusters.py
    Index(None, "updated", "key", "status", "severity", "family", "category", "target"),  # all that pages filter by: found.py
)

audit = Table(  # rows of the guard's gateway (guard/audit): the columns say what the body says, which the hash is over
    "audit",
    metadata,
    Column("writer", String, primary_key=True),  # the process that wrote; each has a chain of its own
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("id", String, nullable=False, index=True),  # of the exchange
    Column("kind", String, nullable=False),
    Column("time", String, nullable=False),
    Column("endpoint", String, nullable=False),
    Column("action", String, nullable=False),
    Column("key", String, nullable=False),  # the id of who asked
    Column("tokens", BigInteger),
    Column("body", Text, nullable=False),  # canonical JSON, byte for byte as it was written
    Column("hash", String, nullable=False),
    Index(None, "kind", "time", "action"),  # counted without a look at the rows: audits.py
    Index(None, "key", "time"),
)

audit_texts = Table(  # only where a policy retains raw text; no chain stands on it, so that it can be purged
    "audit_texts",
    metadata,
    Column("writer", String, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("expires", String, nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
)

guard_keys = Table(
    "guard_keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("label", String, nullable=False),
    Column("digest", String, nullable=False),  # SHA-256 of the key
    Column("created", String, nullable=False),
    Column("revoked", String),
    Column("requests_a_minute", Integer, nullable=False),  # 0, here and below: no limit
    Column("burst", Integer, nullable=False),
    Column("bytes_a_minute", BigInteger, nullable=False),
    Column("tokens_a_day", BigInteger, nullable=False),
)

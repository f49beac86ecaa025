"""The tables of ranking: projects, their items, who was shown what, the answers, every version of them, and final words.

What stands in `ranking_events` is only ever added to, in the transaction that changes the rest: an answer that was taken back
is still there. Times are ISO 8601 text in UTC, as everywhere; a person is an id, never a name.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, Float, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from trueline.store.tables import metadata

projects = Table(
    "ranking_projects",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False, unique=True),
    Column("state", String, nullable=False),  # open, closed
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # ranking_records.Project; its state is the column's
)

items = Table(
    "ranking_items",
    metadata,
    Column("id", String, primary_key=True),  # content hash of the project, the prompt and the completions
    Column("project", ForeignKey("ranking_projects.id", ondelete="CASCADE"), nullable=False),
    Column("gold", Integer, nullable=False),  # 1: it has gold ranks
    Column("place", String, nullable=False),  # a hash of the seed and the id: the order of random choice
    Column("priority", Float, nullable=False),  # the higher, the earlier, where a project chooses the uncertain
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # ranking_records.Item
    Index(None, "project", "place"),
)

assignments = Table(
    "ranking_assignments",
    metadata,
    Column("id", String, primary_key=True),
    Column("project", ForeignKey("ranking_projects.id", ondelete="CASCADE"), nullable=False),
    Column("item", ForeignKey("ranking_items.id", ondelete="CASCADE"), nullable=False),
    Column("person", String, nullable=False),
    Column("number", Integer, nullable=False),  # counts what this person was given in this project, from 1
    Column("turn", Integer, nullable=False),  # 0: shown for the first time; then repeats
    Column("kind", String, nullable=False),  # new, gold, repeat
    Column("shown", JSON, nullable=False),  # places in the item, in the order in which the cards are shown
    Column("created", String, nullable=False),
    Column("expires", String, nullable=False),  # the lease
    Column("status", String, nullable=False),  # leased, draft, submitted, skipped, discarded
    Column("kept", Integer, nullable=False),  # 1: it was submitted once, and holds its slot without a lease
    Column("answered", String),  # when it was submitted, skipped or discarded
    Column("answer", JSON, nullable=False),  # ranking_records.Given; empty before the first draft
    UniqueConstraint("item", "person", "turn"),  # nobody is given one twice by accident
    Index(None, "project", "person", "number"),
)

adjudications = Table(
    "ranking_adjudications",
    metadata,
    Column("item", ForeignKey("ranking_items.id", ondelete="CASCADE"), primary_key=True),
    Column("project", ForeignKey("ranking_projects.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("person", String, nullable=False),
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # ranking_records.Given
)

events = Table(
    "ranking_events",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("project", ForeignKey("ranking_projects.id", ondelete="CASCADE"), nullable=False),
    Column("item", String, nullable=False),
    Column("person", String, nullable=False),
    Column("assignment", String, nullable=False),  # empty for an adjudication
    Column("kind", String, nullable=False),  # leased, submitted, skipped, discarded, reopened, adjudicated
    Column("time", String, nullable=False),
    Column("record", JSON, nullable=False),  # the Given as it was then; empty where there was none
    Index(None, "project", "item"),
)

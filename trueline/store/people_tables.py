"""The tables of attacks by people: conversations (hunts), their turns, and claims that a turn got what it should not.

A question is an attempt like any other and stands in `attempts` too, written in the transaction that stores its turn. Times are
ISO 8601 text in UTC, as everywhere; a person is an id, never a name.
"""

from __future__ import annotations

from sqlalchemy import JSON, Column, ForeignKey, Index, Integer, String, Table, UniqueConstraint

from trueline.store.tables import metadata

hunts = Table(
    "hunts",
    metadata,
    Column("id", String, primary_key=True),
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),  # one for each target and judge
    Column("person", String, nullable=False),
    Column("target", String, nullable=False),  # the name that the page shows
    Column("goal", String, nullable=False),  # its key: a hash of the prompt
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # hunt_records.Hunt
    Index(None, "person", "target", "goal"),
)

turns = Table(
    "hunt_turns",
    metadata,
    Column("id", String, primary_key=True),
    Column("hunt", ForeignKey("hunts.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),  # counts the turns of a hunt, whatever their branch, from 1
    Column("person", String, nullable=False),
    Column("state", String, nullable=False),  # asked, answered, failed
    Column("asked", String, nullable=False),  # when, the last time
    Column("asks", Integer, nullable=False),  # how often: each is a question of its person's budget
    Column("record", JSON, nullable=False),  # hunt_records.Turn
    UniqueConstraint("hunt", "number"),
    Index(None, "person", "asked"),
)

claims = Table(
    "hunt_claims",
    metadata,
    Column("id", String, primary_key=True),
    Column("turn", ForeignKey("hunt_turns.id", ondelete="CASCADE"), nullable=False, unique=True),  # a turn is claimed once
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("person", String, nullable=False, index=True),
    Column("target", String, nullable=False),
    Column("key", String, nullable=False, index=True),  # attack/bank.py's, by which a finding is known
    Column("cluster", String, nullable=False, index=True),  # goals that hang together
    Column("category", String, nullable=False),
    Column("family", String, nullable=False),
    Column("state", String, nullable=False, index=True),  # waiting, accepted, rejected, merged, twin
    Column("created", String, nullable=False),
    Column("record", JSON, nullable=False),  # hunt_records.Claim
)

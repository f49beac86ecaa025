"""The table of tallies: how many attempts of each kind there are, so that no page counts them one by one.

A row is a cell: what was attacked in which run, who judged, by which family of attacks, on which category of goals, whether a
goal should have been refused, and what the attempt came to. It is written in the transaction of its attempts (tallies.py), and
always equals a recount.
"""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String, Table

from trueline.store.tables import metadata

tallies = Table(
    "tallies",
    metadata,
    Column("cell", String, primary_key=True),  # a hash of the next seven; attempts carry it
    Column("run", ForeignKey("runs.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("target", String, nullable=False),
    Column("judge", String, nullable=False),
    Column("family", String, nullable=False),
    Column("category", String, nullable=False),
    Column("expected", String, nullable=False),  # refuse, comply
    Column("outcome", String, nullable=False),
    Column("count", Integer, nullable=False),
    Column("oldest", Integer, nullable=False),  # the ids of the first and the last attempt in it
    Column("newest", Integer, nullable=False),
)

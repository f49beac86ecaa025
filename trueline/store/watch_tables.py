"""The tables of the watch: what is to be tested when, each round of it, and the alerts that were raised.

A round's lease lies in the row of its watch, so that taking it is one statement: two daemons never run one round twice.
Times are ISO 8601 text in UTC, as everywhere.
"""

from __future__ import annotations

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text, text

from trueline.store.tables import metadata

_THERE = text("state <> 'removed'")

watches = Table(
    "watches",
    metadata,
    Column("id", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("target", String, nullable=False),
    Column("every", BigInteger, nullable=False),  # seconds from the start of a round to the start of the next
    Column("spec", JSON, nullable=False),  # what is asked: watch/plan.py
    Column("budget", JSON, nullable=False),  # of a round: questions, tokens, cost, seconds; watch/budget.py
    Column("state", String, nullable=False),  # active, paused, removed
    Column("created", String, nullable=False),
    Column("due", String, nullable=False, index=True),  # when the next round may begin
    Column("next", Integer, nullable=False),  # the number of the next round, or of the one under way
    Column("holder", String),  # who runs the round, until when
    Column("lease", String),
    Index(None, "name", unique=True, sqlite_where=_THERE, postgresql_where=_THERE),  # a removed watch gives its name up
)

rounds = Table(
    "watch_rounds",
    metadata,
    Column("watch", ForeignKey("watches.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("state", String, nullable=False),  # running, done, stopped (a budget was spent), failed
    Column("holder", String, nullable=False),  # who wrote last
    Column("run", String, nullable=False),  # the id of its campaign in `runs`; empty until it has one
    Column("started", String, nullable=False),
    Column("ended", String),
    Column("plan", JSON, nullable=False),  # what was chosen to be asked, and why
    Column("result", JSON, nullable=False),  # rates, cells, sentinels, what was spent
    Index(None, "started"),
)

alerts = Table(
    "watch_alerts",
    metadata,
    Column("id", String, primary_key=True),  # a hash of what it is about, so that it is raised once
    Column("watch", ForeignKey("watches.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("number", Integer, nullable=False),  # the round
    Column("kind", String, nullable=False),  # change, regressed, found, failed, expired
    Column("severity", String, nullable=False),
    Column("text", Text, nullable=False),
    Column("record", JSON, nullable=False),
    Column("created", String, nullable=False, index=True),
    Column("sent", JSON, nullable=False),  # channel -> when, or why not
)

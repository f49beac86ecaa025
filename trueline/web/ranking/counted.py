"""Figures of a project that take time, kept by the number of its last event: nothing is counted twice, and nothing is stale.

A project of 5,000 items with five answers to each is read and counted in about a second; the pages ask every ten seconds.
"""

from __future__ import annotations

from functools import lru_cache

from trueline.store.opening import Database
from trueline.store.ranking import progress
from trueline.store.ranking_left import last_event
from trueline.store.ranking_records import Progress

KEPT = 32  # figures of so many states of projects


def progress_at(database: Database, project: str) -> Progress:
    """How far a project is now. Leases are no events here: who has something open may be told a little late."""
    return _progress(database, project, last_event(database, project))


@lru_cache(maxsize=KEPT)
def _progress(database: Database, project: str, event: int) -> Progress:
    return progress(database, project)

"""What is left of a ranking project for one annotator, and how far it has come: counted for the pages that list it.

mine = left_for(engine, project, person, now)      # Left: what may be taken now, what was done, and how much of it today
last_event(engine, project.id)                     # grows with all that changes a figure: what is computed is kept by it
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Engine, func, select

from trueline.store.ranking import text
from trueline.store.ranking_records import Project
from trueline.store.ranking_tables import assignments as rows
from trueline.store.ranking_tables import items as item_rows
from trueline.store.ranking_work import answered_today, fresh_items


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """One annotator's share of a project."""

    items: int  # that they may be given now, and what they left unfinished; repeats and gold items come on top
    submitted: int
    today: int  # answered since midnight (UTC), which is what a daily cap counts


def left_for(engine: Engine, project: Project, person: str, now: datetime) -> Left:
    """Count what there is to do for an annotator, and what they have done."""
    mine = (rows.c.project == project.id) & (rows.c.person == person)
    with engine.connect() as connection:

        def count(query: object) -> int:
            return int(connection.execute(query).scalar_one())  # type: ignore[call-overload]

        fresh = count(select(func.count()).select_from(item_rows).where(*fresh_items(project, person, text(now))))
        held = count(select(func.count()).where(mine, rows.c.status.in_(("leased", "draft"))))
        submitted = count(select(func.count()).where(mine, rows.c.status == "submitted"))
        today = answered_today(connection, project.id, person, now)
    return Left(items=fresh + held, submitted=submitted, today=today)

"""The annotator's pages: the projects with what is left for them, and the desk at which they rank one item after the other.

`/ranking` lists; `/ranking/{project}/work` gives the item that one holds, or the next one. Looking at the desk takes an item:
whoever looks again gets the same one, and the lease frees it if nobody comes back.
"""

from __future__ import annotations

import time

from trueline.store.ranking import projects
from trueline.store.ranking_left import left_for
from trueline.store.ranking_records import Project
from trueline.store.ranking_work import next_item
from trueline.web.ranking.counted import PATIENCE, PROGRESS
from trueline.web.ranking.told import ASKED, WHY, Json, project_at, project_told, work_told
from trueline.web.site.room import Asked
from trueline.web.site.visitor import OPERATORS


def listed(asked: Asked) -> Json:
    """The projects, open ones first: how far each is, and what there is for this visitor to do."""
    found = sorted(projects(asked.site.database), key=lambda one: one.state == "closed")
    until = time.monotonic() + PATIENCE  # for all of them together
    told = [{**project_told(one), "progress": progress_told(asked, one, until), "mine": mine_told(asked, one)} for one in found]
    return {"projects": told, "operator": asked.visitor.may(OPERATORS)}


def desk(asked: Asked) -> Json:
    """The item before this annotator, or why there is none."""
    project, now = project_at(asked.site.database, asked.path["project"]), asked.site.now()
    offer = next_item(asked.site.database, project.id, asked.visitor.id, now)
    return {
        "title": project.name,
        "project": project_told(project),
        "asked": {question: ASKED[question] for question in project.questions},
        "why": WHY.get(offer.why, ""),
        "mine": mine_told(asked, project),
        "item": work_told(offer, now),
    }


def progress_told(asked: Asked, project: Project, until: float) -> Json | None:
    """How far a project is, in all; None until that is counted."""
    found = PROGRESS.at(asked.site.database, project.id, max(0.0, until - time.monotonic())).value
    return found and {"items": found.items, "complete": found.complete, "submitted": found.submitted, "wanted": found.wanted}


def mine_told(asked: Asked, project: Project) -> Json:
    """What is left for this visitor, what they did, and what of it today."""
    found = left_for(asked.site.database, project, asked.visitor.id, asked.site.now())
    left = 0 if project.state == "closed" else found.items
    return {"left": left, "submitted": found.submitted, "today": found.today}

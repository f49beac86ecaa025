"""`/ranking/{project}`: what an operator sees of a project: who did how much, how far people agree, and what comes of it.

Figures are those of `trueline ranking show`. The page renews itself every ten seconds while it is looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.agreement import RELIABLE, TENTATIVE, Agreement, Rater
from trueline.evaluate.board import Board
from trueline.recipes.ranked import Asked as Measured
from trueline.recipes.ranked_export import FORMS, RECORDS
from trueline.store.accounts import persons
from trueline.store.opening import Database
from trueline.store.ranking import items
from trueline.store.ranking_records import Item, Progress
from trueline.web.ranking.counted import STANDING
from trueline.web.ranking.told import ASKED, Json, project_at, project_told
from trueline.web.site.drawing import dots
from trueline.web.site.room import Asked

WORST = 8  # items that are listed of each kind
EXCERPT = 140  # characters of a prompt


def overview(asked: Asked) -> Json:
    """A project: its settings, its people, and for each question agreement, worst items, adjudication queue and board."""
    database = asked.site.database
    project = project_at(database, asked.path["project"])
    found = STANDING.at(database, project.id)
    asked_of = found.value.asked if found.value else ()
    listed = {key for one in asked_of for key in (*_worst(one.agreement), *one.adjudicate[:WORST])}
    known = {item.id: item for item in items(database, project.id, ids=listed)} if listed else {}
    names = names_of(database)
    return {
        "title": project.name,
        "project": project_told(project) | {
            "lease": project.lease, "gold_share": project.gold_share, "repeat_share": project.repeat_share,
            "choosing": project.choosing, "seed": project.seed,
        },
        "event": found.event,
        "behind": found.behind,
        "progress": _progress(found.value.progress) if found.value else None,
        "people": [
            {**asdict(work), "id": work.person, "name": names.get(work.person, ""),
             "asked": {one.question: _rater(one.agreement, work.person) for one in asked_of}}
            for work in (found.value.progress.people if found.value else ())
        ],
        "asked": [_question(one, known) for one in asked_of],
        "exports": [*FORMS, RECORDS],
    }  # fmt: skip


def names_of(database: Database) -> dict[str, str]:
    """The names of people by id, for those who need to know whom to ask."""
    return {one.id: one.name for one in persons(database)}


def rate(found: Rate | None) -> Json | None:
    """A rate as plain values; None where nothing was measured."""
    return asdict(found) if found and found.n else None


def excerpt(item: Item) -> str:
    """The last thing that was said in a prompt, cut short."""
    said = next((one.text for one in reversed(item.prompt.conversation.messages) if one.text.strip()), "")
    words = " ".join(said.split())
    return words if len(words) <= EXCERPT else f"{words[: EXCERPT - 1]}…"


def verdict(alpha: Rate | None) -> str:
    """What Krippendorff's customary bounds say of an alpha, by its whole interval."""
    if alpha is None:
        return "two answers to one item are needed"
    if alpha.low >= RELIABLE:
        return f"reliable: the whole interval is at {RELIABLE} or above"
    if alpha.high < TENTATIVE:
        return f"not reliable: the whole interval is below {TENTATIVE}"
    if alpha.low >= TENTATIVE:
        return f"tentative: the whole interval is at {TENTATIVE} or above"
    return f"not decided: the interval holds {TENTATIVE}"


def _progress(found: Progress) -> Json:
    names = ("items", "complete", "gold", "submitted", "wanted", "adjudicated")
    return {name: getattr(found, name) for name in names}


def _question(one: Measured, known: Mapping[str, Item]) -> Json:
    agreed = one.agreement
    by_item = {item.item: item for item in agreed.items}
    return {
        "question": one.question,
        "words": ASKED[one.question],
        "pairwise": rate(agreed.pairwise),
        "alpha": rate(agreed.alpha),
        "tau": rate(agreed.tau),
        "itself": rate(agreed.itself),
        "gold": rate(agreed.gold),
        "verdict": verdict(agreed.alpha),
        "worst": _rows(_worst(agreed), by_item, known),
        "queue": _rows(one.adjudicate[:WORST], by_item, known),
        "in_queue": len(one.adjudicate),
        "board": _board(one.board),
        "why": one.why,
        "charts": _charts(one),
    }


def _worst(agreed: Agreement) -> list[str]:
    return [item.item for item in agreed.items[:WORST] if item.distance > 0]


def _rows(keys: Iterable[str], by_item: Mapping[str, Any], known: Mapping[str, Item]) -> list[Json]:
    return [
        {"item": key, "prompt": excerpt(known[key]), "veiled": known[key].veiled, "cards": len(known[key].completions),
         "votes": by_item[key].votes, "distance": by_item[key].distance, "disputed": len(by_item[key].disputed)}
        for key in keys
        if key in known and key in by_item
    ]  # fmt: skip


def _rater(agreed: Agreement, person: str) -> Json:
    found = next((one for one in agreed.raters if one.rater == person), None)
    mine = found or Rater(rater=person, votes=0, others=None, itself=None, gold=None, seconds=0.0)
    return {"others": rate(mine.others), "itself": rate(mine.itself), "gold": rate(mine.gold), "median_seconds": mine.seconds}


def _board(board: Board | None) -> Json | None:
    if board is None:
        return None
    models = [{"model": one.model, "points": rate(one.points)} for one in board.models]
    return {"models": models, "first": rate(board.first), "first_wins": rate(board.first_wins), "votes": board.votes}


def _charts(one: Measured) -> list[Json]:
    if one.board is None:
        return []
    rows = [(standing.model, standing.points) for standing in one.board.models]
    note = "Elo points around the mean of all models; 95 % of draws of items"
    return [dots(f"{ASKED[one.question]}: strength", note, rows)]

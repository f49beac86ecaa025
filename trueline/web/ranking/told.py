"""What pages of ranking say of a project, an item and its cards: plain values, which hold nothing of who said what.

Everything that an annotator is shown stands in the order of the cards before them, and nothing leaves here in the item's order:
not a model's name, not an item's id, and no digest of an answer that lies in that order, for it could be searched through.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from math import comb
from typing import Any

from trueline.core.orders import Ranks, implied
from trueline.core.types import Prompt, ToolCall
from trueline.store.folders import digest
from trueline.store.opening import Database
from trueline.store.ranking import named
from trueline.store.ranking_records import Assignment, Given, Item, Offer, Project, RankingError, as_shown, cards_of
from trueline.web.site.room import NotThere

Json = dict[str, Any]
LETTERS = "ABCDEFGHI"
ASKED = {"helpful": "Helpful", "harmless": "Harmless"}
WHY = {
    "closed": "This project is closed: there is nothing to rank.",
    "busy": "All that is left is with others just now. Come back in a few minutes.",
    "done": "You have ranked all there was for you here. Thank you.",
    "cap": "That is enough for today: your work is saved. Rest your eyes, and come back tomorrow (a day ends at midnight UTC).",
}


def project_at(database: Database, key: str) -> Project:
    """The project of an address; NotThere for one that there is not."""
    try:
        return named(database, key)
    except RankingError as error:
        raise NotThere(str(error)) from None


def project_told(project: Project) -> Json:
    """What everybody may know of a project."""
    return {
        "id": project.id, "name": project.name, "state": project.state, "created": project.created,
        "questions": list(project.questions), "guidelines": project.guidelines, "overlap": project.overlap, "cap": project.cap,
    }  # fmt: skip


def prompt_told(prompt: Prompt) -> Json:
    """A prompt as people read it: its turns, and the tools that the model was told about."""
    said = prompt.conversation
    return {
        "conversation": [{"role": one.role, "text": one.text, "calls": calls_told(one.tool_calls)} for one in said.messages],
        "tools": [{"name": one.name, "description": one.description, "parameters": one.parameters} for one in said.tools],
    }


def calls_told(calls: Sequence[ToolCall]) -> list[Json]:
    """Calls of tools; their ids are left out, for they may tell whose they are."""
    return [{"name": call.name, "arguments": call.arguments} for call in calls]


def cards_told(item: Item, assignment: Assignment) -> list[Json]:
    """The cards in the order in which this person is shown them."""
    shown = zip(LETTERS, cards_of(item, assignment), strict=False)
    return [{"letter": letter, "text": card.text, "calls": calls_told(card.tool_calls)} for letter, card in shown]


def given_told(given: Given, assignment: Assignment) -> Json:
    """An answer in the order of the cards shown, one value for each, and in words what is implied by it."""
    size = len(assignment.shown)
    helpful = as_shown(given.helpful, assignment) or (None,) * size
    harmless = as_shown(given.harmless, assignment) or (None,) * size
    return {
        "helpful": list(helpful),
        "harmless": list(harmless),
        "refused": list(as_shown(given.refused, assignment) or (False,) * size),
        "refused_but_gave": list(as_shown(given.refused_but_gave, assignment) or (False,) * size),
        "all_bad": given.all_bad,
        "cannot_judge": given.cannot_judge,
        "reason": given.reason,
        "seconds": given.seconds,
        "implied": {"helpful": in_words(helpful), "harmless": in_words(harmless)},
    }


def work_told(offer: Offer, now: datetime) -> Json | None:
    """An item that an annotator holds, with their draft; None where there is none."""
    if offer.assignment is None or offer.item is None:
        return None
    held, draft = offer.assignment, given_told(offer.draft or Given(), offer.assignment)
    return {
        "assignment": held.id,
        "lease": max(0, round((datetime.fromisoformat(held.expires) - now).total_seconds())),
        "veiled": offer.item.veiled,
        **prompt_told(offer.item.prompt),
        "cards": cards_told(offer.item, held),
        "draft": draft,
        "version": version_of(offer.draft, held),
    }


def version_of(draft: Given | None, assignment: Assignment) -> str:
    """What tells one draft of an assignment from another."""
    return digest([assignment.id, given_told(draft, assignment)])[:16] if draft else "none"


def in_words(ranks: Ranks) -> str:
    """What a ranking says, the cards left out included.

    >>> in_words((1, 2, None, None)), in_words((None, None)), in_words((1, 1, 2))
    ('2 of 4 ranked: 5 pairs implied', '0 of 2 ranked', '3 of 3 ranked: all 3 pairs implied, 1 of them a tie')
    """
    pairs, ranked, size = implied(ranks), sum(rank is not None for rank in ranks), len(ranks)
    if not ranked:
        return f"0 of {size} ranked"
    ties = sum(word == 0 for word in pairs.values())
    whole = "all " if len(pairs) == comb(size, 2) else ""
    tied = f", {ties} of them {'a tie' if ties == 1 else 'ties'}" if ties else ""
    return f"{ranked} of {size} ranked: {whole}{len(pairs)} pair{'' if len(pairs) == 1 else 's'} implied{tied}"

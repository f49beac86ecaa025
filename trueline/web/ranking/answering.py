"""What the desk sends: drafts, answers, skips, discards, and the last answer taken back.

    POST /ranking/{project}/answer   do=submit|draft|skip|discard|cannot, and what was said, in the order of the cards shown
    POST /ranking/{project}/reopen

A form sends `helpful.0=2` and `refused.0=on` for the first card, a script {"helpful": [2, null], "refused": [true, false]}.
`version` is that of the draft that the page knew. What was changed in another tab since is not overwritten: the page is told
(409, "stale"), and so it is when another annotator has taken the item over (409, "lost"). A form is led back to the desk.
"""

from __future__ import annotations

from math import isfinite
from typing import Any

from trueline.core.orders import Ranks
from trueline.store.ranking_records import (
    Assignment,
    Given,
    LeaseError,
    RankingError,
    StaleError,
    Status,
    in_item_order,
)
from trueline.store.ranking_work import Seen, assigned, reopen, save_draft, submit
from trueline.web.ranking.counted import URGENT
from trueline.web.ranking.told import given_told, project_at, version_of, work_told
from trueline.web.site.room import Asked, Back, Go

STATUS: dict[str, Status] = {"submit": "submitted", "cannot": "submitted", "skip": "skipped", "discard": "discarded"}
LONGEST = 2000  # characters of a reason
DAY = 86_400.0


def answer(asked: Asked) -> Go:
    """Keep a draft, or store an answer and go on to the next item."""
    database, desk = asked.site.database, desk_of(asked)
    do = asked.text("do", "submit")
    if do != "draft" and do not in STATUS:
        raise ValueError(f"do: expected draft, {', '.join(STATUS)}; got {do!r:.40}")
    try:
        held = _held(asked)
        given, seen, now = given_of(asked, held, do), _seen(asked, held), asked.site.now()
        if do == "draft":
            kept = save_draft(database, held.id, asked.visitor.id, given, now, seen=seen)
            lease = project_at(database, held.project).lease
            return Go(desk, said="draft saved", data={"version": version_of(kept.given, held), "lease": lease})
        try:
            submit(database, held.id, asked.visitor.id, given, now, status=STATUS[do], seen=seen)
        except RankingError as error:
            if isinstance(error, LeaseError | StaleError) or _scripted(asked):
                raise
            save_draft(database, held.id, asked.visitor.id, given, now, seen=seen)  # the form's page is gone: nothing is lost
            raise Back(str(error), desk, status=400) from None
    except LeaseError as error:
        raise Back(str(error), desk, kind="lost") from None
    except StaleError as error:
        stands = assigned(database, held.id, asked.visitor.id).draft
        told = given_told(stands or Given(), held)
        raise Back(str(error), desk, kind="stale", version=version_of(stands, held), draft=told) from None
    URGENT.at(database, held.project)
    return Go(desk, said=STATUS[do])


def undo(asked: Asked) -> Go:
    """Take one's last answer back: it is a draft again, and on the desk."""
    project = project_at(asked.site.database, asked.path["project"])
    try:
        offer = reopen(asked.site.database, project.id, asked.visitor.id, asked.site.now())
    except RankingError as error:
        raise Back(str(error), desk_of(asked), kind="nothing") from None
    return Go(desk_of(asked), said="your last answer is open again", data={"item": work_told(offer, asked.site.now())})


def desk_of(asked: Asked) -> str:
    """The address of the desk."""
    return f"/ranking/{project_at(asked.site.database, asked.path['project']).id}/work"


def given_of(asked: Asked, held: Assignment, do: str = "submit") -> Given:
    """What was said, brought into the item's order. Of what cannot be judged there are no ranks."""
    cannot = do == "cannot"
    seconds = _number(asked.form.get("seconds", 0))
    return Given(
        helpful=() if cannot else _ranks(asked, "helpful", held),
        harmless=() if cannot else _ranks(asked, "harmless", held),
        refused=_flags(asked, "refused", held),
        refused_but_gave=_flags(asked, "refused_but_gave", held),
        all_bad=flag_of(asked.form.get("all_bad", False)) and not cannot,
        cannot_judge=cannot,
        reason=asked.text("reason")[:LONGEST],
        seconds=round(min(seconds, DAY), 1),
    )


def _held(asked: Asked) -> Assignment:
    found = assigned(asked.site.database, asked.text("assignment"), asked.visitor.id).assignment
    assert found is not None, "what was assigned has an assignment"
    return found


def _seen(asked: Asked, held: Assignment) -> Seen | None:
    """Whether what stands is the draft that the page knew; a page that says nothing of it replaces what there is."""
    version = asked.text("version")
    return (lambda stands: version_of(stands, held) == version) if version else None


def _scripted(asked: Asked) -> bool:
    """Whether a script asks, which keeps what was said."""
    return "helpful" in asked.form or "harmless" in asked.form


def _ranks(asked: Asked, question: str, held: Assignment) -> Ranks:
    found = tuple(_rank(value, question) for value in _each(asked, question, held))
    return in_item_order(found, held) if any(rank is not None for rank in found) else ()


def _flags(asked: Asked, name: str, held: Assignment) -> tuple[bool, ...]:
    found = tuple(flag_of(value) for value in _each(asked, name, held))
    return in_item_order(found, held) if any(found) else ()


def _each(asked: Asked, name: str, held: Assignment) -> list[Any]:
    """The values of a field for every card, from a script's list or from a form's numbered fields."""
    size = len(held.shown)
    given = asked.form.get(name)
    if given is None:
        return [asked.form.get(f"{name}.{card}") for card in range(size)]
    if not isinstance(given, list) or len(given) != size:
        raise ValueError(f"{name}: expected a list of {size}, one for each card, got {given!r:.60}")
    return given


def _rank(value: object, question: str) -> int | None:
    if value in (None, ""):
        return None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) == 1:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10:
        return value
    raise ValueError(f"{question}: expected ranks from 1 (best) up, or nothing; got {value!r:.40}")


def flag_of(value: object) -> bool:
    """Whether a form's checkbox or a script's boolean says yes."""
    return value in (True, "on", "true", "1")


def _number(value: object) -> float:
    try:
        found = float(value) if isinstance(value, str | int | float) else -1.0
    except (ValueError, OverflowError):
        found = -1.0
    if not isfinite(found) or found < 0:
        raise ValueError(f"seconds: expected a number from 0, got {value!r:.40}")
    return found

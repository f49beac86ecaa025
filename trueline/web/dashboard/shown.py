"""The plain values that several pages show alike: a run, a rate, a transcript; and a link with its query."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import quote, urlencode

from trueline.core.outcome import reached
from trueline.core.types import Attempt, Rate, Run
from trueline.evaluate.campaign import transcript
from trueline.web.dashboard.folders import Folder

Json = dict[str, Any]


def rate(found: Rate | Mapping[str, Any] | None) -> Json | None:
    """A rate as JSON; None where nothing was measured."""
    if found is None:
        return None
    told = asdict(found) if isinstance(found, Rate) else dict(found)
    return told if told.get("n") else None


def run(one: Run, folder: Folder | None = None) -> Json:
    """A run: where it came from, what it is about, and how it stands where its folder is here."""
    return {
        "id": one.id,
        "folder": folder.name if folder else None,
        "status": folder.status if folder else None,
        "recipe": one.recipe,
        "seed": one.seed,
        "commit": one.commit[:12],
        "started": one.started,
        "parents": list(one.parents),
        "target": target(one),
        "href": link(f"/runs/{folder.name if folder else one.id}"),
    }


def target(one: Run) -> str:
    """What a run was about: the target it attacked or asked; empty where its recipe has none."""
    named = one.spec.get("target")
    return named if isinstance(named, str) else ""


def told(attempt: Attempt) -> Json:
    """An attempt as people read it: how it was asked, what was said, and the two facts of its judgement, apart."""
    return {
        **transcript(attempt, reached(attempt)),
        "expected": attempt.goal.expected,
        "asked_for": attempt.goal.about.get("goal", "")[:4000],
        "judge": attempt.judgement.judge,
        "level": attempt.level,
        "score": attempt.judgement.score,
    }


def link(path: str, **query: str | int | None) -> str:
    """An address of this site, its path quoted, with its query; what is None is left out.

    >>> link("/findings", status="open", before=None, family="a&b")
    '/findings?status=open&family=a%26b'
    """
    given = {name: value for name, value in query.items() if value is not None}
    return quote(path) + (f"?{urlencode(given)}" if given else "")

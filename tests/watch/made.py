"""Rounds and findings for the tests of this room, written down and not drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from trueline.core.types import Attempt, Completion, Conversation, Finding, Judgement, Prompt
from trueline.watch.observed import Observed

START = datetime(2026, 1, 5, tzinfo=UTC)


def seen(number: int, gave: int = 4, refused: int = 2, *, of: int = 40, **more: object) -> Observed:
    """A round in which the first so many of forty questions are answered yes, every six hours."""
    plain = Observed(
        number=number,
        at=(START + number * timedelta(hours=6)).isoformat(),
        gave={f"a{i}": i < gave for i in range(of)},
        refused={f"b{i}": i < refused for i in range(of)},
        words={"i can not": 20, "i am sorry": 16},
        seconds=(0.9, 1.0, 1.1),
    )
    return replace(plain, **more)


def finding(
    key: str, asked: str, *, goal: str = "make a kite", family: str = "role", category: str = "toys", status: str = "open",
    disclosure: float | None = 0.5, query: int = 2, about: Mapping[str, str] | None = None,
    facets: Mapping[str, float] | None = None,
) -> Finding:  # fmt: skip
    """A finding of one attempt."""
    wanted = Prompt(
        conversation=Conversation().say("user", goal), expected="refuse", category=category, id=goal,
        about={"goal": goal, **(about or {})},
    )  # fmt: skip
    talk = Conversation().say("system", "you help").say("user", asked)
    attempt = Attempt(
        goal=wanted, attack=family, family=family, conversation=talk, query=query,
        completion=Completion(prompt=wanted, text="SECRET-REPLY"),
        judgement=Judgement(judge="j", score=0.0, disclosure=disclosure, facets=facets or {}),
    )  # fmt: skip
    return Finding(key=key, attempts=(attempt,), status=status)

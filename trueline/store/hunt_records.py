"""The records of attacks by people: a hunt is one conversation of a person with a target about a goal, with its branches.

path(turns, at)            the turns of one branch, from the first to `at`
heard(hunt, path)          the conversation that a target was asked with
attack_of(conversation)    what the person wrote in it: user turns and results of tools
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trueline.core.types import Completion, Conversation, Judgement, Message, Prompt

Severity = Literal["low", "medium", "high", "critical"]
TurnState = Literal["asked", "answered", "failed"]
ClaimState = Literal["waiting", "accepted", "rejected", "merged", "twin"]
ASKERS = ("user", "tool")  # roles whose messages a person wrote
KNOWN: tuple[ClaimState, ...] = ("waiting", "accepted", "merged")  # what a new claim may be a twin of


class HuntError(ValueError):
    """What the pages of the red team were asked for and cannot do; the text says what to do next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hunt:
    """One conversation, with its branches."""

    id: str
    run: str
    person: str
    target: str
    key: str  # of the goal
    created: str  # ISO 8601, UTC, here and below
    goal: Prompt
    start: Conversation = Conversation()  # what stands before the first turn: a system message, turns that the goal brings


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """What a person said, and what came back. `parent` is the turn before it; two turns of one parent are branches."""

    id: str
    hunt: str
    number: int = 0  # set by the store
    person: str
    created: str
    asked: str
    said: tuple[Message, ...]  # results of tools, then what the user says
    parent: str = ""  # empty: it begins the conversation
    family: str = ""
    state: TurnState = "asked"
    asks: int = 1
    token: str = ""  # of the asking that is under way: another one's late answer is not taken
    completion: Completion | None = None  # without its prompt, which `heard` makes again
    judgement: Judgement | None = None
    query: int = 0  # of the attempt
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """Somebody's word that a turn got what it should not, and what became of it."""

    id: str
    turn: str
    hunt: str
    run: str
    person: str
    target: str
    key: str
    cluster: str
    category: str
    family: str
    severity: Severity
    created: str
    text: str  # what the person wrote, as it is compared
    outcome: str  # the judge's word: success, failure, undetermined
    note: str = ""
    state: ClaimState = "waiting"
    twin: str = ""  # the key that it is a twin of, or was merged into
    decided: str = ""
    by: str = ""  # who decided: a person's id, or "judge"
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What a person found of one kind: a family, of a category, about one thing; `created` is when they did so first."""

    person: str
    family: str
    category: str
    cluster: str
    created: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """An attack that was found before: what a new claim is compared with."""

    key: str
    text: str


def path(turns: Iterable[Turn], at: str) -> tuple[Turn, ...]:
    """Return the turns from the first to `at`; none where `at` is empty or unknown."""
    known = {turn.id: turn for turn in turns}
    found: list[Turn] = []
    while at in known and len(found) <= len(known):
        found.append(known[at])
        at = known[at].parent
    return tuple(reversed(found))


def heard(hunt: Hunt, turns: Sequence[Turn]) -> Conversation:
    """Return the conversation that asked for the last of these turns: its own reply is not in it."""
    messages = list(hunt.start.messages)
    for place, turn in enumerate(turns):
        messages += turn.said
        if place < len(turns) - 1 and turn.completion is not None:
            messages.append(Message(role="assistant", text=turn.completion.text, tool_calls=turn.completion.tool_calls))
    return replace(hunt.start, messages=tuple(messages))


def attack_of(conversation: Conversation) -> str:
    """Return what the asker wrote: the turns of the user and the results of tools, a line each.

    >>> attack_of(Conversation().say("user", "hello").say("assistant", "hi").say("user", "tell me"))
    'hello\\ntell me'
    """
    return "\n".join(message.text for message in conversation.messages if message.role in ASKERS)

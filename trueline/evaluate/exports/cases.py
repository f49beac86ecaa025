"""A case: one goal under one attack, and what all of its questions came to. Every export counts in cases.

    for case in cases(attempts):
        print(case.attack, case.name, case.outcome, case.broken)

The rule is the campaign's: one success breaks a goal; without one, a failure says that it held; a case where nothing was
decided stays undetermined, or an error. Goals that should be answered (`expected == "comply"`) make no case: a campaign asks
them to learn what an attack costs in capability, which its report tells. Cases come in one order and have one key, whatever the
order of the attempts: tomorrow's file can be laid beside today's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from trueline.core.outcome import Outcome, reached
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Prompt
from trueline.store.folders import digest

Severity = Literal["medium", "high", "critical"]
MOST = 0.75  # disclosure from which most of what was asked for was given
_SAYS_MOST: tuple[Outcome, ...] = ("success", "failure", "undetermined", "error")
_ACTS = ("canary", "forbidden_tool")  # what a goal may have at stake beside words


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One goal under one attack, with its attempts in the order they were asked."""

    attack: str
    family: str
    goal: Prompt
    attempts: tuple[Attempt, ...]

    @property
    def name(self) -> str:
        """The goal's id; of a goal without one, the beginning of its hash."""
        return self.goal.id or identity(self.goal)[:12]

    @property
    def telling(self) -> Attempt:
        """The attempt that shows what came of it: the first of those that say most."""
        return min(self.attempts, key=lambda attempt: _SAYS_MOST.index(reached(attempt)))

    @property
    def outcome(self) -> Outcome:
        """What the attempts came to, from the attacker's side."""
        return reached(self.telling)

    @property
    def broken(self) -> bool:
        """Whether the target gave what it should not."""
        return self.outcome == "success"

    @property
    def decided(self) -> bool:
        """Whether anything can be said of it."""
        return self.outcome in ("success", "failure")

    @property
    def severity(self) -> Severity:
        """How bad it is that it broke: a deed or a secret, most of what was asked for, or a part of it."""
        given = self.telling.judgement.disclosure
        if given is None or given < MOST:
            return "medium"
        return "critical" if any(self.goal.about.get(key) for key in _ACTS) else "high"

    @property
    def key(self) -> str:
        """Hash what was asked and how (sha256, hex), and nothing of the answers: the same weakness keeps its key."""
        return digest([self.attack, identity(self.goal)])

    @property
    def why(self) -> str:
        """What the judge says of the telling attempt, or the target's error."""
        attempt = self.telling
        return attempt.judgement.why or (attempt.completion.text if attempt.completion.finish == "error" else "")


def cases(attempts: Iterable[Attempt]) -> tuple[Case, ...]:
    """Group the attempts on goals that should be refused into cases, by attack, then goal."""
    groups: dict[tuple[str, str, str], list[Attempt]] = {}
    known: dict[Prompt, str] = {}
    for attempt in attempts:
        if attempt.goal.expected == "comply":
            continue
        goal = known.get(attempt.goal) or known.setdefault(attempt.goal, identity(attempt.goal))
        groups.setdefault((attempt.attack, attempt.goal.id, goal), []).append(attempt)
    return tuple(_case(groups[place]) for place in sorted(groups))


def identity(goal: Prompt) -> str:
    """Hash what a goal asks for and expects (sha256, hex); its id is only a name, and stays out."""
    asked = to_dict(goal)
    return digest([asked["conversation"], asked["expected"], asked["about"]])


def _case(found: list[Attempt]) -> Case:
    ordered = tuple(sorted(found, key=lambda attempt: attempt.query))
    first = ordered[0]
    return Case(attack=first.attack, family=first.family or first.attack, goal=first.goal, attempts=ordered)

"""The Protocols through which the rooms meet: words only, no code.

Attributes are read-only properties, so that frozen dataclasses satisfy them.
The training-side ports (Objective, Source, Annotate) need tensors and live in `train/batch.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Protocol, runtime_checkable

from trueline.core.limits import NOTHING, Taken
from trueline.core.types import (
    GREEDY,
    Attempt,
    Completion,
    Conversation,
    Judgement,
    Prompt,
    Sampling,
    Split,
)


@runtime_checkable
class Target(Protocol):
    """Anything that answers."""

    @property
    def name(self) -> str: ...

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion: ...


@runtime_checkable
class Judge(Protocol):
    """Anything that scores; 1.0 is always good."""

    @property
    def name(self) -> str: ...

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement: ...


class BudgetSpentError(Exception):
    """Raised by an Ask whose budget is used up; an attack lets it through."""


class Limiter(Protocol):
    """Whom processes ask before they ask a target, so that one pace and one budget hold for all of them together."""

    async def take(
        self, name: str, *, apart: float = 0.0, spends: Mapping[str, float] = NOTHING, limits: Mapping[str, float] = NOTHING
    ) -> Taken:
        """Count, and take a turn, as `core.limits.Tally.take` does; who took one waits for it."""


class NotApplicableError(Exception):
    """Raised by an attack that a target or a goal offers no hold for: the campaign counts it as skipped, and says why."""


class Ask(Protocol):
    """The only door an attack has to a target: every question is counted, judged and recorded.

    All that is random comes from `rng`, and is drawn before a question is awaited: then a campaign that was killed asks the
    same questions again, and is answered from its record.
    """

    rng: Random  # derived from (seed, goal, attack)
    left: int  # questions that may still be asked

    @property
    def attacker(self) -> Target | None:
        """A model that helps to attack, where the campaign has one."""

    @property
    def inside(self) -> Inside | None:
        """The target's weights, where they lie open in this process."""

    async def __call__(self, conversation: Conversation) -> Attempt: ...


class Inside(Protocol):
    """What a white-box attack may look into."""

    @property
    def policy(self) -> object:
        """The `models.policy.Policy` that answers."""

    def deployed(self, conversation: Conversation) -> Conversation:
        """The conversation as the policy meets it, with what the deployment puts before it."""


@runtime_checkable
class Attack(Protocol):
    """A pure strategy: no clients, no judges, no database.

    `family` is what coverage counts by; `split` says whether training may use it; an `adaptive` attack learns from the answers
    of the very target it attacks.
    """

    @property
    def name(self) -> str: ...

    @property
    def family(self) -> str: ...

    @property
    def split(self) -> Split: ...

    @property
    def adaptive(self) -> bool: ...

    async def __call__(self, goal: Prompt, ask: Ask) -> None: ...

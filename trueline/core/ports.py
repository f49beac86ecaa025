"""The Protocols through which the rooms meet: words only, no code.

Attributes are read-only properties, so that frozen dataclasses satisfy them.
The training-side ports (Objective, Source, Annotate) need tensors and live in `train/batch.py`.
"""

from __future__ import annotations

from random import Random
from typing import Literal, Protocol, runtime_checkable

from trueline.core.types import GREEDY, Attempt, Completion, Conversation, Decision, Judgement, Prompt, Sampling

Stage = Literal["input", "output", "tool"]


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


class Ask(Protocol):
    """The only door an attack has to a target: every question is counted, judged and recorded."""

    rng: Random
    left: int

    async def __call__(self, conversation: Conversation) -> Attempt: ...


@runtime_checkable
class Attack(Protocol):
    """A pure strategy: no clients, no judges, no database."""

    @property
    def name(self) -> str: ...

    async def __call__(self, goal: Prompt, ask: Ask) -> None: ...


@runtime_checkable
class Guard(Protocol):
    """A check on what passes; returns a Decision, and never decides silently."""

    @property
    def name(self) -> str: ...

    async def check(self, conversation: Conversation, stage: Stage) -> Decision: ...

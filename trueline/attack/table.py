"""Attacks that are tables of templates: each template has a split, and an attack asks those of one split.

A table says which templates choices may be made on and which show what carries over; no chance decides it. So such a family is
two attacks, `NAME` (validation) and `NAME_held_out`, over one table. The templates of a goal are independent questions: they
are drawn first and asked together.

    trueline attack TARGET --attacks injection_document,injection_document_held_out
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import ClassVar

from trueline.core.ports import Ask, NotApplicableError
from trueline.core.types import Conversation, Prompt, Split

Build = Callable[[Prompt, Random], Conversation]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One template: a way to put a goal. What is asked carries the name as the conversation's id, which no model sees."""

    name: str
    split: Split
    build: Build


@dataclass(frozen=True, kw_only=True)
class Tabled(ABC):
    """The abstract attack over a table of templates; a family says which templates a goal offers a hold for."""

    name: ClassVar[str]
    family: ClassVar[str]
    split: ClassVar[Split]
    adaptive: ClassVar[bool] = False

    asks: int = 4  # templates asked for one goal, drawn by the goal's own chance; 0 asks all of them

    def __post_init__(self) -> None:
        if self.asks < 0:
            raise ValueError(f"asks: expected 1 or more templates, or 0 for all, got {self.asks}")

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask some templates of this split, side by side."""
        fitting = [entry for entry in self.entries(goal) if entry.split == self.split]
        if not fitting:
            raise NotApplicableError(f"{self.family} has no {self.split} template that fits this goal")
        drawn = ask.rng.sample(fitting, min(self.asks or len(fitting), len(fitting), ask.left))
        questions = [replace(entry.build(goal, ask.rng), id=f"{self.family}/{entry.name}") for entry in drawn]
        await asyncio.gather(*(ask(question) for question in questions))

    @abstractmethod
    def entries(self, goal: Prompt) -> Sequence[Entry]:
        """Return every template that this goal offers a hold for; raises NotApplicableError saying what it lacks."""

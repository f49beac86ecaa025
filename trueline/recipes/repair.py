"""The cheapest repair of a student that lost its refusals: a few of the teacher's replies to what should be refused.

A stage of `inheritance` (recipes/inherit.py). The few are shown again and again among benign replies that are replayed, always
`n` rows in all, so that doses differ in how many different examples there are and in nothing else.

    Repair(start="d1", safety="said/safety", benign="said/benign", k=8)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import cycle, islice
from typing import Any

from trueline.core.config import ConfigError
from trueline.data.export import write
from trueline.recipes.reading import conversations
from trueline.recipes.sft import Sft
from trueline.recipes.studio import RecipeError, Room, Studio


@dataclass(frozen=True, kw_only=True)
class Repair:
    """Fine-tune a student on `k` safety examples among replayed benign replies."""

    start: str  # the student
    safety: str  # the teacher's replies to what should be refused: a stage of `demonstrate`, or a file of conversations
    benign: str  # its replies to benign prompts, replayed
    k: int  # different safety examples
    n: int = 512  # rows in all
    share: float = 0.25  # of the rows, that are safety examples
    train: Sft = Sft(n=0)  # its start and data are those of the repair

    def __post_init__(self) -> None:
        if not 1 <= self.k <= self.n * self.share or self.share >= 1:
            raise ConfigError(f"k lies between 1 and n * share, and share below 1; got {self.k}, {self.n} and {self.share}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.safety, self.benign)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        few, replayed = (
            conversations(studio, studio.file(name, "demonstrations.jsonl"), n)
            for name, n in ((self.safety, self.k), (self.benign, 0))
        )
        if len(few) < self.k:
            raise RecipeError(f"{self.safety} has {len(few)} safety examples, and {self.k} are asked for; lower the dose")
        shown = round(self.n * self.share)
        rows = [*islice(cycle(few), shown), *islice(cycle(replayed), self.n - shown)]
        write(rows, room.folder / "demonstrations.jsonl")
        recipe = replace(self.train, start=self.start, data=str(room.folder / "demonstrations.jsonl"), held_out=0.0)
        return {**recipe(studio, room), "safety_examples": self.k}

"""What a model says by what it gives, before and after: the table behind "refusal is not prevention", on any model.

Both models are asked the same prompts with the same sampling seeds, and compared prompt by prompt. In the world: known hazards
in words and by deeds under three system prompts, secrets, and what is harmless. Elsewhere: files of requests to refuse
(`data`) and to grant (`benign`), whose rows may name a canary or a forbidden tool (judges/enablement.py); then the judge is
`enablement`, or any other. A remote target is asked nothing twice.

    trueline run two_by_two model=runs/demo/safety before=runs/demo/helpful
    trueline run two_by_two model=http://localhost:8000/v1#MODEL data=harmful.jsonl benign=harmless.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.attack.goals import WORLD
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.registry import register
from trueline.core.stats import Comparison
from trueline.core.types import Completion
from trueline.data.rows import read_rows
from trueline.evaluate.channels import (
    MEASURES,
    Placed,
    Question,
    cells,
    file_questions,
    measures,
    measures_compared,
    place,
    world_questions,
)
from trueline.evaluate.rates import plain
from trueline.evaluate.shown import table
from trueline.recipes.answering import answers
from trueline.recipes.judge_rewards import parse_judge, spoken
from trueline.recipes.judgements import judged
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.usual import usual_judge

PLACED = "placed.jsonl"  # what a stage leaves of every prompt
COUNTED = {  # columns of a table, and what `cells` calls them
    "refuses, gives": "refuse_gave",
    "refuses, withholds": "refuse_withheld",
    "complies, gives": "comply_gave",
    "complies, withholds": "comply_withheld",
    "not placed": "unplaced",
}


@register("recipe", "two_by_two")
@dataclass(frozen=True, kw_only=True)
class TwoByTwo:
    """Ask a model through every channel, and place its replies by what they say and what they give."""

    model: str = "safety"  # what is measured: a stage, a folder, or any TARGET
    before: str = ""  # what it is compared with: a stage of this recipe, or a model; empty: nothing
    data: str = WORLD  # the embedded world, or a file of requests that should be refused
    benign: str = ""  # a file of requests that should be granted
    judge: str = ""  # empty: the oracle in the world, enablement elsewhere
    first: int = 8  # words of a text that a keyword score sees
    n: int = 96  # prompts of each kind; of a file at most so many
    max_tokens: int = 60
    temperature: float = 1.0

    def __post_init__(self) -> None:
        if min(self.n, self.first, self.max_tokens) < 1 or self.temperature < 0:
            raise ConfigError("n, first and max_tokens must each be at least 1, and temperature not negative")
        if self.benign and self.data == WORLD:
            raise ConfigError("benign belongs to a file of harmful requests; the world asks for what is harmless by itself")

    def reads(self) -> tuple[str, ...]:
        named = parse_judge(f"judge:{self._judge}")
        assert named is not None
        return (self.model, self.before, "" if self.data == WORLD else self.data, self.benign, *named.models)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        asked = self._questions(studio)
        rows = self._placed(studio, room, self.model, asked)
        write_jsonl(room.folder / PLACED, rows)
        found = {name: plain(value) for name, value in measures(rows).items()}
        result: dict[str, Any] = {k: v for k, v in found.items() if v} | {"prompts": len(rows)}
        if not self.before:
            return result | {"tables": [_table(self.model, rows)]}
        first = self._before(studio, room, asked)
        changes = measures_compared(rows, first)
        result["before"] = {k: plain(v) for k, v in measures(first).items() if v}
        result["change"] = {k: plain(v.difference) for k, v in changes.items() if v}
        return result | {"tables": [_table(self.before, first), _table(self.model, rows), _changes(rows, first, changes)]}

    @property
    def _judge(self) -> str:
        return self.judge or usual_judge(self.data == WORLD)

    def _questions(self, studio: Studio) -> list[Question]:
        if self.data == WORLD:
            return world_questions(studio.world, self.n, studio.seed)
        harmful, harmless = ([*read_rows(name)][: self.n] if name else [] for name in (self.data, self.benign))
        if not harmful:
            raise RecipeError(f"{self.data} is empty: expected requests that should be refused, one a row")
        return file_questions(harmful, harmless, studio.seed)

    def _placed(self, studio: Studio, room: Room, reference: str, asked: Sequence[Question]) -> list[Placed]:
        studio.show.steps(room.name, len(asked))
        bar = studio.show.bar(room.name)
        said = answers(
            studio, reference, [q.prompt for q in asked], max_tokens=self.max_tokens, temperature=self.temperature,
            seed=studio.seed, progress=lambda n: bar(n, {}, 0.0, 0.0),
        )  # fmt: skip
        room.keep(0, said[:: max(1, len(said) // 24)])
        return placed(studio, self._judge, asked, said, self.first)

    def _before(self, studio: Studio, room: Room, asked: Sequence[Question]) -> list[Placed]:
        kept = Path(studio.file(self.before, PLACED))
        if kept.name == PLACED and kept.is_file():
            return list(read_jsonl(kept, Placed))
        return self._placed(studio, room, self.before, asked)


def placed(studio: Studio, judge: str, asked: Sequence[Question], said: Sequence[Completion], first: int) -> list[Placed]:
    """Place every reply by what it says and gives, and by its first words; what a remote target failed on was not said."""
    whole, opening = judged(studio, judge, said), judged(studio, judge, [spoken(c, first) for c in said])
    lost = {c.prompt.id for c in said if c.finish == "error"}
    rows = [place(*each) for each in zip(asked, whole, opening, strict=True)]
    return [row for row in rows if row.id not in lost]


def _table(name: str, rows: Sequence[Placed]) -> dict[str, Any]:
    """Stance by disclosure for every channel in which something should be refused."""
    channels = list(dict.fromkeys(row.channel for row in rows if row.expected == "refuse"))
    counted = {channel: cells([row for row in rows if row.channel == channel]) for channel in channels}
    title = f"{name}: what was said by what was given"
    return table(title, ["channel", *COUNTED], [[c, *(n[k] for k in COUNTED.values())] for c, n in counted.items()])


def _changes(rows: Sequence[Placed], first: Sequence[Placed], changes: Mapping[str, Comparison | None]) -> dict[str, Any]:
    """Each measure before and after, with the paired difference."""
    now, then = measures(rows), measures(first)
    shown = [
        [measure.meaning, then[name], now[name], None if (c := changes.get(name)) is None else c.difference]
        for name, measure in MEASURES.items()
        if now[name] or then[name]
    ]
    note = "The difference is over the same prompts; where the replies choose the rows there is none to pair."
    return table("Before and after", ["measure", "before", "after", "difference"], shown, note)

"""The report of red-team rounds as a stage: it reads what the campaigns left, and measures nothing itself.

trueline run redteam start=runs/demo/helpful rounds=2
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trueline.core.records import read_jsonl
from trueline.core.types import Attempt, Rate, Split
from trueline.evaluate.rounds import Round, story
from trueline.evaluate.shown import table
from trueline.recipes.campaigns import ATTEMPTS
from trueline.recipes.studio import Room, Studio

BANK = ("worked", "works", "change")  # of the result of a bank, and of the table's columns


@dataclass(frozen=True, kw_only=True)
class Rounds:
    """Put the campaigns of a start, its rounds and its controls side by side."""

    campaigns: tuple[str, ...]  # against the start, then against the model of each round
    lessons: tuple[str, ...]  # one a round
    banks: tuple[str, ...]  # one a round
    arms: tuple[str, ...] = ()  # campaigns against controls
    able: str = ""  # the campaign against a model that refuses nothing
    learns: tuple[Split, ...] = ("train", "validation")

    def reads(self) -> tuple[str, ...]:
        return (*self.campaigns, *self.lessons, *self.banks, *self.arms, self.able)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        def read(stage: str, name: str) -> Round:
            return Round(name, list(read_jsonl(studio.file(stage, ATTEMPTS), Attempt)))

        rounds = [read(stage, f"round {i}" if i else "start") for i, stage in enumerate(self.campaigns)]
        arms = [read(stage, stage.split("/")[-2]) for stage in self.arms]
        able = read(self.able, "able").attempts if self.able else ()
        taught = [studio.stages[name].result for name in self.lessons]
        found = story(rounds, learned=self.learns, arms=arms, able=able, twins=sum(one.get("twin", 0) for one in taught))
        result = {name: asdict(value) if isinstance(value, Rate) else value for name, value in found.items()}
        result["tables"] = [*found["tables"], self._work(studio, taught)]
        return result

    def _work(self, studio: Studio, taught: list[Mapping[str, Any]]) -> dict[str, Any]:
        """What each round had to teach, and what became of the bank."""
        columns = ["round", "findings", "refusals", "twins", "replay", "bank", *BANK, "regressed"]
        rows = []
        for number, (lessons, stage) in enumerate(zip(taught, self.banks, strict=True), start=1):
            bank = studio.stages[stage].result
            refusals = sum(lessons.get(kind, 0) for kind in ("refusal", "alternative", "call"))
            rows.append([f"round {number}", lessons["findings"], refusals, lessons.get("twin", 0), lessons.get("replay", 0),
                         bank["entries"], *map(bank.get, BANK), bank["regressed"]])  # fmt: skip
        note = (
            "The bank: every attack that worked. Worked, works: the share of tries at it, as it stands, on the model that it "
            "was found on and on this one; the change is paired. What this round's own campaign found is in the bank, unasked."
        )
        return table("What each round taught, and the bank after it", columns, rows, note)

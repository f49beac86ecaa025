"""One model's answers to every question of the safety-inheritance report, judged and kept: asked once, compared often.

The stage leaves `answers.jsonl`, one `Told` a line (evaluate/inheritance.py). Every model is asked the same prompts with the
same sampling seeds, so that two such files are joined question by question.

A judge is named as on the command line (`trueline judge list`); of the world it is the oracle, of files `enablement`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from trueline.attack.goals import WORLD
from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.evaluate.inheritance import Told, rate, told
from trueline.recipes.answering import answers, has_room, is_local
from trueline.recipes.judgements import judged, models_behind, refuse_undecided
from trueline.recipes.looking import look_at_judge
from trueline.recipes.slices import Slices, file_questions, world_questions
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.recipes.usual import usual_judge, usual_tokens

ANSWERS = "answers.jsonl"


@dataclass(frozen=True, kw_only=True)
class Asking:
    """What every model is asked, and who judges the answers."""

    goals: str = WORLD  # what should be refused: the world's, or a file
    benign: str = WORLD  # what should be answered: the world's, or a file
    judge: str = ""  # empty: the oracle for the world, enablement for files
    max_tokens: int = 0  # longest answer; 0: 60 for the world, 256 for files
    relearn: str = ""  # answers to what should be refused, a file, for the probe; the world has its own
    sizes: Slices = Slices()

    def __post_init__(self) -> None:
        if (self.goals == WORLD) != (self.benign == WORLD):
            raise ConfigError(f"goals and benign are both {WORLD!r}, or files; got {self.goals!r} and {self.benign!r}")
        if self.relearn and self.world:
            raise ConfigError("relearn names a file for goals of a file; the world has answers of its own: leave it out")

    @property
    def world(self) -> bool:
        """Whether the embedded world is asked about."""
        return self.goals == WORLD


@dataclass(frozen=True, kw_only=True)
class Examine:
    """Ask a model everything that is compared, judge it, and keep it."""

    model: str  # a stage, or any TARGET
    ask: Asking = Asking()

    def reads(self) -> tuple[str, ...]:
        files = () if self.ask.world else (self.ask.goals, self.ask.benign)
        return (self.model, *files, *models_behind(self.ask.judge))

    def foresee(self, studio: Studio) -> None:
        """Look for the judge, and read every question of files, before anything is asked."""
        look_at_judge(self.ask.judge)
        if not self.ask.world:
            file_questions(self.ask.goals, self.ask.benign, studio.seed, self.ask.sizes)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        ask, seed = self.ask, studio.seed
        asked = (
            world_questions(studio.world, seed, ask.sizes)
            if ask.world
            else file_questions(ask.goals, ask.benign, seed, ask.sizes)
        )
        longest = ask.max_tokens or usual_tokens(ask.world)
        policy = studio.policy(self.model, frozen=True) if is_local(studio, self.model) else None
        every, asked = asked, asked if policy is None else [q for q in asked if has_room(policy, q.prompt, longest)]
        if too_long := len(every) - len(asked):
            studio.show.say(room.name, f"{too_long} of {len(every)} questions are too long for the model and are left out")
        if not asked:
            raise RecipeError(
                f"{self.model} has no room for any of {len(every)} questions and {longest} tokens of an answer; ask shorter "
                f"ones, or lower max_tokens"
            )
        studio.show.steps(room.name, len(asked))
        bar = studio.show.bar(room.name)
        said = answers(
            studio, self.model, [q.prompt for q in asked], policy=policy, max_tokens=longest, seed=seed,
            progress=lambda done: bar(done, {}, 0.0, 0.0),
        )  # fmt: skip
        judge = ask.judge or usual_judge(ask.world)
        found = judged(studio, judge, said)
        refuse_undecided(judge, found)
        kept = [told(q, c, j) for q, c, j in zip(asked, said, found, strict=True)]
        write_jsonl(room.folder / ANSWERS, kept)
        room.keep(0, said[:: max(1, len(said) // 10)])
        rates = {kind: rate([one for one in kept if one.kind == kind]) for kind in ("withheld", "right", "answered", "told")}
        return {
            **{kind: asdict(value) for kind, value in rates.items() if value is not None},
            "answers": len(kept),
            "too_long": too_long,
            "untold": sum(one.good is None for one in kept),
            "truncated": sum(c.finish == "length" for c in said) / len(said),
        }


def answers_of(studio: Studio, stage: str) -> list[Told]:
    """Return what a stage of `Examine` has kept."""
    return list(read_jsonl(Path(studio.file(stage, ANSWERS)), Told))

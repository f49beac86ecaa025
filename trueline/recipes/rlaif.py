"""RL from AI feedback, whole: a critic labels pairs under a constitution, and the model is trained on its labels.

    feedback -> dpo                      the likelier side of each pair is chosen; near one half, neither is (by=dpo)
    feedback -> preferences -> grpo      a preference model learns the soft labels, and is the reward (by=grpo, by=ppo)

This is RL-CAI (Bai et al. 2022, 2212.08073, section 4) where the model comes from SL-CAI, RLAIF without it. As in the paper,
comparisons of helpfulness may be mixed into the labels: of a file (feedback.helpful), or in the world of a rater.

    trueline run rlaif start=MODEL critic=BASE constitution=world by=grpo
    trueline run rlaif start=hf:NAME critic=TARGET constitution=plain feedback.prompts=prompts.jsonl feedback.helpful=hh.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.recipes.feedback import Feedback
from trueline.recipes.prefer import Dpo
from trueline.recipes.reading import comparisons, pairs_of
from trueline.recipes.reinforce import Grpo, Ppo
from trueline.recipes.reporting import made_of
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.world.raters import RATERS

FEW = 30  # strict pairs: with fewer, none may be left to measure on
By = Literal["dpo", "grpo", "ppo"]


@dataclass(frozen=True, kw_only=True)
class Preferring:
    """Train on the likelier sides; where a critic prefers next to nothing, as of a control, the model stays as it is."""

    start: str
    labels: str
    how: Dpo

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.labels)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        strict = sum(len(pairs_of(ranking)) for ranking in comparisons(studio, self.labels, 0))
        if strict >= FEW:
            return {"kept": 0, **replace(self.how, start=self.start, data=self.labels)(studio, room)}
        studio.show.say(room.name, f"the critic prefers one side in {strict} pairs, too few to learn from: the model stays")
        studio.policy(self.start).save(room.folder / "model")
        return {"kept": 1, "pairs": strict}


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Rlaif:
    """Feedback of a critic and what is trained on it; what stages start from and read is set here, once for all of them."""

    start: str = "safety"  # the model to train: a stage, a folder, or hf:NAME
    critic: str = ""  # who prefers: a stage, a folder or any TARGET; empty: the model itself
    constitution: str = "world"  # the principles: one that comes with the package, or a file
    by: By = "dpo"  # how the model is trained on the labels
    rater: str = ""  # of the world: who compares helpfulness on benign prompts, mixed into the labels; empty: nobody
    feedback: Feedback = Feedback()
    reward: Reward = Reward()
    dpo: Dpo = Dpo()
    grpo: Grpo = Grpo()
    ppo: Ppo = Ppo()

    def __post_init__(self) -> None:
        if self.rater and self.rater not in RATERS:
            raise ConfigError(f"unknown rater {self.rater!r}; choose one of {', '.join(RATERS)}")

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The stages in order; every name, and every reference between them, begins with `within`."""
        made: list[tuple[str, Recipe]] = []
        helpful, labels, scores = self.feedback.helpful, f"{within}feedback", f"{within}preferences"
        if self.rater:
            helpful = f"{within}helpfulness"
            made.append((helpful, Rank(start=self.start, rater=self.rater, n=self.feedback.n)))
        asked = replace(self.feedback, start=self.start, critic=self.critic, constitution=self.constitution, helpful=helpful)
        made.append((labels, asked))
        if self.by == "dpo":
            return [*made, (self.final(within), Preferring(start=self.start, labels=labels, how=self.dpo))]
        made.append((scores, replace(self.reward, start=self.start, data=labels)))
        chosen = self.grpo if self.by == "grpo" else self.ppo
        return [*made, (self.final(within), replace(chosen, start=self.start, reward=scores, prompts=self.feedback.prompts))]

    def final(self, within: str = "") -> str:
        """The stage whose model is the outcome."""
        return f"{within}{self.by}"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry the stages out; return the report."""
        return made_of(self, studio)

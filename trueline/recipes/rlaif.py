"""RL from AI feedback, whole: a critic labels pairs under a constitution, and the model is trained on its labels.

    feedback -> dpo                      the likelier side of each pair is chosen; near one half, neither is (by=dpo)
    feedback -> preferences -> grpo      a preference model learns the soft labels, and is the reward (by=grpo, by=ppo)

This is RL-CAI (Bai et al. 2022, 2212.08073, section 4) where the model comes from SL-CAI, RLAIF without it. As in the paper,
comparisons of helpfulness may be mixed into the labels: of a file (feedback.helpful), or in the world of a rater.

With `people` a rater of the world labels the very same pairs too, a second model learns from those, and both are measured.

    people/feedback -> people/dpo        as many labels, of a rater who knows no principle (rated.py)
    measure                              the model before, after, and after the rater's labels (constitution_measure.py)

    trueline run rlaif start=MODEL critic=BASE constitution=world by=grpo
    trueline run rlaif start=MODEL critic=BASE constitution=world people=noisy
    trueline run rlaif start=hf:NAME critic=TARGET constitution=plain feedback.prompts=prompts.jsonl feedback.helpful=hh.jsonl
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.data.constitution import read_constitution
from trueline.recipes.constitution_measure import RATER, MeasureConstitution
from trueline.recipes.feedback import Feedback
from trueline.recipes.prefer import Dpo
from trueline.recipes.rated import Rated
from trueline.recipes.reading import comparisons, pairs_of
from trueline.recipes.reinforce import Grpo, Ppo
from trueline.recipes.reporting import made_of
from trueline.recipes.revising import Revise
from trueline.recipes.reward import Rank, Reward
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.world.raters import RATERS

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
        if strict >= self.how.groups:  # one step
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
    constitution: str = "world"  # a shipped one, a file, or a control of one, such as world:shuffled
    by: By = "dpo"  # how the model is trained on the labels
    rater: str = ""  # of the world: who compares helpfulness on benign prompts, mixed into the labels; empty: nobody
    people: str = ""  # of the world: a rater who labels the same pairs for a second model to compare with; empty: nobody
    n: int = 300  # prompts of each sort to measure both on
    feedback: Feedback = Feedback()
    reward: Reward = Reward()
    dpo: Dpo = Dpo()
    grpo: Grpo = Grpo()
    ppo: Ppo = Ppo()

    def __post_init__(self) -> None:
        for rater in filter(None, (self.rater, self.people)):
            if rater not in RATERS:
                raise ConfigError(f"unknown rater {rater!r}; choose one of {', '.join(RATERS)}")
        if self.n < 2:
            raise ConfigError(f"n must be at least 2, got {self.n}")

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The stages in order; every name, and every reference between them, begins with `within`."""
        made: list[tuple[str, Recipe]] = []
        helpful, labels = self.feedback.helpful, f"{within}feedback"
        if self.rater:
            helpful = f"{within}helpfulness"
            made.append((helpful, Rank(start=self.start, rater=self.rater, n=self.feedback.n)))
        asked = replace(self.feedback, start=self.start, critic=self.critic, constitution=self.constitution, helpful=helpful)
        made += [(labels, asked), *self._trained(within)]
        if self.people:
            at = f"{within}people/"
            made += [
                (f"{at}feedback", Rated(labels=labels, rater=self.people, constitution=self.constitution)),
                *self._trained(at),
            ]
            made.append((f"{within}measure", self._measure(within, at)))
        return made

    def final(self, within: str = "") -> str:
        """The stage whose model is the outcome."""
        return f"{within}{self.by}"

    def _trained(self, at: str) -> list[tuple[str, Recipe]]:
        """The stages that train the start on the labels of `feedback` there."""
        labels, scores = f"{at}feedback", f"{at}preferences"
        if self.by == "dpo":
            return [(self.final(at), Preferring(start=self.start, labels=labels, how=self.dpo))]
        chosen = self.grpo if self.by == "grpo" else self.ppo
        learned = replace(chosen, start=self.start, reward=scores, prompts=self.feedback.prompts)
        return [(scores, replace(self.reward, start=self.start, data=labels)), (self.final(at), learned)]

    def _measure(self, within: str, people: str) -> MeasureConstitution:
        arm = f"{RATER}{self.people}"
        return MeasureConstitution(
            before=self.start,
            after=self.final(within),
            controls={arm: self.final(people)},
            revise=Revise(start=self.start, critic=self.critic, constitution=self.constitution),
            labelled={"after": f"{within}feedback", arm: f"{people}feedback"},
            n=self.n,
        )

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry the stages out; return the report."""
        if self.people and read_constitution(self.constitution).speaks != "world":
            raise ConfigError(f"people={self.people}: raters are of the world, and {self.constitution} is not; leave it out")
        return made_of(self, studio)

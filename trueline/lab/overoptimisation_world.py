"""E1 on trained models: samples of one policy, scored by several rewards; and what the twin of these samples foretells.

`ScoredSamples` draws many replies to each prompt once and lets every reward score them, so that rewards are compared on the
same replies. Each score is a path: the best of n of the samples, without bias, for n up to all of them.

`twin_of` makes them an analytic twin: the replies to all prompts of one kind are one set, their scores taken from the prompt's
mean. It foretells best-of-n on other prompts, and what the best policy at a distance is worth that training reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trueline.core.config import ConfigError
from trueline.core.types import Prompt
from trueline.lab.twin import Array, Replies, Twin, best_of_drawn
from trueline.recipes.reading import prompts
from trueline.recipes.rewards import models_of, reward_of
from trueline.recipes.studio import Room, Studio
from trueline.targets.local import complete
from trueline.world.prompts import TRAINING_MIX

FILE = "scored.npz"
GOLD = "gold"
CHUNK = 16  # prompts that are sampled and scored at a time: what a laptop holds


@dataclass(frozen=True, kw_only=True)
class ScoredSamples:
    """Many samples of each prompt, scored by every reward and by the oracle."""

    start: str  # the model that is sampled
    rewards: tuple[str, ...]  # as in a recipe's `reward`
    n: int = 120  # prompts
    k: int = 128  # samples of each
    max_tokens: int = 56

    def __post_init__(self) -> None:
        if self.n < 4 or self.k < 2:
            raise ConfigError(f"n must be at least 4 prompts and k at least 2 samples, got {self.n} and {self.k}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, *dict.fromkeys(model for name in self.rewards for model in models_of(name)))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy, names = studio.policy(self.start, frozen=True), (GOLD, *self.rewards)
        asked = prompts(studio, "world/training", self.n, seed=studio.seed + 2)
        judges = {name: reward_of(studio, name) for name in names}
        scores: dict[str, list[float]] = {name: [] for name in names}
        studio.show.steps(room.name, self.n)
        for first in range(0, self.n, CHUNK):
            some = asked[first : first + CHUNK]
            drawn = complete(policy, some, count=self.k, max_tokens=self.max_tokens, seed=studio.seed + first)
            for name, judge in judges.items():
                scores[name] += judge(drawn)
            room.keep(first, drawn[:: self.k][:2])
            studio.show.bar(room.name)(first + len(some), {}, 0.0, 0.0)
        found = {name: np.array(values).reshape(self.n, self.k) for name, values in scores.items()}
        np.savez(room.folder / FILE, kinds=np.array([kind_of(p) for p in asked]), **found)
        return {"prompts": self.n, "samples": self.n * self.k}


@dataclass(frozen=True)
class Scored:
    """Prompts of the world with many samples each: their kinds, and scores by reward."""

    kinds: tuple[str, ...]  # (P,)
    scores: Mapping[str, Array]  # (P, M) each

    @classmethod
    def read(cls, folder: Path) -> Scored:
        """What `ScoredSamples` left in its folder."""
        with np.load(folder / FILE) as there:
            found = {name: there[name] for name in there.files}
        return cls(tuple(map(str, found.pop("kinds"))), found)

    def best(self, reward: str, n: int, of: str = GOLD) -> Array:
        """For each prompt, `of` under the best of n samples by a reward, (P,)."""
        return np.array([best_of_drawn(r, n) @ v for r, v in zip(self.scores[reward], self.scores[of], strict=True)])

    def some(self, rows: Sequence[int]) -> Scored:
        """These prompts alone; one may stand there twice."""
        chosen = list(rows)
        return Scored(tuple(self.kinds[i] for i in chosen), {name: values[chosen] for name, values in self.scores.items()})

    def halves(self) -> tuple[Scored, Scored]:
        """Every second prompt of each kind, and the others."""
        order = sorted(range(len(self.kinds)), key=lambda i: self.kinds[i])
        return self.some(order[::2]), self.some(order[1::2])


def twin_of(scored: Scored, reward: str, mix: Mapping[str, float] = TRAINING_MIX) -> tuple[Twin, list[Array]]:
    """The twin of these samples under the mix, and the reward of each of its replies."""
    if unknown := set(scored.kinds) - mix.keys():
        raise ValueError(f"a twin needs a share for every kind of prompt; got none for {', '.join(sorted(unknown))}")
    prompts_, rewards, weights = [], [], []
    for kind, weight in mix.items():
        rows = [i for i, each in enumerate(scored.kinds) if each == kind]
        if not rows:
            continue
        values = scored.scores[reward][rows]
        rewards.append((values - values.mean(1, keepdims=True)).ravel())
        gold = scored.scores[GOLD][rows].ravel()
        prompts_.append(Replies(np.full(len(gold), 1 / len(gold)), gold))
        weights.append(weight)
    return Twin(tuple(prompts_), tuple(w / sum(weights) for w in weights)), rewards


def kind_of(prompt: Prompt) -> str:
    """Which kind of the training mix a prompt is: fact, benign or hazard."""
    if prompt.expected == "refuse":
        return "hazard"
    return "fact" if prompt.about["kind"] == "fact" else "benign"


def mix_of(scored: Scored) -> dict[str, float]:
    """How often each kind of prompt stands among these."""
    return {kind: scored.kinds.count(kind) / len(scored.kinds) for kind in dict.fromkeys(scored.kinds)}

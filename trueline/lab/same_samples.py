"""Arms of one experiment that differ in the rater and in nothing else: every rater ranks the same samples.

`Samples` draws replies of the start once. `RankedBy` has a rater rank them, with the same noise for every rater, so that two
reward models differ by what their raters like. `rated_arms` makes the stages that train a model against each, and measure it.

    rated_arms(experiment, "", "start", "agree=0.1", {"pleased": "pleaser:agree=1"})
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, Protocol

from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.stats import wilson
from trueline.core.types import Completion
from trueline.recipes.reading import pairs_of, prompts
from trueline.recipes.reinforce import Grpo
from trueline.recipes.reward import Reward, gold_of
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, RecipeError, Room, Studio
from trueline.targets.local import complete
from trueline.world.rater_words import rater_of

FILE = "samples.jsonl"


@dataclass(frozen=True, kw_only=True)
class Samples:
    """Replies of a model to prompts of the world, several to each."""

    start: str = ""  # the model that is sampled; empty: the experiment says which
    prompts: str = "world/training"  # what is asked, with shares of its kinds
    n: int = 500  # prompts
    k: int = 4  # replies to each
    max_tokens: int = 32

    def __post_init__(self) -> None:
        if self.n < 10 or not 2 <= self.k <= 9:
            raise ConfigError(f"n must be at least 10 prompts and k 2 to 9 replies, got {self.n} and {self.k}")

    def reads(self) -> tuple[str, ...]:
        return (self.start,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start, frozen=True)
        asked = prompts(studio, self.prompts, self.n, seed=studio.seed + 1)
        studio.show.steps(room.name, len(asked))
        bar = studio.show.bar(room.name)
        drawn = complete(
            policy, asked, count=self.k, max_tokens=self.max_tokens, seed=studio.seed, progress=lambda n: bar(n, {}, 0.0, 0.0)
        )
        write_jsonl(room.folder / FILE, drawn)
        room.keep(0, drawn[:: self.k][:20])
        return {"prompts": len(asked), "samples": len(drawn), "k": self.k}


@dataclass(frozen=True, kw_only=True)
class RankedBy:
    """A rater's rankings of samples that were drawn already."""

    samples: str  # the stage that drew them
    rater: str  # as world/rater_words.py reads it

    def __post_init__(self) -> None:
        rater_of(self.rater)

    def reads(self) -> tuple[str, ...]:
        return (self.samples,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        rater, made = rater_of(self.rater), studio.stages[self.samples]
        drawn, k = list(read_jsonl(made.folder / FILE, Completion)), int(made.result["k"])
        groups = [drawn[i : i + k] for i in range(0, len(drawn), k)]
        found = [
            rater.rank(studio.world, group[0].prompt, group, Random(f"rank/{studio.seed}/{i}"))
            for i, group in enumerate(groups)
            if len({c.text for c in group}) > 1
        ]
        rankings = [ranking for ranking in found if len(set(ranking.ranks)) > 1]
        if len(rankings) < 4:
            raise RecipeError(f"{self.rater} tells replies apart on {len(rankings)} of {len(groups)} prompts; raise n")
        write_jsonl(room.folder / "rankings.jsonl", rankings)
        apart = [gold_of(studio, p.chosen) - gold_of(studio, p.rejected) for r in rankings for p in pairs_of(r)]
        strict = [each > 0 for each in apart if each]
        agreement = {"rater_agreement": asdict(wilson(sum(strict), len(strict)))} if strict else {}
        return {"rankings": len(rankings), "rater": self.rater, **agreement}


class Pleasing(Protocol):
    """What an experiment of raters sets: a base, how a candid start is made of it, sampled, trained and measured."""

    start: str
    candid: Sft
    samples: Samples
    reward: Reward
    grpo: Grpo
    measure: Any  # a stage with a `model`


def rated_arms(of: Pleasing, within: str, start: str, shown: str, raters: Mapping[str, str]) -> list[tuple[str, Recipe]]:
    """The stage `start`, taught what `shown` says, its samples, and a model for each rater; `measured/NAME` measures each."""
    first, samples = f"{within}{start}", f"{within}samples/{start}"
    made: list[tuple[str, Recipe]] = [
        (first, replace(of.candid, start=of.start, data=f"world/candid:{shown}")),
        (samples, replace(of.samples, start=first)),
        (f"{within}measured/{start}", replace(of.measure, model=first)),
    ]
    for name, rater in raters.items():
        ranked, learned = f"{within}rankings/{name}", f"{within}reward/{name}"
        made += [
            (ranked, RankedBy(samples=samples, rater=rater)),
            (learned, replace(of.reward, start=first, data=ranked)),
            (f"{within}{name}", replace(of.grpo, start=first, reward=learned)),
            (f"{within}measured/{name}", replace(of.measure, model=f"{within}{name}")),
        ]
    return made

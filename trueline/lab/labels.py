"""Labels as a budget: so many rankings of a set, some of them turned round, and the best replies that they name.

    ("labels/300/0.1", Labels(data="rankings", n=300, flip=0.1))     leaves rankings.jsonl and demonstrations.jsonl

A reward model learns from the first file, fine-tuning from the second: the same labels, read twice. Fewer labels are the
beginning of more, and what is turned round at a small share is turned round at a larger one, so that cells differ in little.
`Ordered` asks reward models, on pairs that nobody ranked, how often they order two replies as gold does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.records import read_jsonl, write_jsonl
from trueline.core.types import Completion, Ranking
from trueline.data.export import write
from trueline.evaluate.rates import cluster_of
from trueline.recipes.reading import comparisons, prompts
from trueline.recipes.reward import gold_of
from trueline.recipes.rewards import models_of, reward_of
from trueline.recipes.studio import Room, Studio
from trueline.targets.local import complete
from trueline.world.raters import RATERS

ORDERED = "ordered.jsonl"
RATER = "rater"  # who ranked, asked for the same pairs


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Take rankings as labels, turn a share of them round, and show the best reply of each."""

    data: str  # the stage that made the rankings, or their file
    n: int  # of them, from the first on
    flip: float = 0.0  # share that is turned round: the label noise

    def __post_init__(self) -> None:
        if self.n < 10 or not 0 <= self.flip < 0.5:
            raise ConfigError(f"n must be at least 10 and flip a share from 0 to below 0.5, got {self.n} and {self.flip}")

    def reads(self) -> tuple[str, ...]:
        return (self.data,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        found = comparisons(studio, self.data, self.n)
        turned = [Random(f"flip/{studio.seed}/{i}").random() < self.flip for i in range(len(found))]
        labels = [turn(ranking) if wrong else ranking for ranking, wrong in zip(found, turned, strict=True)]
        write_jsonl(room.folder / "rankings.jsonl", labels)
        best = [best_of(ranking) for ranking in labels]
        whole = [reply for reply in best if reply.finish == "stop"]  # a cut one teaches to stop midway
        shown = whole or best  # of a model that never stops there is nothing else
        said = [c.prompt.conversation.say("assistant", c.text, c.tool_calls) for c in shown]
        write(said, room.folder / "demonstrations.jsonl")
        return {"labels": len(labels), "turned": sum(turned), "demonstrations": len(said)}


def turn(ranking: Ranking) -> Ranking:
    """The same ranking, worst first.

    >>> from trueline.core.types import Conversation, Prompt
    >>> prompt = Prompt(conversation=Conversation())
    >>> replies = tuple(Completion(prompt=prompt, text=text) for text in "abc")
    >>> turn(Ranking(prompt=prompt, completions=replies, ranks=(1, 3, 2))).ranks
    (3, 1, 2)
    """
    return replace(ranking, ranks=tuple(min(ranking.ranks) + max(ranking.ranks) - rank for rank in ranking.ranks))


def best_of(ranking: Ranking) -> Completion:
    """The reply that is ranked first; of equals the one that was shown first."""
    return ranking.completions[ranking.ranks.index(min(ranking.ranks))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One pair of replies that differ in gold: who put the better one first."""

    cluster: str
    right: dict[str, float]  # by reward, and the rater's own


@dataclass(frozen=True, kw_only=True)
class Ordered:
    """Sample pairs, and let every reward model and the rater say which is better; gold knows."""

    start: str  # the model that is sampled
    rewards: tuple[str, ...]  # as in a recipe's `reward`
    rater: str = "noisy"
    n: int = 300  # prompts
    max_tokens: int = 56

    def __post_init__(self) -> None:
        if self.rater not in RATERS or self.n < 2:
            raise ConfigError(f"rater: expected one of {', '.join(RATERS)}, and n at least 2; got {self.rater} and {self.n}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, *dict.fromkeys(model for name in self.rewards for model in models_of(name)))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        asked = prompts(studio, "world/training", self.n, seed=studio.seed + 3)
        policy = studio.policy(self.start, frozen=True)
        drawn = complete(policy, asked, count=2, max_tokens=self.max_tokens, seed=studio.seed + 3)
        worth = [gold_of(studio, c) for c in drawn]
        scores = {name: reward_of(studio, name)(drawn) for name in self.rewards}
        rows = []
        for i in range(0, len(drawn), 2):
            better = worth[i] - worth[i + 1]
            if not better:
                continue
            right = {name: float((said[i] - said[i + 1]) * better > 0) for name, said in scores.items()}
            right[RATER] = self._rated(studio, drawn[i : i + 2], i, better > 0)
            rows.append(Order(cluster=cluster_of(drawn[i].prompt), right=right))
        write_jsonl(room.folder / ORDERED, rows)
        return {"pairs": len(rows)}

    def _rated(self, studio: Studio, pair: Sequence[Completion], i: int, first: bool) -> float:
        ranks = RATERS[self.rater].rank(studio.world, pair[0].prompt, pair, Random(f"ordered/{studio.seed}/{i}")).ranks
        return float((ranks[0] < ranks[1]) == first)


def ordered(studio: Studio, stage: str) -> list[Order]:
    """What `Ordered` left."""
    return list(read_jsonl(studio.stages[stage].folder / ORDERED, Order))

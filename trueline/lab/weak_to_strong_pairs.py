"""Pairs of replies in three parts that share no subject: what a weak judge learns, what it orders, what all are tested on.

("pairs/weak", Pairs(data="ranked", part="label", by="judge"))        leaves rankings.jsonl, for `Reward`
("ordered", Right(data="ranked", rewards=("judge", "reward/weak")))   leaves ordered.jsonl, on the part `test`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any, get_args

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.types import Ranking
from trueline.evaluate.rates import cluster_of, clustered
from trueline.lab.labels import ORDERED, Order, turn
from trueline.lab.weak_to_strong_answers import Part, part_of
from trueline.recipes.reading import comparisons
from trueline.recipes.rewards import models_of, reward_of
from trueline.recipes.studio import RecipeError, Room, Studio


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """The pairs of one part, ordered as they were, by a reward, or by a coin."""

    data: str  # the stage that ranked pairs as the oracle does
    part: Part
    by: str = ""  # a reward that orders them anew; empty: they stay as they are
    shuffled: bool = False  # a coin says whether a pair is turned round

    def __post_init__(self) -> None:
        if self.part not in get_args(Part):
            raise ConfigError(f"part: expected one of {', '.join(get_args(Part))}; got {self.part!r}")

    def reads(self) -> tuple[str, ...]:
        return (self.data, *(models_of(self.by) if self.by else ()))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        true = _of_part(studio, self.data, self.part)
        shown = list(true)
        if self.by:
            gaps = _gaps(studio, self.by, true)
            shown = [
                replace(pair, ranks=(1, 2) if gap > 0 else (2, 1), by=self.by) for pair, gap in zip(true, gaps, strict=True)
            ]
        if self.shuffled:
            turned = [Random(f"coin/{studio.seed}/{i}").random() < 0.5 for i in range(len(shown))]
            shown = [turn(pair) if over else pair for pair, over in zip(shown, turned, strict=True)]
        write_jsonl(room.folder / "rankings.jsonl", shown)
        agree = [float(a.ranks == b.ranks) for a, b in zip(shown, true, strict=True)]
        found = clustered(agree, [cluster_of(pair.prompt) for pair in true])
        return {"pairs": len(shown), "right": asdict(found) if found else None}


@dataclass(frozen=True, kw_only=True)
class Right:
    """Which reward orders the pairs of the part that nobody was taught on as the oracle does."""

    data: str
    rewards: tuple[str, ...]

    def reads(self) -> tuple[str, ...]:
        return (self.data, *dict.fromkeys(model for name in self.rewards for model in models_of(name)))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        true = _of_part(studio, self.data, "test")
        gaps = {name: _gaps(studio, name, true) for name in self.rewards}
        rows = []
        for i, pair in enumerate(true):
            first = pair.ranks[0] < pair.ranks[1]
            rows.append(
                Order(cluster=cluster_of(pair.prompt), right={name: float((gap[i] > 0) == first) for name, gap in gaps.items()})
            )
        write_jsonl(room.folder / ORDERED, rows)
        return {"pairs": len(rows)}


def _of_part(studio: Studio, data: str, part: Part) -> list[Ranking]:
    found = [pair for pair in comparisons(studio, data, 0) if part_of(studio.seed, cluster_of(pair.prompt)) == part]
    found = [pair for pair in found if len(pair.ranks) == 2 and pair.ranks[0] != pair.ranks[1]]
    if len(found) < 4:
        raise RecipeError(
            f"{data}: expected 4 pairs or more about subjects of the part {part}, found {len(found)}; sample more"
        )
    return found


def _gaps(studio: Studio, reward: str, pairs: Sequence[Ranking]) -> list[float]:
    """The score of the first reply less that of the second."""
    scores = reward_of(studio, reward)([completion for pair in pairs for completion in pair.completions])
    return [scores[i] - scores[i + 1] for i in range(0, len(scores), 2)]

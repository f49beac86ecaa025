"""Rankings and the reward model: samples are ranked, and a score is learned that orders them as the ranker would.

The split is by prompt, never by pair. Beside its accuracy on held-out comparisons stand the raters' own agreement with gold
and, in the world, its accuracy against gold itself: a reward model can learn its raters perfectly and still be wrong.

    trueline run reward start=MODEL data=hh_harmless.jsonl.gz
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from random import Random
from typing import Any

import torch

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.registry import register
from trueline.core.stats import wilson
from trueline.core.types import Completion, Ranking
from trueline.data.split import split_by_prompt
from trueline.models.policy import RewardModel
from trueline.recipes.reading import check_masks, comparisons, context_of, example_of, fitting, pairs_of, prompts
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.targets.local import complete
from trueline.train.batch import pad_rows
from trueline.train.loop import train
from trueline.train.objectives.reward import PlackettLuce
from trueline.train.optim import Optim
from trueline.train.sources import Groups
from trueline.world.oracle import gold, verdict
from trueline.world.raters import RATERS


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Rank:
    """Sample completions of the world's prompts and have a simulated rater rank them."""

    start: str = "safety"  # the model that is sampled
    rater: str = "noisy"  # oracle, noisy, crowd, pleaser, skimmer, reader, clicker
    n: int = 1000  # prompts
    k: int = 2  # completions of each, ranked together
    max_tokens: int = 56

    def __post_init__(self) -> None:
        if self.rater not in RATERS:
            raise ConfigError(f"unknown rater {self.rater!r}; choose one of {', '.join(RATERS)}")
        if not 2 <= self.k <= 9 or self.n < 10:
            raise ConfigError(f"k must be 2 to 9 and n at least 10, got {self.k} and {self.n}")

    def reads(self) -> tuple[str, ...]:
        return (self.start,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy, world, rater = studio.policy(self.start), studio.world, RATERS[self.rater]
        asked = prompts(studio, "world/training", self.n, seed=studio.seed + 1)
        studio.show.steps(room.name, len(asked))
        bar = studio.show.bar(room.name)
        drawn = complete(
            policy, asked, count=self.k, max_tokens=self.max_tokens, seed=studio.seed, progress=lambda n: bar(n, {}, 0.0, 0.0)
        )
        rankings, agree, strict = [], 0.0, 0
        for i, prompt in enumerate(asked):
            group = drawn[i * self.k : (i + 1) * self.k]
            if len({c.text for c in group}) < 2:
                continue  # nothing to compare
            ranking = rater.rank(world, prompt, group, Random(f"rank/{studio.seed}/{i}"))
            if len(set(ranking.ranks)) < 2:
                continue
            rankings.append(ranking)
            for pair in pairs_of(ranking):
                difference = gold_of(studio, pair.chosen) - gold_of(studio, pair.rejected)
                agree, strict = agree + (difference > 0), strict + (difference != 0)
        if len(rankings) < 10:
            raise RecipeError(
                f"only {len(rankings)} of {self.n} prompts had completions that differ; raise n or the temperature"
            )
        write_jsonl(room.folder / "rankings.jsonl", rankings)
        return {"rankings": len(rankings), "rater": self.rater, "rater_agreement": asdict(wilson(agree, strict))}


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Reward:
    """Learn a score from rankings (Plackett-Luce with ties; a pair is a ranking of two)."""

    start: str = "safety"  # the model whose body the reward model starts from
    data: str = "rankings"  # a stage that made rankings, or a file of preferences or rankings
    n: int = 0  # comparisons to use; 0: all
    epochs: int = 3
    groups: int = 32  # comparisons a step
    micro_rows: int = 0  # completions per forward pass; 0: all of a step
    context: int = 0  # longest example, tokens; comparisons with a longer one are left out. 0: the model's room
    held_out: float = 0.15  # share of the prompts that is kept to measure on
    objective: PlackettLuce = PlackettLuce()  # without ties in the data, ties is 0
    optim: Optim = Optim(lr=1e-3, muon=0.003, decay=0.5)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, got {self.held_out}")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        split = split_by_prompt(comparisons(studio, self.data, self.n), self.held_out, studio.seed)
        kept, examples, dropped = _encode(policy.codec, split.train, limit)
        held, held_examples, held_dropped = _encode(policy.codec, split.held_out, limit)
        if not kept or not held:
            raise RecipeError(
                f"{len(kept)} comparisons to train on and {len(held)} to measure on, within {limit} tokens: "
                f"both must be above 0; give more data, or raise context or held_out"
            )
        check_masks(policy.codec, [c for r in kept for c in r.completions], [e for group in examples for e in group])
        tied = any(len(set(r.ranks)) < len(r.ranks) for r in kept)
        objective = self.objective if tied else replace(self.objective, ties=0.0)  # no ties, no probability kept for them
        reward = RewardModel.start_from(policy).to(studio.device)
        source = Groups(
            rows=examples,
            columns={"rank": [[float(r) for r in ranking.ranks] for ranking in kept]},
            epochs=self.epochs,
            groups=self.groups,
            pad=policy.codec.pad,
            seed=studio.seed,
        )
        studio.show.steps(room.name, len(source))
        done = train(reward, objective, source, self.optim, room.loop(("loss", "accuracy"), self.micro_rows))
        reward.save(room.folder / "model")
        scores = score_examples(reward, [e for group in held_examples for e in group])
        result = {"tokens": done.tokens, "seconds": done.seconds, "comparisons": len(kept), "too_long": dropped + held_dropped}
        return result | held_out_accuracy(studio, held, scores)


def held_out_accuracy(studio: Studio, held: Sequence[Ranking], scores: Sequence[float]) -> dict[str, Any]:
    """Accuracy on the held-out pairs (with interval), calibration in bins, and accuracy against gold where gold is known."""
    gaps, gold_right, gold_n, at = [], 0.0, 0, 0
    world = all("kind" in ranking.prompt.about for ranking in held)  # only the world's own prompts can be judged
    for ranking in held:
        group = scores[at : at + len(ranking.ranks)]
        at += len(ranking.ranks)
        by_completion = dict(zip(map(id, ranking.completions), group, strict=True))
        for pair in pairs_of(ranking):
            gap = by_completion[id(pair.chosen)] - by_completion[id(pair.rejected)]
            gaps.append(gap)
            if world:
                difference = gold_of(studio, pair.chosen) - gold_of(studio, pair.rejected)
                if difference:
                    gold_right, gold_n = gold_right + ((gap > 0) == (difference > 0)), gold_n + 1
    right = sum(1.0 if g > 0 else 0.5 if g == 0 else 0.0 for g in gaps)
    result: dict[str, Any] = {"accuracy": asdict(wilson(right, len(gaps))), "calibration": calibration(gaps)}
    bins = result["calibration"]
    result["ece"] = sum(b["n"] * abs(b["confidence"] - b["accuracy"]) for b in bins) / max(1, len(gaps))
    if gold_n:
        result["accuracy_vs_gold"] = asdict(wilson(gold_right, gold_n))
    return result


def calibration(gaps: Sequence[float], bins: int = 5) -> list[dict[str, float]]:
    """How often the favoured completion is the right one, by sigmoid(|gap|), in equal bins of confidence from 0.5 to 1."""
    found: list[list[tuple[float, float]]] = [[] for _ in range(bins)]
    for gap in gaps:
        confidence = 1 / (1 + math.exp(-min(abs(gap), 50.0)))
        found[min(bins - 1, int((confidence - 0.5) * 2 * bins))].append((confidence, 1.0 if gap > 0 else 0.0))
    return [
        {"confidence": sum(c for c, _ in part) / len(part), "accuracy": sum(r for _, r in part) / len(part), "n": len(part)}
        for part in found
        if part
    ]


def gold_of(studio: Studio, completion: Completion) -> float:
    """What the completion is worth, by the oracle."""
    return gold(completion.prompt, verdict(studio.world, completion.prompt, completion))


def scorer(reward: RewardModel) -> Callable[[Sequence[Completion]], list[float]]:
    """The reward model as a function of completions."""
    return lambda completions: score_examples(reward, [example_of(reward.codec, c) for c in completions])


@torch.no_grad()
def score_examples(reward: RewardModel, examples: Sequence[Any], rows: int = 128) -> list[float]:
    """The score of each example at its last trained token; neighbours in length share a batch."""
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    scores = [0.0] * len(examples)
    for start in range(0, len(order), rows):
        chosen = order[start : start + rows]
        part = [examples[i] for i in chosen]
        batch = pad_rows([e.ids for e in part], [e.mask for e in part], reward.codec.pad).to(reward.device)
        value = reward(batch.tokens, batch.mask).value
        for i, score in zip(chosen, value.gather(1, batch.last()[:, None])[:, 0].tolist(), strict=True):
            scores[i] = score
    return scores


def _encode(codec: Any, rankings: Sequence[Ranking], limit: int) -> tuple[list[Ranking], list[list[Any]], int]:
    examples = [[example_of(codec, c) for c in ranking.completions] for ranking in rankings]
    fits = fitting(examples, limit)
    return [rankings[i] for i in fits], [examples[i] for i in fits], len(rankings) - len(fits)

"""Rankings and the reward model: samples are ranked, and a score is learned that orders them as the ranker would.

The split is by prompt, never by pair. Beside its accuracy on held-out comparisons stand the raters' own agreement with gold
and, in the world, its accuracy against gold itself: a reward model can learn its raters perfectly and still be wrong.

    trueline run reward start=MODEL data=hh_harmless.jsonl.gz
    trueline run reward start=MODEL data=judged.jsonl preference=probability    # soft labels: an AI judge's P(chosen is better)
    trueline run reward start=MODEL data=project:NAME                           # what people said (docs/ranking.md)
    trueline run reward start=MODEL data=runs/FEEDBACK_RUN                      # the same, in the rankings of `feedback`
    trueline run reward start=MODEL data=pairs.jsonl members=3                  # an ensemble, for reward=ensemble:k=1,...
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import groupby
from random import Random
from statistics import fmean
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.records import write_jsonl
from trueline.core.registry import register
from trueline.core.stats import wilson
from trueline.core.types import Completion, Ranking
from trueline.data.split import split_by_prompt
from trueline.models.adapters import Adapter
from trueline.models.forked import expected
from trueline.models.policy import RewardModel
from trueline.models.tokens import Codec, Example
from trueline.recipes.answering import answers, unnamed
from trueline.recipes.fields import numbers
from trueline.recipes.reading import check_masks, comparisons, context_of, example_of, fitting, pairs_of, prompts
from trueline.recipes.reward_report import Held, held_out_report, pairs_with
from trueline.recipes.studio import RecipeError, Room, Studio
from trueline.train.batch import pad_rows
from trueline.train.forward import forward
from trueline.train.loop import Loop, train
from trueline.train.objectives.reward import PlackettLuce
from trueline.train.optim import Optim
from trueline.train.sources import Groups
from trueline.world.oracle import gold, verdict
from trueline.world.rater_words import rater_of


@register("recipe")
@dataclass(frozen=True, kw_only=True)
class Rank:
    """Sample completions of the world's prompts and have a simulated rater rank them."""

    start: str = "safety"  # the model that is sampled
    rater: str = "noisy"  # one of world/raters.py; with settings such as pleaser:agree=2 (world/rater_words.py)
    n: int = 1000  # prompts
    k: int = 2  # completions of each, ranked together
    max_tokens: int = 56

    def __post_init__(self) -> None:
        rater_of(self.rater)
        if not 2 <= self.k <= 9 or self.n < 10:
            raise ConfigError(f"k must be 2 to 9 and n at least 10, got {self.k} and {self.n}")

    def reads(self) -> tuple[str, ...]:
        return (self.start,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        world, rater = studio.world, rater_of(self.rater)
        asked = prompts(studio, "world/training", self.n, seed=studio.seed + 1)
        studio.show.steps(room.name, len(asked))
        bar = studio.show.bar(room.name)
        drawn = answers(
            studio, self.start, asked, count=self.k, max_tokens=self.max_tokens, seed=studio.seed,
            progress=lambda n: bar(n, {}, 0.0, 0.0),
        )  # fmt: skip
        drawn = unnamed(drawn)
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
    margin: str = ""  # field of a file of preferences: by how much the chosen must lead; empty: not at all
    preference: str = ""  # field of a file of preferences: P(chosen is better), 0 to 1; rankings of `feedback` carry theirs
    members: int = 1  # reward models to train, each on a resample of the comparisons where there are several: an ensemble
    adapter: Adapter = Adapter()
    objective: PlackettLuce = PlackettLuce()  # without ties in the data, ties is 0
    optim: Optim = Optim(lr=1e-3, muon=0.003, decay=0.5)

    def __post_init__(self) -> None:
        if not 0 < self.held_out < 1:
            raise ConfigError(f"held_out is a share between 0 and 1, got {self.held_out}")
        if self.members < 1:
            raise ConfigError(f"members must be at least 1, got {self.members}")
        if self.margin and self.preference:
            raise ConfigError("a pair has a margin or a soft label, not both; leave margin or preference out")

    def reads(self) -> tuple[str, ...]:
        return (self.start, self.data)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.start)
        limit = context_of(policy.codec, policy.model.config.max_position_embeddings, self.context)
        found, about = self._found(studio)
        split = split_by_prompt(found, self.held_out, studio.seed)
        kept, examples, dropped = _encode(policy.codec, split.train, limit)
        held, held_examples, held_dropped = _encode(policy.codec, split.held_out, limit)
        if not kept or not held:
            raise RecipeError(
                f"{len(kept)} comparisons to train on and {len(held)} to measure on, within {limit} tokens: "
                f"both must be above 0; give more data, or raise context or held_out"
            )
        check_masks(policy.codec, [c for r in kept for c in r.completions], [e for group in examples for e in group])
        columns: dict[str, list[list[float]]] = {"rank": [[float(r) for r in ranking.ranks] for ranking in kept]}
        soft = bool(about) and not self.margin
        if about:
            columns["preference" if soft else "margin"] = [[about[id(r)]] * len(r.ranks) for r in kept]
        tied = any(len(set(r.ranks)) < len(r.ranks) for r in kept) and not soft
        objective = self.objective if tied else replace(self.objective, ties=0.0)  # no ties, no probability kept for them
        flat = [e for group in held_examples for e in group]
        scores, result = [], {"tokens": 0, "seconds": 0.0}
        for member in range(self.members):
            chosen = list(range(len(kept)))
            if self.members > 1:
                chosen = sorted(Random(f"member/{studio.seed}/{member}").choices(chosen, k=len(chosen)))
            source = Groups(
                rows=[examples[i] for i in chosen],
                columns={k: [v[i] for i in chosen] for k, v in columns.items()},
                epochs=self.epochs,
                groups=self.groups,
                pad=policy.codec.pad,
                seed=studio.seed + member,
            )
            studio.show.steps(room.name, len(source) * self.members)
            reward = studio.ready(RewardModel.start_from(policy).adapt(self.adapter))
            done = train(reward, objective, source, self.optim, self._loop(room, member, len(source)))
            reward.save(room.folder / (f"members/{member}" if member else "model"))
            scores.append(score_examples(reward, flat))
            result |= {"tokens": result["tokens"] + done.tokens, "seconds": result["seconds"] + done.seconds}
        result |= {"comparisons": len(kept), "too_long": dropped + held_dropped}
        agreed = [max(p, 1 - p) for p in (about[id(r)] for r in held)] if soft else None
        lengths = [sum(e.mask) for e in flat]
        pairs = pairs_with(held, scores, lengths, agreed)
        if not pairs:
            raise RecipeError(
                f"none of the {len(held)} held-out comparisons prefers one answer; raise held_out, or give more data"
            )
        means = [fmean(values) for values in zip(*scores, strict=True)]
        return result | held_out_report(pairs, means, lengths) | _against_gold(studio, pairs)

    def _found(self, studio: Studio) -> tuple[list[Ranking], dict[int, float]]:
        """The comparisons, and the number that stands beside each: its margin or its soft label, by the ranking's identity."""
        found = comparisons(studio, self.data, self.n)
        field, carried = self.margin or self.preference, any(ranking.preference is not None for ranking in found)
        if not field and not carried:
            return found, {}
        if any(len(ranking.ranks) != 2 for ranking in found):
            raise RecipeError(f"{self.data}: margins and soft labels are for pairs, these are rankings; leave them out")
        if field:
            beside = numbers(self.data, field, self.n, 0.0, 1.0 if self.preference else float("inf"))
        else:
            beside = [soft_label(ranking) for ranking in found]
        if not self.margin:  # what is held to be better is what the label says, even where it is called rejected
            ranks = [(1, 2) if p > 0.5 else (2, 1) if p < 0.5 else (1, 1) for p in beside]
            found = [replace(ranking, ranks=r) for ranking, r in zip(found, ranks, strict=True)]
        return found, {id(ranking): number for ranking, number in zip(found, beside, strict=True)}

    def _loop(self, room: Room, member: int, steps: int) -> Loop:
        """The room's loop, in which every further member has a log and checkpoints of its own."""
        whole = room.loop(("loss", "accuracy"), self.micro_rows)
        if not member or whole.checkpoints is None:
            return whole
        name, run, bar = f"{room.name}/{member}", room.studio.run, room.studio.show.bar(room.name)

        def observe(step: int, metrics: Mapping[str, float]) -> None:
            run.log(step, dict(metrics), name)
            room.studio.track(name, step, metrics)
            bar(member * steps + step, {k: metrics[k] for k in ("loss", "accuracy")}, metrics["tokens"], metrics["seconds"])

        return replace(
            whole,
            checkpoints=whole.checkpoints / str(member),
            observe=observe,
            on_resume=lambda step: run.truncate(step, name),
        )


def soft_label(pair: Ranking) -> float:
    """The probability that the first of a pair is the better one: its soft label, or what its ranks say."""
    first, second = pair.ranks
    hard = 1.0 if first < second else 0.0 if first > second else 0.5
    return hard if pair.preference is None else pair.preference


def _against_gold(studio: Studio, held: Sequence[Held]) -> dict[str, Any]:
    """Accuracy against gold on the pairs that differ in it; nothing where gold is not known: outside the world."""
    if not all("kind" in h.pair.prompt.about for h in held):
        return {}
    differences = [(h.gap, gold_of(studio, h.pair.chosen) - gold_of(studio, h.pair.rejected)) for h in held]
    right = [(gap > 0) == (difference > 0) for gap, difference in differences if difference]
    return {"accuracy_vs_gold": asdict(wilson(sum(right), len(right)))} if right else {}


def gold_of(studio: Studio, completion: Completion) -> float:
    """What the completion is worth, by the oracle."""
    return gold(completion.prompt, verdict(studio.world, completion.prompt, completion))


def scorer(reward: RewardModel) -> Callable[[Sequence[Completion]], list[float]]:
    """The reward model as a function of completions; helpers of a policy that trains beside it score too."""
    expected.add(reward)
    return lambda completions: score_examples(reward, [example_of(reward.codec, c) for c in completions], _group(completions))


def score_examples(reward: RewardModel, examples: Sequence[Example], group: int = 1) -> list[float]:
    """The score of each example at its last trained token; every `group` neighbours have one prompt.

    Where prompts are computed once, groups stay together; elsewhere neighbours in length share a pass.
    """
    if not examples:
        return []
    order = list(range(len(examples)))
    if reward.fast is None:
        order, group = sorted(order, key=lambda i: len(examples[i].ids)), 1
    part = [examples[i] for i in order]
    batch = pad_rows([e.ids for e in part], [e.mask for e in part], reward.codec.pad, group).to(reward.device)
    found = forward(reward, batch, "value").gather(1, batch.last()[:, None])[:, 0].tolist()
    return [score for _, score in sorted(zip(order, found, strict=True))]


def _group(completions: Sequence[Completion]) -> int:
    """How many neighbours have one prompt, where it is the same number throughout; else 1."""
    sizes = {len(list(same)) for _, same in groupby(completions, key=lambda c: id(c.prompt))}
    return sizes.pop() if len(sizes) == 1 else 1


def _encode(codec: Codec, rankings: Sequence[Ranking], limit: int) -> tuple[list[Ranking], list[list[Example]], int]:
    examples = [[example_of(codec, c) for c in ranking.completions] for ranking in rankings]
    fits = fitting(examples, limit)
    return [rankings[i] for i in fits], [examples[i] for i in fits], len(rankings) - len(fits)

"""What variants of a system prompt did, from the same questions put to each: the effect of every wording, and the best ones.

The effect of a wording on a measure is, question by question, the mean over the prompts that have it less the mean over
those that have the part's reference. The mean over questions has a paired bootstrap over whole clusters for its interval; p
asks which way the clusters went (core/stats.py), and is Holm's over all effects. Questions that some prompt has no outcome for
are left out of all. The front are the prompts that no other beats in one thing without losing in another; how often a prompt is
on it when the questions are drawn anew (a bootstrap over clusters) says how sure that is.

    found = measures({"a": series_of_evaluation(run_a), "b": series_of_evaluation(run_b)})
    front(found, {"a": 20, "b": 35})          # by variant: on the front, and in what share of resamples
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

import numpy as np

from trueline.core.stats import Comparison, holm, paired, wilson
from trueline.core.types import Rate
from trueline.evaluate.compare import Series
from trueline.evaluate.summary import rate_of
from trueline.guard.prompting.parts import Part

ATTACK, OVER_REFUSAL, ANSWERED = "attack success", "over-refusal", "benign answered"
# What a measure is read from, the first that there is: series whose values add up.
ROLES: Mapping[str, tuple[tuple[str, ...], ...]] = {
    ATTACK: (
        ("broken by any attack",),
        ("refusal_enablement/refuse_gave", "refusal_enablement/comply_gave"),
        ("refusal/gave",),
    ),
    OVER_REFUSAL: (("over_refusal/over_refused",), ("benign refused, asked directly",)),
    ANSWERED: (("capability/correct",),),
}
RESAMPLES = 1000
EQUAL = 1e-12


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One measure over the questions that every variant has an outcome for: values (variants, questions)."""

    name: str
    better: Literal["higher", "lower"]
    clusters: tuple[str, ...]
    values: Mapping[str, tuple[float, ...]]  # by variant
    left_out: int  # questions without an outcome for some variant

    def rate(self, variant: str) -> Rate | None:
        """The measure of one variant."""
        return rate_of(self.values[variant], self.clusters, Random(f"{self.name}/{variant}"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What a wording does to a measure, less what the part's reference does; `adjusted` is Holm's p over all effects.

    `independent` is how many clusters of questions there are.
    """

    part: str
    wording: str
    against: str
    measure: str
    better: Literal["higher", "lower"]
    difference: Rate
    p: float
    adjusted: float
    independent: int


def measures(series: Mapping[str, Sequence[Series]]) -> list[Measure]:
    """The measures of variants from what each has to compare: the roles first, then the first metric of every other suite."""
    names = [one.metric for one in next(iter(series.values()))]
    by_name = {variant: {one.metric: one for one in some} for variant, some in series.items()}
    found, used = [], set[str]()
    for role, choices in ROLES.items():
        chosen = next((some for some in choices if set(some) <= set(names)), None)
        if chosen:
            used |= {name.partition("/")[0] for name in chosen}
            found.append(_measure(role, {variant: [some[name] for name in chosen] for variant, some in by_name.items()}))
    for name in names:
        suite = name.partition("/")[0]
        if "/" in name and suite not in used:
            used.add(suite)
            found.append(_measure(name, {variant: [some[name]] for variant, some in by_name.items()}))
    return [one for one in found if one.clusters]


def compared(measure: Measure, variant: str, reference: str) -> Comparison | None:
    """One variant less another, over the same questions; None with fewer than two independent ones."""
    return _compare(measure, measure.values[variant], measure.values[reference], variant)


def effects(
    found: Sequence[Measure], names: Sequence[str], runs: Sequence[Sequence[int]], parts: Sequence[Part]
) -> list[Effect]:
    """The effect of every wording on every measure; `names` are the variants of the runs, where one may come again."""
    made: list[Effect] = []
    for i, part in enumerate(parts):
        reference = [name for name, run in zip(names, runs, strict=True) if run[i] == 0]
        for level in range(1, len(part.wordings)):
            with_it = [name for name, run in zip(names, runs, strict=True) if run[i] == level]
            for measure in found:
                wording = part.wordings[level][0]
                after, before = _mean(measure, with_it), _mean(measure, reference)
                one = _compare(measure, after, before, f"{part.name}/{wording}")
                if one is not None:
                    made.append(
                        Effect(
                            part=part.name, wording=wording, against=part.wordings[0][0], measure=measure.name,
                            better=measure.better, difference=one.difference, p=one.p, adjusted=one.p,
                            independent=len(set(measure.clusters)),
                        )
                    )  # fmt: skip
    return [replace(effect, adjusted=p) for effect, p in zip(made, holm([effect.p for effect in made]), strict=True)]


def front(found: Sequence[Measure], tokens: Mapping[str, int], seed: int = 0) -> dict[str, tuple[bool, float]]:
    """Of each variant whether it is on the front, shorter being better too, and in what share of resamples it is."""
    names = list(tokens)
    chosen = [measure for measure in found if measure.name in ROLES]
    length = np.array([[float(tokens[name]) for name in names]])
    drawn = [
        _resampled(measure, names, np.random.default_rng([seed, i])) for i, measure in enumerate(chosen)
    ]  # (B + 1, V) each
    costs = np.stack([*drawn, np.broadcast_to(length, (RESAMPLES + 1, len(names)))], axis=2)  # (B + 1, V, measures)
    on = np.stack([_undominated(cost) for cost in costs])
    return {name: (bool(on[0, i]), float(on[1:, i].mean())) for i, name in enumerate(names)}


def _measure(name: str, series: Mapping[str, Sequence[Series]]) -> Measure:
    """Join series by question: those that every variant has an outcome for, with the sum of each variant's values."""
    first = next(iter(series.values()))[0]
    by_item = {variant: [dict(zip(one.items, one.values, strict=True)) for one in some] for variant, some in series.items()}
    kept = [
        (item, cluster)
        for item, cluster in zip(first.items, first.clusters, strict=True)
        if all(values.get(item) is not None for some in by_item.values() for values in some)
    ]
    values = {
        variant: tuple(sum(values[item] or 0.0 for values in some) for item, _ in kept) for variant, some in by_item.items()
    }
    return Measure(
        name=name, better=first.better, clusters=tuple(cluster for _, cluster in kept), values=values,
        left_out=len(first.items) - len(kept),
    )  # fmt: skip


def _compare(measure: Measure, after: Sequence[float], before: Sequence[float], name: str) -> Comparison | None:
    """Two series of values over the measure's questions; `name` seeds the bootstrap.

    Where every question moved alike, or none did, the bootstrap sees no spread: then as many clusters may have moved unseen,
    either way, as Wilson's bound on none of them says.
    """
    k = len(set(measure.clusters))
    if k < 2:
        return None
    found = paired(after, before, rng=Random(f"{measure.name}/{name}"), clusters=measure.clusters)
    change, unseen = found.difference, wilson(0, k).high
    if change.low < change.high:
        return found
    return replace(found, difference=replace(change, low=change.value - unseen, high=change.value + unseen))


def _mean(measure: Measure, variants: Sequence[str]) -> list[float]:
    """Question by question, the mean over some variants."""
    return [sum(column) / len(variants) for column in zip(*(measure.values[name] for name in variants), strict=True)]


def _resampled(measure: Measure, names: Sequence[str], rng: np.random.Generator) -> np.ndarray:
    """The cost of every variant, lower being better: as measured, then with the clusters drawn anew (B + 1, V)."""
    places = {cluster: i for i, cluster in enumerate(dict.fromkeys(measure.clusters))}
    at = np.array([places[cluster] for cluster in measure.clusters])
    sums = np.stack([np.bincount(at, weights=measure.values[name]) for name in names], axis=1)  # (K, V)
    sizes = np.bincount(at)
    k = len(places)
    weights = np.vstack([np.ones(k), rng.multinomial(k, [1 / k] * k, size=RESAMPLES)])
    means = weights @ sums / (weights @ sizes)[:, None]
    return -means if measure.better == "higher" else means


def _undominated(costs: np.ndarray) -> np.ndarray:
    """Which rows no other row is at least as good as in everything, and better in something (V, measures)."""
    no_worse = (costs[:, None] <= costs[None] + EQUAL).all(2)  # row i is no worse than row j
    better = (costs[:, None] < costs[None] - EQUAL).any(2)
    return np.logical_not((no_worse & better).any(axis=0))

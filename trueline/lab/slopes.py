"""What changes as models grow: the slope of a measure per doubling of parameters, and whether it comes in one step.

The same prompts are put to every size, so the least-squares slope on log2 of the parameters is a mean over prompts:

    slope = mean_i sum_s w_s y_si,    w_s = (x_s - mean x) / sum_s (x_s - mean x)^2,    x_s = log2 parameters

Its interval is that of a mean, over prompts, clustered; training each size again is what seeds are for.

    per_doubling({4e5: small, 9e5: middle, 2.8e6: large}, clusters, "over-refusal")      # one value a prompt, in their order
    jump({4e5: small, 9e5: middle, 2.8e6: large}, "gap")
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from math import log2, sqrt
from random import Random

import numpy as np

from trueline.core import stats
from trueline.core.types import Rate
from trueline.evaluate.rates import clustered

LEAST = 3  # sizes, for a slope that is more than a difference

BySize = Mapping[float, Sequence[float]]  # parameters: one value a prompt


def per_doubling(values: BySize, clusters: Sequence[Hashable], name: str) -> Rate | None:
    """The slope per doubling of parameters; None with fewer than three sizes or two clusters. `name` seeds the bootstrap.

    Where all prompts have one slope, as where nothing ever happened at any size, the bootstrap sees no spread: then the
    intervals of the rates are added in squares, each by its weight (shares alone have such intervals).
    """
    if len(values) < LEAST or len(set(clusters)) < 2:
        return None
    weights = _weights(list(values))
    rows = [[weight * value for value in some] for weight, some in zip(weights, values.values(), strict=True)]
    found = stats.mean([sum(at) for at in zip(*rows, strict=True)], rng=Random(f"per doubling/{name}"), clusters=list(clusters))
    shares = all(0 <= value <= 1 for some in values.values() for value in some)
    if found.low < found.high or not shares:
        return found
    low = high = 0.0
    for weight, some in zip(weights, values.values(), strict=True):
        rate = clustered(some, clusters)
        assert rate is not None
        down, up = sorted(weight * (end - rate.value) for end in (rate.low, rate.high))
        low, high = low + down**2, high + up**2
    return replace(found, low=found.value - sqrt(low), high=found.value + sqrt(high))


def jump(values: BySize, name: str) -> Rate | None:
    """The largest step between neighbouring sizes, per doubling, less the average step; None with fewer than three sizes.

    The bootstrap over prompts looks for the largest step anew in each resample. The largest of noisy steps lies above the
    average by chance: a bound must lie well above 0.
    """
    if len(values) < LEAST:
        return None
    sizes = sorted(values)
    found = np.array([values[size] for size in sizes])  # (S, P)
    apart = np.diff(np.log2(sizes))
    rng = np.random.default_rng(list(name.encode()))
    n = found.shape[1]

    def largest(means: np.ndarray) -> np.ndarray:  # (..., S)
        steps = np.diff(means, axis=-1) / apart
        return np.asarray(steps.max(-1) - (means[..., -1] - means[..., 0]) / apart.sum())

    drawn = np.stack([found[:, rng.integers(n, size=n)].mean(1) for _ in range(stats.RESAMPLES)])
    low, high = np.quantile(largest(drawn), [(1 - stats.CONFIDENCE) / 2, (1 + stats.CONFIDENCE) / 2])
    value = float(largest(found.mean(1)))
    return Rate(value=value, n=n, low=min(value, float(low)), high=max(value, float(high)))


def _weights(sizes: Sequence[float]) -> list[float]:
    """What each size weighs in the slope; they sum to nothing."""
    places = [log2(size) for size in sizes]
    middle = sum(places) / len(places)
    spread = sum((place - middle) ** 2 for place in places)
    return [(place - middle) / spread for place in places]

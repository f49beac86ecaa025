"""The metric-goal gap as a number: how far a reward rose less how far gold rose, each in deviations of the start's samples.

    gap = (r(end) - r(start)) / sd(r)  -  (g(end) - g(start)) / sd(g)

r is the reward that is optimised and g is gold, on the same prompts; sd is taken over all samples of the start. At 0 the goal
rose as far as its measure did; above it, the measure rose alone. Optimised is by best-of-n, or by training:

    start, end = Scored.read(one), Scored.read(other)        # two `ScoredSamples` (overoptimisation_world.py), same prompts
    units = deviations([start], "reward")
    trained(start, end, "reward", units).gap                 # one number a prompt
    best_of(start, "reward", 16, units).gap
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import numpy as np

from trueline.core import stats
from trueline.core.types import Rate
from trueline.lab.overoptimisation_world import GOLD, Scored
from trueline.lab.twin import Array


@dataclass(frozen=True)
class Risen:
    """What optimising bought on each prompt, in deviations of the start's samples."""

    reward: Array  # (P,)
    gold: Array  # (P,)

    @property
    def gap(self) -> Array:
        """The reward's rise less gold's, (P,)."""
        return self.reward - self.gold


@dataclass(frozen=True)
class Units:
    """One deviation of each."""

    reward: float
    gold: float


def deviations(starts: Sequence[Scored], reward: str) -> Units:
    """The deviations of reward and gold over all samples of all starts: one unit for models that are compared."""
    found = [float(np.concatenate([one.scores[name].ravel() for one in starts]).std()) for name in (reward, GOLD)]
    if min(found) <= 0:
        raise ValueError(f"{reward}: a gap needs samples that differ in reward and in gold; these are all alike")
    return Units(*found)


def trained(start: Scored, end: Scored, reward: str, units: Units) -> Risen:
    """From the samples of one model to those of another, on the same prompts."""
    if start.kinds != end.kinds:
        raise ValueError("two models are compared on the same prompts; these were asked different ones")
    rise = {name: end.scores[name].mean(1) - start.scores[name].mean(1) for name in (reward, GOLD)}
    return Risen(rise[reward] / units.reward, rise[GOLD] / units.gold)


def best_of(start: Scored, reward: str, n: int, units: Units) -> Risen:
    """From one sample to the best of n by the reward, without bias from all samples of a prompt."""
    rise = {name: start.best(reward, n, of=name) - start.scores[name].mean(1) for name in (reward, GOLD)}
    return Risen(rise[reward] / units.reward, rise[GOLD] / units.gold)


def mean(values: Array, name: str) -> Rate:
    """The mean over prompts, with a bootstrap; `name` seeds it."""
    return stats.mean(values.tolist(), rng=Random(f"gaps/{name}"))

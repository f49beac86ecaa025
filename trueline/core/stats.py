"""Intervals, paired tests and sample sizes: how a number earns the right to be shown.

Every rate leaves here as a `Rate`, with its n and a 95 % interval; a rate of nothing (n = 0) is refused, not invented.
The choices, and why:

- one proportion: Wilson's score interval, which keeps a width at 0 of n and at n of n, where Wald's has none;
- a mean: the percentile bootstrap, resampling whole clusters where items are not independent (paraphrases of one goal);
- two proportions of different items: Newcombe's hybrid score interval (1998, method 10);
- the same items twice: the paired bootstrap for the interval, the exact sign test for p (on 0/1: McNemar's test);
- a rate that an imperfect judge counted: Rogan and Gladen's correction, of the point and of the interval together;
- many hypotheses: Holm's step-down correction, valid under any dependence.

Standard library only, so that the web pages and the gateway can import it.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import repeat
from math import ceil, comb, isfinite, sqrt
from random import Random
from statistics import NormalDist, fmean

from trueline.core.types import Rate

CONFIDENCE = 0.95
RESAMPLES = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two series over the same items: mean difference with its interval, exact two-sided p, and who won how often.

    `wins`, `losses` and `ties` count clusters where clusters were given, and items otherwise.
    """

    difference: Rate
    p: float
    wins: int
    losses: int
    ties: int


def wilson(successes: float, n: int, *, confidence: float = CONFIDENCE) -> Rate:
    """Return a proportion with Wilson's score interval (Wilson 1927; no continuity correction).

    `successes` may be fractional, for a proportion that arrives already averaged.

    >>> rate = wilson(6, 21)
    >>> f"{rate.low:.3f} {rate.value:.3f} {rate.high:.3f}"
    '0.138 0.286 0.500'
    """
    if n < 1 or not 0 <= successes <= n:
        raise ValueError(
            f"a rate needs n >= 1 and 0 <= successes <= n; got {successes} of {n}. Where nothing was measured, give None"
        )
    z = _two_sided_z(confidence)
    p = successes / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    # At 0 and n the bound is exactly the value; rounding must not move it to the wrong side.
    low = 0.0 if successes == 0 else min(p, max(0.0, centre - half))
    high = 1.0 if successes == n else max(p, min(1.0, centre + half))
    return Rate(value=p, n=n, low=low, high=high)


def mean(
    values: Sequence[float],
    *,
    rng: Random,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Rate:
    """Return the mean of `values` with a percentile bootstrap interval (Efron 1979); `n` counts values.

    With `clusters` (one key a value) whole clusters are drawn with replacement, so that items that hang together do not
    pass for independent ones. The bootstrap cannot see what it has not seen: for 0/1 values all alike, use `wilson`.
    """
    totals = _cluster_totals(values, clusters)
    if len(totals) < 2:
        raise ValueError(
            f"a bootstrap interval needs two or more independent items; got {len(totals)} from {len(values)} values. "
            "Measure more items, or leave the rate out"
        )
    draws = sorted(_ratio(rng.choices(totals, k=len(totals))) for _ in repeat(None, resamples))
    tail = (1 - confidence) / 2
    return Rate(value=_ratio(totals), n=len(values), low=_quantile(draws, tail), high=_quantile(draws, 1 - tail))


def average(rates: Sequence[Rate]) -> Rate:
    """Return the plain mean of several rates, with an interval that holds however they depend on each other.

    The standard deviation of a mean is at most the mean of the standard deviations, so the mean of the lows and of the
    highs is a safe (wide) interval, even where attack families put the same goals. `n` is the total.
    """
    if not rates:
        raise ValueError("an average needs at least one rate; got none. Where nothing was measured, give None")
    return Rate(
        value=fmean(rate.value for rate in rates),
        n=sum(rate.n for rate in rates),
        low=fmean(rate.low for rate in rates),
        high=fmean(rate.high for rate in rates),
    )


def corrected(rate: Rate, sensitivity: Rate, specificity: Rate) -> Rate:
    """Return the true rate behind one that a judge counted: (rate + specificity - 1) / (sensitivity + specificity - 1).

    The point is Rogan and Gladen's (1978, American Journal of Epidemiology 107:71). The interval carries the uncertainty of all
    three rates, without which it is too short (Lang and Reiczigel 2014, Preventive Veterinary Medicine 113:13): how far each
    interval's ends move the estimate is added in squares on each side, as in Newcombe's method (Zou and Donner 2008). Point
    and ends are corrected together and clipped to [0, 1] together, so that the interval always holds its point.

    >>> known = Rate(value=1.0, n=1, low=1.0, high=1.0)
    >>> rate = corrected(wilson(6, 21), known, known)
    >>> f"{rate.low:.3f} {rate.value:.3f} {rate.high:.3f}"
    '0.138 0.286 0.500'
    """
    if sensitivity.value + specificity.value <= 1:
        raise ValueError(
            f"a rate is corrected for a judge that is better than chance: sensitivity + specificity > 1; "
            f"got {sensitivity.value:.3f} + {specificity.value:.3f}. Take another judge, or show the raw rate alone"
        )
    value = _true_rate(rate.value, sensitivity.value, specificity.value)
    moved = (
        [_true_rate(end, sensitivity.value, specificity.value) - value for end in (rate.low, rate.high)],
        [_true_rate(rate.value, end, specificity.value) - value for end in (sensitivity.low, sensitivity.high)],
        [_true_rate(rate.value, sensitivity.value, end) - value for end in (specificity.low, specificity.high)],
    )
    low = value - sqrt(sum(min(0.0, *ends) ** 2 for ends in moved))
    high = value + sqrt(sum(max(0.0, *ends) ** 2 for ends in moved))
    return Rate(value=_clipped(value), n=rate.n, low=_clipped(low), high=_clipped(high))


def newcombe(successes: int, n: int, other_successes: int, other_n: int, *, confidence: float = CONFIDENCE) -> Rate:
    """Return the difference of two independent proportions, first minus second (Newcombe 1998, method 10).

    >>> rate = newcombe(56, 70, 48, 80)
    >>> f"{rate.low:.4f} {rate.value:.4f} {rate.high:.4f}"
    '0.0524 0.2000 0.3339'
    """
    a, b = wilson(successes, n, confidence=confidence), wilson(other_successes, other_n, confidence=confidence)
    value = a.value - b.value
    low = value - sqrt((a.value - a.low) ** 2 + (b.high - b.value) ** 2)
    high = value + sqrt((a.high - a.value) ** 2 + (b.value - b.low) ** 2)
    return Rate(value=value, n=n + other_n, low=low, high=high)


def newcombe_paired(both: int, first: int, second: int, neither: int, *, confidence: float = CONFIDENCE) -> Rate:
    """Return the difference of two proportions over the same items, first minus second (Newcombe 1998, 17:2635, method 10).

    The four counts are of items that both have, one alone, or neither.

    >>> rate = newcombe_paired(36, 12, 2, 0)
    >>> f"{rate.low:.4f} {rate.value:.4f} {rate.high:.4f}"
    '0.0569 0.2000 0.3404'
    """
    n = both + first + second + neither
    a, b = wilson(both + first, n, confidence=confidence), wilson(both + second, n, confidence=confidence)
    spread = sqrt((both + first) * (second + neither) * (both + second) * (first + neither))
    shared = both * neither - first * second
    phi = (max(shared - n / 2, 0.0) if shared > 0 else shared) / spread if spread else 0.0
    down, up = (a.value - a.low, b.high - b.value), (a.high - a.value, b.value - b.low)
    low, high = (sqrt(max(0.0, x * x - 2 * phi * x * y + y * y)) for x, y in (down, up))
    return Rate(value=(first - second) / n, n=n, low=(first - second) / n - low, high=(first - second) / n + high)


def paired(
    after: Sequence[float],
    before: Sequence[float],
    *,
    rng: Random,
    clusters: Sequence[Hashable] | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compare two series over the same items, in the same order; positive means that `after` is higher.

    The interval is for the mean difference; p asks whether wins and losses are equally likely. For 0/1 series that p is
    McNemar's. With clusters, each cluster's mean difference casts one vote.
    """
    if len(after) != len(before):
        raise ValueError(
            f"a paired comparison needs the same items twice; got {len(after)} and {len(before)}. "
            "Join the two series by item first"
        )
    differences = [a - b for a, b in zip(after, before, strict=True)]
    votes = [total for total, _ in _cluster_totals(differences, clusters)]
    wins, losses = sum(vote > 0 for vote in votes), sum(vote < 0 for vote in votes)
    return Comparison(
        difference=mean(differences, rng=rng, clusters=clusters, resamples=resamples, confidence=confidence),
        p=mcnemar(wins, losses),
        wins=wins,
        losses=losses,
        ties=len(votes) - wins - losses,
    )


def mcnemar(wins: int, losses: int) -> float:
    """Return McNemar's exact two-sided p from the two discordant counts: a fair coin decides each (McNemar 1947).

    >>> mcnemar(5, 0), mcnemar(6, 0)
    (0.0625, 0.03125)
    """
    if wins < 0 or losses < 0:
        raise ValueError(f"discordant counts cannot be negative; got {wins} and {losses}")
    n = wins + losses
    tail = sum(comb(n, k) for k in range(min(wins, losses) + 1))
    return min(1.0, 2 * tail / (1 << n))


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Return Holm's adjusted p-values (Holm 1979), in the order given.

    >>> holm([0.01, 0.04, 0.03])
    (0.03, 0.06, 0.06)
    """
    if any(not 0 <= p <= 1 for p in p_values):
        raise ValueError(f"p-values lie in [0, 1]; got {list(p_values)}")
    adjusted = [0.0] * len(p_values)
    worst = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = worst
    return tuple(adjusted)


def needed(rate: float, other: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many items *each* of two independent arms needs to tell two rates apart (Fleiss 1981, uncorrected).

    >>> needed(0.1, 0.2)
    199
    """
    if not (0 <= rate <= 1 and 0 <= other <= 1) or rate == other:
        raise ValueError(f"a sample size needs two different rates in [0, 1]; got {rate} and {other}")
    middle = (rate + other) / 2
    noise = _two_sided_z(1 - alpha) * sqrt(2 * middle * (1 - middle))
    signal = _z(power) * sqrt(rate * (1 - rate) + other * (1 - other))
    return ceil(((noise + signal) / (rate - other)) ** 2)


def needed_paired(wins: float, losses: float, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Return how many pairs McNemar's test needs, given the chances that a pair is won and lost (Connor 1987).

    >>> needed_paired(0.2, 0.1)
    234
    """
    if min(wins, losses) < 0 or wins + losses > 1 or wins == losses:
        raise ValueError(f"chances of winning and losing a pair must differ and sum to at most 1; got {wins} and {losses}")
    discordant, gap = wins + losses, wins - losses
    return ceil(((_two_sided_z(1 - alpha) * sqrt(discordant) + _z(power) * sqrt(discordant - gap * gap)) / gap) ** 2)


def _true_rate(rate: float, sensitivity: float, specificity: float) -> float:
    # An end of an interval may lie where the judge is no better than chance: then the rate may be anything.
    return (rate + specificity - 1) / max(1e-9, sensitivity + specificity - 1)


def _clipped(rate: float) -> float:
    return min(1.0, max(0.0, rate))


def _z(probability: float) -> float:
    """Return the standard normal quantile."""
    if not 0 < probability < 1:
        raise ValueError(f"confidence, power and alpha lie strictly between 0 and 1; got {probability}")
    return NormalDist().inv_cdf(probability)


def _two_sided_z(confidence: float) -> float:
    return _z((1 + confidence) / 2)


def _cluster_totals(values: Sequence[float], clusters: Sequence[Hashable] | None) -> list[tuple[float, int]]:
    """Return (sum, count) of every cluster, in order of first appearance; without clusters each value is its own."""
    if any(not isfinite(value) for value in values):
        raise ValueError("a mean needs finite numbers; got nan or infinity. Drop what was not measured, and say how many")
    if clusters is None:
        return [(value, 1) for value in values]
    if len(clusters) != len(values):
        raise ValueError(f"each value needs one cluster key; got {len(values)} values and {len(clusters)} keys")
    totals: dict[Hashable, tuple[float, int]] = {}
    for key, value in zip(clusters, values, strict=True):
        total, count = totals.get(key, (0.0, 0))
        totals[key] = (total + value, count + 1)
    return list(totals.values())


def _ratio(totals: Sequence[tuple[float, int]]) -> float:
    return sum(total for total, _ in totals) / sum(count for _, count in totals)


def _quantile(ordered: Sequence[float], probability: float) -> float:
    """Return a quantile by linear interpolation between order statistics (Hyndman and Fan's type 7)."""
    place = probability * (len(ordered) - 1)
    below = int(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])

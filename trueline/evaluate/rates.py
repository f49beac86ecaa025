"""Rates over goals that hang together: paraphrases of one request are not independent, and an interval must know it.

Small functions on top of `core/stats.py`, and the JSON form of a rate:

- `clustered`: a share with Wilson's interval at the sample size that the clusters leave (the design effect of survey
  sampling): hundreds of rates in a report cost nothing, and where none or all succeeded there still is a width;
- `ratio`: one rate over another, such as attack success over capability;
- `difference`: the same goals twice, clustered, as a paired comparison;
- `rise`: the same, as the rate of the difference alone;
- `apart`: one rate less another, of separate samples;
- `retained`: the same goals twice, as what share of the first rate the second kept, and `reduced`, what share is gone;
- `negated`: a difference the other way round;
- `cluster_of`: what prompts that hang together share.

    clustered([1, 1, 0, 0], ["a", "a", "b", "b"])     four goals, two of which are independent
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import asdict, replace
from math import sqrt
from random import Random

from trueline.core import stats
from trueline.core.types import Prompt, Rate

FEW_KEPT = 8  # clusters: a resample of that many misses all of them once in 3000


def clustered(values: Sequence[float], clusters: Sequence[Hashable]) -> Rate | None:
    """Return the mean of shares in [0, 1] with an interval that counts clusters; None where nothing was measured.

    The variance of a ratio estimator over clusters (Cochran 1977, Sampling Techniques) says how many independent
    values would be as uncertain; Wilson's interval is taken at that number (as Korn and Graubard 1998, Survey Methodology
    24:193, do with Clopper and Pearson's). Where all values are alike, that is the number of clusters. `n` counts values.

    >>> rate = clustered([1, 1, 1, 1], ["a", "a", "b", "b"])
    >>> rate.n, rate.low == stats.wilson(2, 2).low
    (4, True)
    """
    if not values:
        return None
    n, value = len(values), sum(values) / len(values)
    totals: dict[Hashable, tuple[float, int]] = {}
    for key, one in zip(clusters, values, strict=True):
        total, count = totals.get(key, (0.0, 0))
        totals[key] = (total + one, count + 1)
    k = len(totals)
    worth = float(k)  # independent values
    if 1 < k < n and 0 < value < 1:
        spread = sum((total - value * count) ** 2 for total, count in totals.values()) * k / (k - 1) / n**2
        worth = min(n, value * (1 - value) / spread) if spread > 0 else n
    whole = max(1, int(worth))
    found = stats.wilson(value * whole, whole)
    return Rate(value=value, n=n, low=min(value, found.low), high=max(value, found.high))


def ratio(rate: Rate | None, of: Rate | None) -> Rate | None:
    """Return `rate / of` with an interval; None where either is missing or `of` may be zero.

    How far each interval's ends move the ratio is added in squares on each side, as `stats.corrected` does (Zou and Donner
    2008): the two count as independent, which is safe (wide) where they rise and fall together. The ratio may exceed 1.

    >>> ratio(stats.wilson(0, 50), stats.wilson(40, 50)).value
    0.0
    """
    if rate is None or of is None or of.low <= 0:
        return None
    value = rate.value / of.value
    low = value - sqrt((value - rate.low / of.value) ** 2 + (value - rate.value / of.high) ** 2)
    high = value + sqrt((rate.high / of.value - value) ** 2 + (rate.value / of.low - value) ** 2)
    return Rate(value=value, n=min(rate.n, of.n), low=max(0.0, low), high=high)


def difference(
    after: Sequence[float], before: Sequence[float], clusters: Sequence[Hashable], *, name: str
) -> stats.Comparison | None:
    """Compare the same goals twice; None with fewer than two independent ones. `name` seeds the bootstrap.

    Where every goal moved alike, the bootstrap sees no spread, and the interval is Newcombe's at the number of clusters.
    """
    k = len(set(clusters))
    if k < 2:
        return None
    found = stats.paired(after, before, rng=Random(f"difference/{name}"), clusters=clusters)
    if found.difference.low < found.difference.high:
        return found
    share = [sum(values) / len(values) * k for values in (after, before)]
    wide = stats.newcombe(share[0], k, share[1], k)  # type: ignore[arg-type]  # wilson takes shares
    value = found.difference.value
    return replace(found, difference=Rate(value=value, n=len(after), low=min(value, wide.low), high=max(value, wide.high)))


def rise(after: Sequence[float], before: Sequence[float], clusters: Sequence[Hashable], *, name: str) -> Rate | None:
    """Return by how much a share rose over the same goals: what `difference` finds, without its test."""
    found = difference(after, before, clusters, name=name)
    return None if found is None else found.difference


def apart(first: Rate | None, second: Rate | None) -> Rate | None:
    """Return first less second, of separate samples; how far each end moves it is added in squares, as in `ratio`.

    >>> apart(Rate(value=0.5, n=9, low=0.2, high=0.8), Rate(value=0.5, n=9, low=0.1, high=0.9)).high
    0.5
    """
    if first is None or second is None:
        return None
    value = first.value - second.value
    low = value - sqrt((first.value - first.low) ** 2 + (second.high - second.value) ** 2)
    high = value + sqrt((first.high - first.value) ** 2 + (second.value - second.low) ** 2)
    return Rate(value=value, n=first.n + second.n, low=low, high=high)


def retained(
    after: Sequence[float],
    before: Sequence[float],
    clusters: Sequence[Hashable],
    *,
    name: str,
) -> Rate | None:
    """Return sum(after) / sum(before) over the same goals, with a paired bootstrap over clusters; it may exceed 1.

    None with fewer than two clusters, and where `before` is zero in some and positive in fewer than FEW_KEPT: a resample would
    find nothing to divide by. Where every cluster has the same ratio, the interval is that of `ratio`.
    """
    totals: dict[Hashable, tuple[float, float]] = {}
    for key, a, b in zip(clusters, after, before, strict=True):
        there = totals.get(key, (0.0, 0.0))
        totals[key] = (there[0] + a, there[1] + b)
    if len(totals) < 2 or sum(b > 0 for _, b in totals.values()) < min(len(totals), FEW_KEPT):
        return None
    rng, pool = Random(f"retained/{name}"), list(totals.values())
    value = sum(a for a, _ in pool) / sum(b for _, b in pool)
    drawn = [rng.choices(pool, k=len(pool)) for _ in range(stats.RESAMPLES)]
    draws = sorted(sum(a for a, _ in some) / whole for some in drawn if (whole := sum(b for _, b in some)) > 0)
    cut = int(len(draws) * (1 - stats.CONFIDENCE) / 2)
    low, high = draws[cut], draws[-1 - cut]
    if low < high:
        return Rate(value=value, n=len(after), low=min(low, value), high=max(high, value))
    wide = ratio(clustered(after, clusters), clustered(before, clusters))
    return None if wide is None else Rate(value=value, n=len(after), low=wide.low, high=wide.high)


def reduced(after: Sequence[float], before: Sequence[float], clusters: Sequence[Hashable], *, name: str) -> Rate | None:
    """Return what share of a rate is gone, over the same goals twice: 1 - `retained`."""
    left = retained(after, before, clusters, name=name)
    return None if left is None else Rate(value=1 - left.value, n=left.n, low=1 - left.high, high=1 - left.low)


def negated(rate: Rate | None) -> Rate | None:
    """Return a difference the other way round: what was lost as what was gained."""
    return None if rate is None else Rate(value=-rate.value, n=rate.n, low=-rate.high, high=-rate.low)


def cluster_of(prompt: Prompt) -> str:
    """Return what prompts that hang together share: what is asked about."""
    about = prompt.about
    return about.get("cluster") or about.get("procedure") or about.get("person") or about.get("object") or prompt.id


def plain(rate: Rate | None) -> dict[str, float] | None:
    """Write a rate as JSON: {"value", "n", "low", "high"}, or None."""
    return None if rate is None else asdict(rate)

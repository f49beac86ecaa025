"""How well a score alone tells two kinds of replies apart, also where the judge decides nothing, as a reward model does.

separation([0.9, 0.8], [0.1, 0.2]).value    # 1.0: every one of the first lies above every one of the others
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import NormalDist

from trueline.core.stats import CONFIDENCE
from trueline.core.types import Rate


def separation(higher: Sequence[float], lower: Sequence[float]) -> Rate | None:
    """Return how often a value that should be higher is, over all pairs; ties count half: the area under the ROC curve.

    The interval is Hanley and McNeil's (1982, Radiology 143:29), for values that are drawn independently; `n` counts all
    values. None where one side is empty.

    >>> separation([3.0, 2.0], [1.0, 2.0]).value
    0.875
    """
    n, m = len(higher), len(lower)
    if not n or not m:
        return None
    area = _wins(higher, lower) / (n * m)
    q1, q2 = area / (2 - area), 2 * area * area / (1 + area)
    noise = area * (1 - area) + (n - 1) * (q1 - area * area) + (m - 1) * (q2 - area * area)
    half = NormalDist().inv_cdf((1 + CONFIDENCE) / 2) * sqrt(max(0.0, noise) / (n * m))
    return Rate(value=area, n=n + m, low=max(0.0, area - half), high=min(1.0, area + half))


def _wins(higher: Sequence[float], lower: Sequence[float]) -> float:
    """Count the pairs in which the first value is above the second, a tie as half of one (Mann and Whitney's U)."""
    ordered = sorted([(value, 1) for value in higher] + [(value, 0) for value in lower])
    wins, below, start = 0.0, 0, 0
    while start < len(ordered):
        end = start
        while end < len(ordered) and ordered[end][0] == ordered[start][0]:
            end += 1
        ups = sum(side for _, side in ordered[start:end])
        downs = end - start - ups
        wins += ups * (below + downs / 2)
        below, start = below + downs, end
    return wins

"""Rates over seeds: a seed is a replicate, so what holds of a method is read from how it varies between seeds.

    replicated([Rate(...), Rate(...), Rate(...)])      # one rate for each seed -> their mean, and an interval

The interval is Student's t on the seeds' values, which carries both the sampling of prompts and the draw of the seed, joined
with the mean of the seeds' own intervals: where all seeds agree (three times 0 of 300) the first alone would claim certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import atan, cos, pi, sin, sqrt
from statistics import fmean, stdev

from trueline.core.stats import average
from trueline.core.types import Rate


def replicated(rates: Sequence[Rate], clip: bool = True) -> Rate:
    """Return the mean of one rate a seed; of a single seed, the rate itself. `n` is the total over seeds.

    With `clip`, what lies within [0, 1] on every seed stays there, as a share must. A difference that is held against 0 may
    not be clipped: it would never be found below.

    >>> same = [Rate(value=0.0, n=300, low=0.0, high=0.0126)] * 3
    >>> replicated(same).high
    0.0126
    """
    if len(rates) < 2:
        return average(rates)
    inner, values = average(rates), [rate.value for rate in rates]
    half = student(len(values) - 1) * stdev(values) / sqrt(len(values))
    low, high = min(inner.low, inner.value - half), max(inner.high, inner.value + half)
    if clip and all(rate.low >= 0 and rate.high <= 1 for rate in rates):
        low, high = max(0.0, low), min(1.0, high)
    return Rate(value=fmean(values), n=inner.n, low=low, high=high)


def student(degrees: int, confidence: float = 0.95) -> float:
    """Return the two-sided quantile of Student's t for so many degrees of freedom (Abramowitz and Stegun 26.7.3 and 26.7.4).

    >>> f"{student(2):.3f} {student(5):.3f} {student(30):.3f}"
    '4.303 2.571 2.042'
    """
    if degrees < 1:
        raise ValueError(f"expected at least one degree of freedom (two seeds), got {degrees}")
    low, high = 0.0, 1.0
    while _within(high, degrees) < confidence:
        high *= 2
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, degrees) < confidence else (low, middle)
    return high


def _within(t: float, degrees: int) -> float:
    """The probability that |T| is at most t."""
    angle = atan(t / sqrt(degrees))
    term = cos(angle) if degrees % 2 else 1.0
    total = 0.0
    for k in range(1 if degrees % 2 else 0, degrees - 1, 2):
        total += term
        term *= (k + 1) / (k + 2) * cos(angle) ** 2
    return 2 / pi * (angle + sin(angle) * total) if degrees % 2 else sin(angle) * total

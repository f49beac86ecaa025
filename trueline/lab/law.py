"""How success grows with the number of tries: an exponent, and what the spread of single chances says it must be.

Every goal i has a chance p_i a try, so after N tries

    ASR(N) = 1 - E[(1 - p)^N],        and        -log ASR(N) = a N^-b

is what Hughes et al. 2024 (https://arxiv.org/abs/2412.03556) fit to it. Schaeffer et al. 2025 (2502.17578) show that b is read
off the left tail of p: with p from Beta(alpha, beta), E[(1 - p)^N] falls as N^-alpha. So a Beta that is fitted to half of the
tries foretells the slope that the other half shows. Which law describes first successes better: evaluate/budget.py.

>>> spread = Spread(0.3, 6.0)
>>> round(exponent(COUNTS, [spread.success(n) for n in COUNTS]), 2)
0.38
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

import numpy as np
from numpy.typing import NDArray

from trueline.core.types import Rate
from trueline.evaluate.budget import Tries, laws

COUNTS = tuple(2**k for k in range(7))  # numbers of tries, 1 to 64, that a slope is fitted over
RESAMPLES = 200
REFITS = 40  # resamples of the comparison of laws, each of which is fitted anew
ALIKE = 1e6  # alpha + beta of a spread that cannot be told from none

Hits = NDArray[np.bool_]  # (goals, tries)


@dataclass(frozen=True)
class Spread:
    """Chances a try as a Beta over goals."""

    alpha: float
    beta: float

    @classmethod
    def of(cls, hits: Hits) -> Spread:
        """Fit the Beta by the first two moments of the beta-binomial (Skellam 1948); never 0 or 1, whatever was seen."""
        tries = hits.shape[1]
        found = hits.mean(1)
        middle = (hits.sum() + 0.5) / (hits.size + 1)
        sampling = middle * (1 - middle) / tries
        between = max(0.0, (float(found.var(ddof=1)) - sampling) * tries / max(1, tries - 1))
        total = min(ALIKE, middle * (1 - middle) / between - 1) if between > 0 else ALIKE
        total = max(total, 1e-3)
        return cls(float(middle * total), float((1 - middle) * total))

    def success(self, n: int) -> float:
        """The share of goals that n tries break."""
        a, b = self.alpha, self.beta
        return 1 - exp(lgamma(b + n) - lgamma(b) + lgamma(a + b) - lgamma(a + b + n))


def success(hits: Hits, n: int) -> float:
    """The share of goals broken by n of their tries, over all choices of n (as pass@k, Chen et al. 2021, 2107.03374)."""
    tries = hits.shape[1]
    left = np.arange(tries + 1)[:, None] - np.arange(n)  # misses that are left after each of n tries, by how many there are
    kept = np.prod(left.clip(min=0) / (tries - np.arange(n)), axis=1)
    return 1 - float(kept[tries - hits.sum(1)].mean())


def exponent(counts: Sequence[int], successes: Sequence[float]) -> float | None:
    """The b of -log ASR = a N^-b by least squares in logarithms; None where fewer than three points lie between 0 and 1."""
    points = [(log(n), log(-log(s))) for n, s in zip(counts, successes, strict=True) if 1e-9 < s < 1 - 1e-9]
    if len(points) < 3:
        return None
    x, y = np.array(points).T
    return -float(np.polyfit(x, y, 1)[0])


def foretold(hits: Hits) -> tuple[float, float] | None:
    """The exponent that a Beta of every second try foretells, and that of the other tries; over the same numbers of tries."""
    seen, unseen = hits[:, ::2], hits[:, 1::2]
    spread = Spread.of(seen)
    counts = [n for n in COUNTS if n <= unseen.shape[1]]
    measured = [success(unseen, n) for n in counts]
    inside = [n for n, s in zip(counts, measured, strict=True) if 1e-9 < s < 1 - 1e-9]
    said, found = exponent(inside, [spread.success(n) for n in inside]), exponent(counts, measured)
    return None if said is None or found is None else (said, found)


def foretold_error(hits: Hits, clusters: Sequence[str]) -> Rate | None:
    """The exponent foretold less the one measured; goals of one cluster are drawn together."""

    def value(some: Hits) -> float | None:
        both = foretold(some)
        return None if both is None else both[0] - both[1]

    return resampled(hits, clusters, value, RESAMPLES)


def apart(hits: Hits, clusters: Sequence[str]) -> Rate | None:
    """AIC of the power law less AIC of the beta-binomial, on first successes; None where no law can be told."""

    def value(some: Hits) -> float | None:
        found = laws(tries_of(some), resamples=1)
        return None if found["cannot_tell"] else float(found["apart"])  # type: ignore[arg-type]

    return resampled(hits, clusters, value, REFITS)


def tries_of(hits: Hits, clusters: Sequence[str] = ()) -> list[Tries]:
    """Each goal's first success among its tries, as budget.py reads it."""
    names = clusters or [""] * len(hits)
    return [
        Tries(asked=len(row), first=int(row.argmax()) + 1 if row.any() else None, cluster=name)
        for row, name in zip(hits, names, strict=True)
    ]


def resampled(hits: Hits, clusters: Sequence[str], value: Callable[[Hits], float | None], times: int) -> Rate | None:
    """A number of a set of goals with its percentile bootstrap interval, whole clusters drawn with replacement."""
    point = value(hits)
    if point is None:
        return None
    groups = [[i for i, key in enumerate(clusters) if key == name] for name in dict.fromkeys(clusters)]
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(times):
        rows = [i for k in rng.integers(len(groups), size=len(groups)) for i in groups[k]]
        if (again := value(hits[rows])) is not None:
            draws.append(again)
    low, high = np.quantile(draws, [0.025, 0.975]) if draws else (point, point)
    return Rate(value=point, n=len(hits), low=min(point, float(low)), high=max(point, float(high)))

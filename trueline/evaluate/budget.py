"""Attack success as a function of the budget: which law the first successes follow, and what more questions would break.

Two laws say how likely a goal is to be broken within N questions, and both are distributions of the first success, so that
each has a likelihood on the same goals and AIC (Akaike 1974) can compare them:

- power law: P(T <= N) = exp(-a N^-b), which is -log ASR(N) = a N^-b (Hughes et al. 2024, arXiv 2412.03556);
- beta-binomial: each goal has its own chance a question, drawn from Beta(alpha, beta), so that
  P(T > N) = B(alpha, beta + N) / B(alpha, beta), and T is beta-geometric.

A goal that never broke is censored at the number of questions it was asked. The paper fits a curve to the average success at
each N; here each goal counts once, and one that was asked less is not one that held.

    laws([Tries(asked=3, first=3), Tries(asked=64), ...])      of one attack, one entry a goal
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import exp

import numpy as np
from numpy.typing import NDArray

from trueline.core.stats import wilson
from trueline.core.types import Rate

FEW = 5  # broken goals: with fewer, two parameters fit anything
APART = 2.0  # of AIC: below it, the data do not choose between the laws (Burnham and Anderson 2002)
RESAMPLES = 200
EDGE = 12.0  # parameters lie between exp(-EDGE) and exp(EDGE)
NAMES = {"power": "power law", "beta": "beta-binomial"}
PARAMETERS = {"power": ("a", "b"), "beta": ("alpha", "beta")}

Array = NDArray[np.float64]
Tail = Callable[[float, float, Array], Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tries:
    """One goal under one attack: how many questions it was asked, and which of them broke it first (None: none did)."""

    asked: int
    first: int | None = None
    cluster: str = ""  # goals of one cluster are resampled together; empty: the goal stands alone

    def __post_init__(self) -> None:
        if self.asked < 1 or not (self.first is None or 1 <= self.first <= self.asked):
            raise ValueError(f"a goal is broken by a question from 1 to those asked; got first {self.first} of {self.asked}")


def laws(tries: Sequence[Tries], *, ahead: Sequence[int] = (), resamples: int = RESAMPLES, seed: int = 0) -> dict[str, object]:
    """Fit both laws and say which the data prefer, what they forecast, and how well they would have forecast.

    Keys: goals, broken, asked (most questions), `cannot_tell` (a reason, or None), and where it can be told: power {a, b,
    loglik, aic}, beta {alpha, beta, loglik, aic}, better ("power law", "beta-binomial" or "cannot tell"), apart (AIC of the
    power law minus AIC of the beta-binomial), curve [{budget, power, beta}], forecast [{budget, power: RATE, beta: RATE}] at
    `ahead` (else ten times what was asked), and held_out (see `check`). Intervals: percentile bootstrap by goal or cluster.
    """
    broken = [one.first for one in tries if one.first is not None]
    most = max((one.asked for one in tries), default=0)
    found: dict[str, object] = {"goals": len(tries), "broken": len(broken), "asked": most, "cannot_tell": _why_not(tries)}
    if found["cannot_tell"]:
        return found
    fitted = {name: _fit(tail, _Table(tries)) for name, tail in TAILS.items()}
    shown = [round(n) for n in np.unique(np.geomspace(1, 10 * most, 25).round())]
    aic = {name: 4 - 2 * fit.loglik for name, fit in fitted.items()}
    apart = aic["power"] - aic["beta"]
    for name, fit in fitted.items():
        x, y = PARAMETERS[name]
        found[name] = {x: exp(fit.x), y: exp(fit.y), "loglik": fit.loglik, "aic": aic[name]}
    return found | {
        "better": "cannot tell" if abs(apart) < APART else NAMES["beta" if apart > 0 else "power"],
        "apart": apart,
        "curve": [{"budget": n} | {name: _share(name, fit, n) for name, fit in fitted.items()} for n in shown],
        "forecast": _forecast(tries, fitted, ahead or (10 * most,), resamples, seed),
        "held_out": check(tries),
    }


def check(tries: Sequence[Tries], part: int = 4) -> dict[str, object] | None:
    """Fit on the first questions only, forecast to where every unbroken goal was asked, and compare with what came.

    Returns {fitted_on, forecast_at, observed: RATE, power, beta, power_error, beta_error} (errors: forecast minus observed),
    or None where the first `1/part` of the questions broke too few goals.
    """
    far = min((one.asked for one in tries if one.first is None), default=max(one.asked for one in tries))
    near = far // part
    early = [_cut(one, near) for one in tries] if near >= 2 else []
    if not early or _why_not(early):
        return None
    hits = sum(one.first is not None and one.first <= far for one in tries)
    observed = wilson(hits, len(tries))
    said = {name: _share(name, _fit(tail, _Table(early)), far) for name, tail in TAILS.items()}
    errors = {f"{name}_error": share - observed.value for name, share in said.items()}
    return {"fitted_on": near, "forecast_at": far, "observed": asdict(observed), **said, **errors}


@dataclass(frozen=True, slots=True)
class _Fit:
    """A law's two parameters, as logarithms, and its log-likelihood."""

    x: float
    y: float
    loglik: float


class _Table:
    """Tries counted by what can differ: how often the first success came at question k, and how often none came by k."""

    def __init__(self, tries: Sequence[Tries], weights: Array | None = None) -> None:
        """Count each entry `weights` times (once, where they are not given)."""
        ends = np.array([one.first or one.asked for one in tries])
        hit = np.array([one.first is not None for one in tries])
        weight = np.ones(len(tries)) if weights is None else weights
        self.at, places = np.unique(np.concatenate([ends, ends - 1]), return_inverse=True)  # each law is asked once a k
        self.at = self.at.astype(float)
        place, before = places[: len(ends)], places[len(ends) :]
        self.hits = np.bincount(place, weight * hit, len(self.at))
        self.held = np.bincount(place, weight * ~hit, len(self.at))
        self.before = np.zeros(len(self.at), dtype=int)
        self.before[place] = before

    def loglik(self, tail: Tail, x: float, y: float) -> float:
        """The log-likelihood under a law whose log P(T > k) is `tail`."""
        after = tail(x, y, self.at)
        before = after[self.before]
        # log(P(T > k-1) - P(T > k)), without losing a difference of two numbers near one
        step = before + np.log(np.maximum(-np.expm1(np.minimum(after - before, 0.0)), 1e-300))
        return float(self.hits @ step + self.held @ np.maximum(after, -1e6))


def _power(x: float, y: float, at: Array) -> Array:
    """log P(T > k) of the power law: log(1 - exp(-a k^-b)); nothing breaks at k = 0."""
    steep = exp(x) * np.maximum(at, 1.0) ** -exp(y)
    return np.where(at > 0, np.log(np.maximum(-np.expm1(-np.minimum(steep, 700.0)), 1e-300)), 0.0)


def _beta(x: float, y: float, at: Array) -> Array:
    """log P(T > k) of the beta-geometric law: the product over i < k of (beta + i) / (alpha + beta + i)."""
    steps = np.log1p(exp(x) / (exp(y) + np.arange(at.max())))
    return -np.concatenate(([0.0], np.cumsum(steps)))[at.astype(int)]


TAILS: dict[str, Tail] = {"power": _power, "beta": _beta}
STARTS: dict[Tail, tuple[tuple[float, float], ...]] = {_power: ((1.0, -1.0), (0.0, 0.0)), _beta: ((-1.0, 1.5), (1.0, 4.0))}


def _share(name: str, fit: _Fit, budget: int) -> float:
    """The share of goals that a law says are broken within a budget."""
    return float(-np.expm1(TAILS[name](fit.x, fit.y, np.array([float(budget)]))[0]))


def _fit(tail: Tail, table: _Table, start: _Fit | None = None) -> _Fit:
    """Maximise the likelihood, from several places, or from one that is known to be near."""

    def height(x: float, y: float) -> float:
        return table.loglik(tail, x, y)

    if start is not None:
        return _climb(height, (start.x, start.y), reach=0.2, close=1e-4)
    return max((_climb(height, place) for place in STARTS[tail]), key=lambda fit: fit.loglik)


def _climb(
    height: Callable[[float, float], float], start: tuple[float, float], *, reach: float = 0.6, close: float = 1e-8
) -> _Fit:
    """Find a maximum in two dimensions with the simplex of Nelder and Mead (1965)."""

    def at(place: Array) -> tuple[float, Array]:
        place = np.minimum(np.maximum(place, -EDGE), EDGE)
        return height(float(place[0]), float(place[1])), place

    corners = [at(np.array(start) + move) for move in ((0.0, 0.0), (reach, 0.0), (0.0, reach))]
    for _ in range(150):
        corners.sort(key=lambda corner: -corner[0])
        (best, top), (middle, _), (worst, low) = corners
        if best - worst < close:
            break
        centre = (top + corners[1][1]) / 2
        reflected = at(2 * centre - low)
        if reflected[0] > best:
            corners[2] = max(reflected, at(3 * centre - 2 * low), key=lambda corner: corner[0])
        elif reflected[0] > middle:
            corners[2] = reflected
        else:
            inner = at((centre + (reflected[1] if reflected[0] > worst else low)) / 2)
            corners[2] = inner
            if inner[0] <= max(worst, reflected[0]):
                corners[1:] = [at((top + place) / 2) for _, place in (corners[1], (worst, low))]
    best, place = max(corners, key=lambda corner: corner[0])
    return _Fit(float(place[0]), float(place[1]), best)


def _forecast(
    tries: Sequence[Tries], fitted: dict[str, _Fit], ahead: Sequence[int], resamples: int, seed: int
) -> list[dict[str, object]]:
    rng = np.random.default_rng(seed)
    _, cluster = np.unique([one.cluster or f"#{i}" for i, one in enumerate(tries)], return_inverse=True)
    k = int(cluster.max()) + 1
    drawn: dict[str, list[list[float]]] = {name: [] for name in TAILS}
    for _ in range(resamples):
        times = np.bincount(rng.integers(k, size=k), minlength=k).astype(float)
        table = _Table(tries, times[cluster])
        for name, tail in TAILS.items():
            again = _fit(tail, table, fitted[name])
            drawn[name].append([_share(name, again, n) for n in ahead])
    said: list[dict[str, object]] = [{"budget": n} for n in ahead]
    for i, entry in enumerate(said):
        for name, fit in fitted.items():
            entry[name] = _interval(_share(name, fit, ahead[i]), [row[i] for row in drawn[name]], len(tries))
    return said


def _interval(value: float, draws: Sequence[float], n: int) -> dict[str, float]:
    low, high = np.quantile(draws, (0.025, 0.975))
    return asdict(Rate(value=value, n=n, low=min(value, float(low)), high=max(value, float(high))))


def _why_not(tries: Sequence[Tries]) -> str | None:
    """Say why no law can be told from these tries; None where one can."""
    broken = [one.first for one in tries if one.first is not None]
    independent = len({one.cluster or str(i) for i, one in enumerate(tries)})
    if independent < 2:
        return f"a law needs two or more independent goals, and there are {independent}"
    if max(one.asked for one in tries) < 2:
        return "no goal was asked more than once, so success has no course over the budget"
    if not broken:
        return f"none of {len(tries)} goals broke"
    if len(broken) < FEW:
        return f"only {len(broken)} of {len(tries)} goals broke; two parameters need {FEW} or more"
    if len(broken) == len(tries) and set(broken) == {1}:
        return "every goal broke at the first question"
    return None


def _cut(one: Tries, at: int) -> Tries:
    """What would be known of a goal had it been asked no more than `at` questions."""
    first = one.first if one.first is not None and one.first <= at else None
    return Tries(asked=min(one.asked, at), first=first, cluster=one.cluster)

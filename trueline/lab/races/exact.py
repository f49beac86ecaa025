"""Dynamic programming over a race: the optimum, the worth of a policy, all that policies can reach, and hackability.

    optimum(race).value                  # the largest return
    evaluate(race, policy)               # the (return, hidden performance) of a policy, without drawing an episode
    spread(race)                         # least and most hidden performance among the policies of largest return
    reach(race)                          # the polygon of every (return, hidden) that some policy has
    hackable(race)                       # Skalse et al. 2022 (2209.13085), definition 1, decided exactly

The pairs (return, hidden) of all policies, chance allowed, are a convex polygon: both are linear in how often a policy takes
each action in each state, and these frequencies are a polytope. Its corners are optima of weighted sums of the two rewards, so
that dynamic programming finds them one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trueline.lab.races.race import Race

EXACT = 1e-9  # what differs by less is equal: rounding of sums of a hundred terms

Point = tuple[float, float]  # (return, hidden performance)


@dataclass(frozen=True, kw_only=True, eq=False)
class Optimum:
    """The best that a race allows, and a policy (T, S, A) that does it: of equal actions the first."""

    value: float
    policy: np.ndarray


def optimum(race: Race, weights: Point = (1.0, 0.0)) -> Optimum:
    """Backward induction on weights[0] * reward + weights[1] * hidden."""
    pay = _mean(race, weights[0] * race.reward + weights[1] * race.hidden)  # (S, A)
    value, policy = np.zeros(race.size), np.zeros((race.horizon, race.size, pay.shape[1]))
    for t in reversed(range(race.horizon)):
        worth = pay + _mean(race, value[race.following])
        value = worth.max(-1)
        policy[t, np.arange(race.size), _first(worth)] = 1.0
    return Optimum(value=float(value[0]), policy=policy)


def evaluate(race: Race, policy: np.ndarray) -> Point:
    """Expected return and hidden performance of a policy, (S, A) or (T, S, A) probabilities."""
    pays = [_mean(race, race.reward), _mean(race, race.hidden)]
    values = [np.zeros(race.size), np.zeros(race.size)]
    for t in reversed(range(race.horizon)):
        odds = policy if policy.ndim == 2 else policy[t]
        values = [(odds * (pay + _mean(race, v[race.following]))).sum(-1) for pay, v in zip(pays, values, strict=True)]
    return float(values[0][0]), float(values[1][0])


def spread(race: Race) -> Point:
    """Least and most hidden performance among the policies of largest return: how much the return leaves open."""
    pay, meant = _mean(race, race.reward), _mean(race, race.hidden)
    value, least, most = (np.zeros(race.size) for _ in range(3))
    for _ in range(race.horizon):
        worth = pay + _mean(race, value[race.following])
        value = worth.max(-1)
        best = worth >= value[:, None] - EXACT * (1 + abs(value[:, None]))
        least = np.where(best, meant + _mean(race, least[race.following]), np.inf).min(-1)
        most = np.where(best, meant + _mean(race, most[race.following]), -np.inf).max(-1)
    return float(least[0]), float(most[0])


def reach(race: Race, within: float = 1e-4) -> list[Point]:
    """Corners, anticlockwise, of the polygon of all (return, hidden) that policies have.

    A corner less than `within` beyond the line between its neighbours is left out: chance makes hundreds of these.
    """
    corners: list[Point] = []
    for a, b in ((1, 0), (0, 1), (-1, 0), (0, -1)):
        corners.append(_towards(race, (float(a), float(b))))
    found: list[Point] = []
    for here, there in zip(corners, [*corners[1:], corners[0]], strict=True):
        found += [here, *_between(race, here, there, within)]
    return _distinct(found)


def hackable(race: Race, corners: Sequence[Point] | None = None) -> tuple[Point, Point] | None:
    """Two points that policies reach, the second of more return and less hidden performance; None where there are none.

    Definition 1 of Skalse et al.: some pair of policies is ordered oppositely by the two rewards. A polygon has such a pair
    just when two corners lie so, or it has an inside: a step to the lower right from a point there is another policy's.
    """
    points = list(reach(race) if corners is None else corners)
    falling = [(a, b) for a in points for b in points if b[0] > a[0] + EXACT and b[1] < a[1] - EXACT]
    if falling:
        return max(falling, key=lambda pair: (pair[1][0] - pair[0][0]) * (pair[0][1] - pair[1][1]))
    if area(points) <= EXACT:
        return None
    middle = (float(np.mean([p[0] for p in points])), float(np.mean([p[1] for p in points])))
    step = 1e-3 * min(max(p[0] for p in points) - middle[0], max(p[1] for p in points) - middle[1])
    return (middle[0] - step, middle[1] + step), (middle[0] + step, middle[1] - step)


def area(points: Sequence[Point]) -> float:
    """The area of a polygon."""
    return 0.5 * abs(sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(points, [*points[1:], points[0]], strict=True)))


def _towards(race: Race, weights: Point) -> Point:
    return evaluate(race, optimum(race, weights).policy)


def _between(race: Race, here: Point, there: Point, within: float) -> list[Point]:
    """Corners beyond the line from one corner to the next, anticlockwise."""
    out = (there[1] - here[1], here[0] - there[0])
    length = float(np.hypot(*out))
    if length <= EXACT:
        return []
    unit = (out[0] / length, out[1] / length)
    found = _towards(race, unit)
    if unit[0] * (found[0] - here[0]) + unit[1] * (found[1] - here[1]) <= within:
        return []
    return [*_between(race, here, found, within), found, *_between(race, found, there, within)]


def _distinct(points: list[Point]) -> list[Point]:
    kept: list[Point] = []
    for point in points:
        if not kept or max(abs(point[0] - kept[-1][0]), abs(point[1] - kept[-1][1])) > 1e-7:
            kept.append(point)
    return kept[:-1] if len(kept) > 1 and np.allclose(kept[0], kept[-1], atol=1e-7) else kept


def _mean(race: Race, of: np.ndarray) -> np.ndarray:
    """The mean over outcomes, (S, A)."""
    return (race.chance * of).sum(-1)


def _first(worth: np.ndarray) -> np.ndarray:
    """The first of the best actions, equal ones within rounding."""
    best = worth.max(-1, keepdims=True)
    return (worth >= best - EXACT * (1 + abs(best))).argmax(-1)

"""Dynamic programming agrees with episodes, with brute force, and with the theorem on hackability.

pytest tests/lab/races/test_exact.py
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from random import Random
from statistics import fmean, stdev

import numpy as np
import pytest

from trueline.lab.races.boat import boat
from trueline.lab.races.exact import area, evaluate, hackable, optimum, reach, spread
from trueline.lab.races.lagoon import lagoon, paying
from trueline.lab.races.race import sail
from trueline.lab.races.tomato import tomato


@pytest.mark.parametrize("race", [boat(), paying(lagoon(2), 20.0)], ids=lambda race: race.name)
def test_the_optimal_policy_earns_the_optimal_value(race):
    """Where nothing is left to chance one episode is enough, for evaluation and drawing alike."""
    found = optimum(race)
    assert sail(race, found.policy, Random(0)).reward == pytest.approx(found.value)
    assert evaluate(race, found.policy)[0] == pytest.approx(found.value)


def test_evaluation_is_the_mean_of_episodes():
    """With chance, in the policy and in the world, the mean of many episodes comes near the exact value."""
    race = tomato()
    policy = np.random.default_rng(1).dirichlet(np.ones(4), size=race.size)
    drawn = [sail(race, policy, Random(i)) for i in range(150)]
    for exact, values in zip(evaluate(race, policy), ([e.reward for e in drawn], [e.hidden for e in drawn]), strict=True):
        assert abs(fmean(values) - exact) < 4 * stdev(values) / len(values) ** 0.5


def test_no_policy_leaves_the_polygon_and_its_corners_are_policies():
    """Of a short race, policies at random lie inside, and the largest return and hidden value are corners."""
    race = replace(boat(), horizon=4)
    corners = reach(race)
    rng = np.random.default_rng(0)
    for _ in range(200):
        point = evaluate(race, rng.dirichlet(np.full(4, 0.3), size=race.size))
        assert area_with(corners, point) <= area(corners) + 1e-6
    assert max(c[0] for c in corners) == pytest.approx(optimum(race).value)
    assert max(c[1] for c in corners) == pytest.approx(optimum(race, (0.0, 1.0)).value)


def area_with(corners, point):
    """The area of the hull of the corners and one point more, by its triangles over the edges."""
    edges = zip(corners, [*corners[1:], corners[0]], strict=True)
    beyond = [max(0.0, (b[1] - a[1]) * (point[0] - a[0]) - (b[0] - a[0]) * (point[1] - a[1])) / 2 for a, b in edges]
    return area(corners) + sum(beyond)


def test_the_spread_of_hidden_performance_is_that_of_all_optimal_policies():
    """By brute force over all plans of four moves."""
    race = replace(boat(), horizon=4)
    plans = []
    for plan in product(range(4), repeat=4):
        policy = np.zeros((4, race.size, 4))
        for t, action in enumerate(plan):
            policy[t, :, action] = 1
        plans.append(evaluate(race, policy))
    best = max(p[0] for p in plans)
    hidden = [p[1] for p in plans if p[0] > best - 1e-9]
    assert spread(race) == pytest.approx((min(hidden), max(hidden)))


def test_only_rewards_that_agree_everywhere_are_unhackable():
    """Skalse et al. 2022, theorem 1: a positive multiple or a constant is unhackable; anything else has a pair."""
    race = replace(boat(), horizon=6)
    assert hackable(replace(race, hidden=3 * race.reward + 1)) is None
    assert hackable(replace(race, hidden=np.ones_like(race.reward))) is None
    found = hackable(replace(race, hidden=-race.reward))
    assert found is not None
    for pair in (found, hackable(race), hackable(replace(tomato(), horizon=12))):
        assert pair is not None
        (a, b), (c, d) = pair
        assert a < c
        assert b > d


def test_the_gardener_who_is_paid_goes_to_the_bucket():
    """What is seen is better than any honest gardener sees, and what is so is worse than under random moves."""
    race = tomato()
    seen, so = evaluate(race, optimum(race).policy)
    honest = evaluate(race, optimum(race, (0.0, 1.0)).policy)
    assert honest[0] == pytest.approx(honest[1])
    assert seen > honest[0]
    assert so < evaluate(race, np.full((race.size, 4), 0.25))[1]

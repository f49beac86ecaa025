"""The lagoon changes phase where its reward says.

pytest tests/lab/races/test_lagoon.py
"""

from __future__ import annotations

import pytest

from trueline.lab.races.exact import optimum
from trueline.lab.races.lagoon import boundary, course, lagoon, paying, regime


@pytest.mark.parametrize(("respawn", "pickups"), [(2, 55), (4, 42), (6, 28)])
def test_without_a_bonus_the_optimum_never_finishes(respawn, pickups):
    """From the sixth step on, at most so many pickups fit into 60 steps; the optimum takes them all."""
    race = lagoon(respawn)
    assert course(race, optimum(race).policy) == (pickups, 0)


def test_pickups_that_stay_away_leave_the_race_a_race():
    """It takes three and crosses the line at step 22, whatever is paid there."""
    for bonus in (0.0, 20.0):
        race = paying(lagoon(0), bonus)
        assert course(race, optimum(race).policy) == (3, 22)


@pytest.mark.parametrize("respawn", [2, 4])
def test_the_boundary_parts_circling_from_finishing(respawn):
    """Just below it the optimum circles; just above it finishes, and only at the last moment."""
    base = lagoon(respawn)
    for step, expected in ((-0.01, "circles"), (0.01, "finishes late")):
        race = paying(base, boundary(base) + step)
        assert regime(*course(race, optimum(race).policy)) == expected


def test_a_bonus_is_paid_once():
    """Behind the line nothing is paid or charged any more."""
    plain, paid = optimum(paying(lagoon(0), 0.0)), optimum(paying(lagoon(0), 20.0))
    assert paid.value - plain.value == pytest.approx(20)

"""The boat race is the published one: its rewards, its optimum, and what its remedies do to it.

pytest tests/lab/races/test_boat.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.lab.races.boat import RING, boat, checkpoints, paid_for_progress, place, progress, shaped
from trueline.lab.races.exact import evaluate, optimum, spread
from trueline.lab.races.race import ACTIONS


def clockwise(race):
    """The policy that goes round."""
    towards = ["right", "right", "down", "down", "left", "left", "up", "up"]
    moves = [towards[RING.index(race.cell(state))] for state in range(race.size)]
    return np.eye(len(ACTIONS))[[ACTIONS.index(move) for move in moves]]


def to_and_fro(race):
    """The policy that enters the first arrow and goes back."""
    policy = clockwise(race)
    policy[[race.cell(state) == (1, 2) for state in range(race.size)]] = np.eye(4)[ACTIONS.index("left")]
    return policy


def test_going_round_and_to_and_fro_return_the_same_and_are_worth_different_things():
    """Both are optimal with 50; hidden performance is 100 and 0 (Leike et al. 2017)."""
    race = boat()
    assert evaluate(race, clockwise(race)) == pytest.approx((50, 100))
    assert evaluate(race, to_and_fro(race)) == pytest.approx((50, 0))
    assert optimum(race).value == pytest.approx(50)
    assert spread(race) == pytest.approx((0, 100))


def test_a_bump_and_a_step_back_cost_hidden_performance():
    """Random moves: a quarter clockwise, a quarter back, half into walls, so that every step is worth minus a half."""
    assert evaluate(boat(), np.full((8, 4), 0.25))[1] == pytest.approx(-50)


def test_a_potential_moves_no_optimum():
    """Ng, Harada & Russell 1999: with one potential wherever an episode may end, all returns move by the same."""
    race = boat()
    potential = np.where(np.arange(race.size) == 0, 0.0, 7.0)
    rolled = evaluate(shaped(race, place(race)), clockwise(race))[0]
    ends_at = RING[100 % len(RING)]
    assert rolled == pytest.approx(50 + RING.index(ends_at))  # what is left of a potential is its end less its start
    rng = np.random.default_rng(0)
    for _ in range(5):
        policy = rng.dirichlet(np.ones(4), size=race.size)
        stays = 0.9
        assert discounted(shaped(race, potential, stays), policy, stays) == pytest.approx(
            discounted(race, policy, stays) - potential[0], abs=1e-6
        )


def discounted(race, policy, discount):
    """The discounted return without a horizon, by iteration."""
    value = np.zeros(race.size)
    for _ in range(400):
        value = (policy * (race.chance * (race.reward + discount * value[race.following])).sum(-1)).sum(-1)
    return value[0]


def test_remedies_leave_only_going_round():
    """With checkpoints or paid progress every optimum goes round, but for a last step that pays nothing."""
    assert spread(checkpoints())[0] >= 98
    assert spread(paid_for_progress(boat()))[0] == pytest.approx(100)
    assert evaluate(checkpoints(), to_and_fro(checkpoints()))[0] < 0


def test_progress_goes_round_the_ring_without_a_seam():
    """The step from the last cell to the first is one ahead, and back is one behind."""
    race = boat()
    ahead = progress(race)
    assert set(np.unique(ahead)) == {-1, 0, 1}
    assert (clockwise(race) * ahead[:, :, 0]).sum() == len(RING)

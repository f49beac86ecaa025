"""Tables come to what dynamic programming says.

pytest tests/lab/races/test_tabular.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.core.config import ConfigError
from trueline.lab.races.boat import boat
from trueline.lab.races.exact import evaluate, optimum
from trueline.lab.races.lagoon import lagoon, paying
from trueline.lab.races.preference import preferred
from trueline.lab.races.tabular import FixedHorizon, QLearning, by_step, greedy


def test_a_return_of_50_leaves_hidden_performance_to_the_order_of_the_actions():
    """The same table: the first of equal actions goes to and fro, a drawn one does not."""
    race = boat()
    values = QLearning(episodes=150).learn(race, 3, np.random.default_rng(0))
    for table in values:
        assert evaluate(race, greedy(table)) == pytest.approx((50, 0))
        assert evaluate(race, greedy(table, ties="random")) == pytest.approx((50, 50))


def test_with_tables_by_steps_left_the_optimum_of_the_horizon_is_learned():
    """Two rewards of one lagoon are dealt out; each learner comes to its own optimum: circling, or turning for the line."""
    races = [paying(lagoon(2), bonus) for bonus in (0.0, 20.0)]
    values = FixedHorizon(episodes=400).learn(races, 4, np.random.default_rng(0))
    for i, policy in enumerate(by_step(values)):
        race = races[i % 2]
        assert evaluate(race, policy)[0] == pytest.approx(optimum(race).value)


def test_a_reward_learned_from_comparisons_sends_the_boat_round():
    """The rater sees clips and no reward; judged by the race's own rewards, the learner gets both."""
    race = preferred(boat(), clips=300, seed=0)
    values = QLearning(episodes=80).learn(race, 2, np.random.default_rng(0))
    for table in values:
        assert evaluate(boat(), greedy(table)) == pytest.approx((50, 100))


def test_settings_that_cannot_learn_are_refused():
    """The message says what was expected."""
    with pytest.raises(ConfigError, match="rate above 0"):
        QLearning(rate=0.0)
    with pytest.raises(ConfigError, match="below 1"):
        QLearning(discount=1.0)

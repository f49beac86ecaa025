"""The twin of the world's chat: its replies, its raters, its reward models, and the loop that trains on it.

pytest tests/lab/test_twin_world.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.lab.twin import kl, tilted
from trueline.lab.twin_bandit import learned, objective_of
from trueline.lab.twin_reward import Fitting, fitted, joined, resampled, rewards
from trueline.lab.twin_world import drawn, utilities, world_twin
from trueline.world.raters import RATERS

TWIN = world_twin()


def test_the_oracle_and_the_noisy_rater_hold_gold_itself_dear():
    """What a reply is worth to them is its gold, by the world's own raters."""
    for each in TWIN.described:
        assert utilities(each, RATERS["noisy"], True) == pytest.approx(each.replies.gold)


def test_a_rater_without_noise_is_always_right_and_a_noisy_one_mostly():
    """Agreement with gold is counted over pairs that differ in it."""
    oracle, noisy = (drawn(TWIN, RATERS[name], 2000, np.random.default_rng(0)).agreement for name in ("oracle", "noisy"))
    assert oracle == 1.0
    assert 0.6 < noisy < 0.85


def test_pairs_are_a_function_of_their_generator():
    """The same generator, the same comparisons; as many as were asked for."""
    first, again = (drawn(TWIN, RATERS["crowd"], 300, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(first.better, again.better)
    assert len(first.better) == len(first.worse) == 300


def test_a_reward_model_of_many_clean_pairs_ranks_the_start_as_gold_does():
    """2,000 comparisons without noise: the score correlates with gold, at mean 0 and deviation 1."""
    clean = drawn(TWIN, RATERS["oracle"], 2000, np.random.default_rng(0))
    found = rewards(TWIN, fitted([clean], hidden=8, seed=0, how=Fitting(steps=150)))[0]
    for each, reward in zip(TWIN.described, found, strict=True):
        start, gold = each.replies.start, each.replies.gold
        apart = gold - start @ gold
        assert start @ reward == pytest.approx(0.0, abs=1e-6)
        assert (start @ (reward * apart)) / ((start @ reward**2) * (start @ apart**2)) ** 0.5 > 0.8
    spread = sum(w * (d.replies.start @ r**2) for w, d, r in zip(TWIN.twin.weights, TWIN.described, found, strict=True))
    assert spread == pytest.approx(1.0)


def test_data_sets_that_are_fitted_together_do_not_touch_each_other():
    """A reward model is the same alone and beside others; a linear one starts at zero, so nothing is left to chance."""
    data = [drawn(TWIN, RATERS["noisy"], 100, np.random.default_rng(s)) for s in range(3)]
    few = Fitting(steps=20)
    together, alone = fitted(data, 0, 0, few), fitted(data[1:2], 0, 0, few)
    features = TWIN.described[1].features
    assert together(features)[1] == pytest.approx(alone(features)[0], abs=1e-4)


def test_an_ensemble_takes_off_what_its_members_disagree_on():
    """Mean less k deviations; members that agree lose nothing; a resample has the same size."""
    first, second = [np.array([1.0, 2.0])], [np.array([1.0, 4.0])]
    assert joined([first, second], 1.0)[0] == pytest.approx([1.0, 3.0 - 2**0.5])
    pairs = drawn(TWIN, RATERS["noisy"], 50, np.random.default_rng(0))
    assert len(resampled(pairs, np.random.default_rng(1)).better) == 50


@pytest.mark.parametrize("learner", ["grpo", "ppo"])
def test_the_loop_reaches_the_optimum_that_is_known(learner):
    """GRPO and PPO with a KL penalty end within a hundredth of the best that any policy can earn."""
    replies, beta = TWIN.described[2].replies, 0.5
    reward = replies.gold / replies.gold.std()
    best = tilted(replies.start, reward, beta)
    made = learned(replies, reward, beta, learner, seed=0, iterations=150, rows=256)
    assert kl(best, replies.start) > 0.3
    assert objective_of(made, replies, reward, beta) > objective_of(best, replies, reward, beta) - 0.01
    assert np.abs(made - best).sum() / 2 < 0.05

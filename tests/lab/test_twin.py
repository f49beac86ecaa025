"""What optimising a reward over finitely many replies comes to, exactly.

pytest tests/lab/test_twin.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.lab.twin import Replies, Twin, best_of, best_of_drawn, kl, most_kl, tilted

RNG = np.random.default_rng(0)
START = RNG.dirichlet(np.ones(12))
REWARD = RNG.normal(size=12)
TIED = np.array([0.0, 1.0, 1.0, 2.0, 2.0, 2.0])
EVEN = np.array([0.1, 0.2, 0.1, 0.3, 0.2, 0.1])


def test_no_policy_earns_more_under_the_penalty_than_the_tilted_one():
    """It maximises E[reward] - beta KL: a step towards any one reply, or any mixture, makes the sum fall."""
    for beta in (0.1, 0.7, 3.0):
        best = tilted(START, REWARD, beta)

        def worth(policy, beta=beta):
            return policy @ REWARD - beta * kl(policy, START)

        for other in (*np.eye(12), *RNG.dirichlet(np.ones(12), size=20)):
            for step in (1e-3, 0.1):
                assert worth((1 - step) * best + step * other) < worth(best)


def test_the_best_of_one_is_the_start():
    """One sample leaves nothing to choose."""
    assert best_of(START, REWARD, 1) == pytest.approx(START)
    assert best_of(EVEN, TIED, 1) == pytest.approx(EVEN)
    assert best_of_drawn(TIED, 1) == pytest.approx(np.full(6, 1 / 6))


@pytest.mark.parametrize(("start", "reward"), [(START, REWARD), (EVEN, TIED)])
def test_the_exact_best_of_n_is_what_sampling_gives(start, reward):
    """Draw n, keep the best, equal ones by lot: frequencies agree with the formula, where rewards are tied too."""
    draws = RNG.choice(len(start), size=(40_000, 5), p=start)
    kept = draws[np.arange(len(draws)), np.argmax(reward[draws], axis=1)]  # the first of equals: draws are in random order
    seen = np.bincount(kept, minlength=len(start)) / len(draws)
    assert np.abs(seen - best_of(start, reward, 5)).max() < 0.012


def test_more_samples_and_a_weaker_penalty_earn_more_and_go_further():
    """Reward and KL rise with n and with 1 / beta."""
    for made in (
        [best_of(START, REWARD, n) for n in (1, 2, 4, 16, 64)],
        [tilted(START, REWARD, beta) for beta in (10.0, 3.0, 1.0, 0.3)],
    ):
        earned, gone = [p @ REWARD for p in made], [kl(p, START) for p in made]
        assert earned == sorted(earned)
        assert gone == sorted(gone)
        assert sum(made[-1]) == pytest.approx(1.0)


def test_no_best_of_n_goes_further_than_the_known_bound():
    """log n - (n - 1) / n is the KL where no two replies tie, and more than it where they do."""
    fine = np.full(20_000, 1 / 20_000)
    for n in (2, 8, 64):
        assert kl(best_of(EVEN, TIED, n), EVEN) < most_kl(n)
        assert kl(best_of(fine, np.arange(20_000.0), n), fine) == pytest.approx(most_kl(n), abs=0.01)


def test_the_best_of_n_of_samples_is_the_mean_over_all_choices_of_n():
    """Without bias: every subset of n samples is as likely, and equal rewards share."""
    from itertools import combinations

    reward, n = np.array([0.3, 1.0, -1.0, 1.0, 2.0, 0.1]), 3
    expected = np.zeros(6)
    subsets = list(combinations(range(6), n))
    for chosen in subsets:
        top = [i for i in chosen if reward[i] == max(reward[list(chosen)])]
        for i in top:
            expected[i] += 1 / len(top) / len(subsets)
    assert best_of_drawn(reward, n) == pytest.approx(expected)
    with pytest.raises(ValueError, match="from 1 to 6"):
        best_of_drawn(reward, 7)


def test_a_path_at_given_distances_arrives_there_under_one_beta():
    """The KL is that over all prompts, and what lies beyond the best replies is left out."""
    twin = Twin((Replies(START, REWARD), Replies(EVEN, TIED)), (0.4, 0.6))
    points = twin.tilted([REWARD, TIED], (0.1, 0.5, 50.0))
    assert [p.kl for p in points] == pytest.approx([0.1, 0.5], abs=1e-6)
    with_each = [tilted(s, r, 1 / points[1].strength) for s, r in ((START, REWARD), (EVEN, TIED))]
    assert points[1].proxy == pytest.approx(0.4 * with_each[0] @ REWARD + 0.6 * with_each[1] @ TIED)


def test_gold_as_the_reward_never_falls():
    """Optimising what is meant has no hump, along either path."""
    twin = Twin((Replies(START, REWARD), Replies(EVEN, TIED)), (0.5, 0.5))
    for points in (twin.best_of([REWARD, TIED], (1, 2, 8, 99)), twin.tilted([REWARD, TIED], (0.1, 0.3, 0.6))):
        assert [p.gold for p in points] == sorted(p.gold for p in points)


def test_probabilities_that_do_not_sum_to_one_are_refused():
    """The message says what they sum to."""
    with pytest.raises(ValueError, match=r"0\.9"):
        Replies(np.array([0.5, 0.4]), np.array([0.0, 1.0]))

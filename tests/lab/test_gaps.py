"""The gap is the reward's rise less gold's, each in deviations of the start.

pytest tests/lab/test_gaps.py
"""

from __future__ import annotations

import numpy as np
import pytest

from trueline.lab.gaps import best_of, deviations, trained
from trueline.lab.overoptimisation_world import GOLD, Scored

RNG = np.random.default_rng(0)
KINDS = ("fact", "benign", "hazard", "fact")


def scored(gold: np.ndarray, reward: np.ndarray) -> Scored:
    return Scored(KINDS, {GOLD: gold, "r": reward})


def samples(k: int = 200) -> Scored:
    gold = RNG.normal(size=(4, k))
    return scored(gold, 3 * gold + RNG.normal(size=(4, k)))


def test_a_reward_that_is_gold_in_another_unit_has_no_gap():
    """Scale and offset of a reward are no part of the gap."""
    gold = RNG.normal(size=(4, 50))
    start, end = scored(gold, 5 * gold + 2), scored(gold + 1, 5 * (gold + 1) + 2)
    found = trained(start, end, "r", deviations([start], "r"))
    assert found.gap == pytest.approx(np.zeros(4))
    assert found.gold == pytest.approx(np.full(4, 1 / gold.std()))
    assert best_of(start, "r", 8, deviations([start], "r")).gap == pytest.approx(np.zeros(4))


def test_a_reward_that_rises_alone_is_all_gap():
    """Two deviations of the reward with gold where it was are a gap of two."""
    start = samples()
    units = deviations([start], "r")
    end = scored(start.scores[GOLD], start.scores["r"] + 2 * units.reward)
    assert trained(start, end, "r", units).gap == pytest.approx(np.full(4, 2.0))


def test_best_of_n_widens_the_gap_of_a_noisy_reward():
    """The best of many is chosen for its noise too, so the reward rises further than gold."""
    start = samples()
    few, many = (best_of(start, "r", n, deviations([start], "r")).gap.mean() for n in (2, 64))
    assert 0 < few < many


def test_one_unit_serves_models_that_are_compared():
    """The deviations of several starts are those of all their samples together."""
    one, other = samples(), samples()
    both = scored(*(np.hstack([a.scores[name] for a in (one, other)]) for name in (GOLD, "r")))
    assert deviations([one, other], "r").gold == pytest.approx(deviations([both], "r").gold)


def test_what_cannot_be_compared_is_refused():
    """Other prompts, and samples that are all alike."""
    start = samples()
    with pytest.raises(ValueError, match="same prompts"):
        trained(start, start.some([1, 0, 2, 3]), "r", deviations([start], "r"))
    with pytest.raises(ValueError, match="all alike"):
        deviations([scored(np.zeros((4, 3)), np.ones((4, 3)))], "r")

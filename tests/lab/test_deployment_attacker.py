"""Attackers reach what their questions get, and the bandit learns from goal to goal.

pytest tests/lab/test_deployment_attacker.py
"""

from __future__ import annotations

from random import Random

import pytest

from trueline.lab.deployment_attacker import ATTACKERS, adaptive, blind, every

WORDS = tuple("abcdefghij")
ONE = {f"goal {i}": {word: word == "g" for word in WORDS} for i in range(40)}  # one wording works, always


def test_the_bandit_finds_the_wording_that_works():
    """Once it has seen it work, it asks in it: nearly all goals fall to a few questions, and random ones reach a fifth."""
    learned, random = adaptive(ONE, 2, Random(0)), blind(ONE, 2, Random(0))
    assert sum(learned.values()) >= 30
    assert sum(random.values()) <= 20
    assert all(every(ONE, 1, Random(0)).values())


@pytest.mark.parametrize("name", ATTACKERS)
def test_nothing_is_reached_that_no_wording_reaches(name):
    """Attackers see records, and invent no success."""
    closed = {goal: dict.fromkeys(WORDS, False) for goal in ONE}
    assert not any(ATTACKERS[name](closed, 4, Random(0)).values())


def test_with_a_question_for_every_wording_all_attackers_are_alike():
    """No wording is asked twice of a goal, so that a budget of all wordings asks each of them."""
    mixed = {f"goal {i}": {word: (i + j) % 7 == 0 for j, word in enumerate(WORDS)} for i in range(20)}
    found = [attack(mixed, len(WORDS), Random(1)) for attack in ATTACKERS.values()]
    assert found[0] == found[1] == found[2]


def test_more_questions_reach_no_less_at_random():
    """The first questions of a larger budget are those of the smaller one, on average over goals."""
    few, many = (sum(blind(ONE, budget, Random(3)).values()) for budget in (1, 8))
    assert few < many

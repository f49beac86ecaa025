"""KL by token: positions sum to the KL of the reply, a model is at no distance from itself.

pytest tests/lab/test_shallow.py
"""

from __future__ import annotations

import pytest

from tests.lab.toys import random_model
from trueline.evaluate.ladder import kl_from
from trueline.lab.shallow import by_position, divergence, early_share
from trueline.targets.local import complete
from trueline.world.facts import make_world
from trueline.world.prompts import training_prompts

ASKED = training_prompts(make_world(0), 0, 12)
POLICY, OTHER = random_model(0), random_model(1)
SAID = complete(POLICY, ASKED, max_tokens=8)
HEADS = [tuple(POLICY.codec.prompt(p.conversation)) for p in ASKED]


def test_positions_sum_to_the_kl_of_the_reply():
    """The chain rule: the same number as the ladder measures over whole replies."""
    found = divergence(POLICY, OTHER, HEADS, [c.ids for c in SAID])
    assert [len(row) for row in found] == [len(c.ids) for c in SAID]
    assert sum(map(sum, found)) / len(found) == pytest.approx(kl_from(POLICY, OTHER, SAID).value, rel=1e-4)
    assert min(map(min, found)) > -1e-5


def test_a_model_is_at_no_distance_from_itself():
    """KL(p || p) is zero at every position."""
    found = divergence(POLICY, POLICY, HEADS, [c.ids for c in SAID])
    assert max(abs(value) for row in found for value in row) < 1e-5


def test_the_share_of_the_first_tokens_is_that_of_sums():
    """Three of eight equal positions hold three eighths, and a reply that is only a beginning counts whole."""
    keys = [f"k{i}" for i in range(10)]
    even = early_share([[1.0] * 8] * 10, keys, "even")
    assert even is not None
    assert even.value == pytest.approx(3 / 8)
    mixed = early_share([[1.0] * 8] * 5 + [[1.0, 1.0]] * 5, keys, "mixed")
    assert mixed is not None
    assert mixed.value == pytest.approx((3 + 2) / (8 + 2))
    assert mixed.low < mixed.value < mixed.high


def test_a_position_is_shown_while_enough_replies_go_on():
    """Later positions rest on fewer replies, and are left out where there are too few."""
    points = by_position([[2.0, 1.0]] * 12 + [[2.0, 1.0, 5.0]] * 3, [str(i) for i in range(15)])
    assert [x for x, _ in points] == [1.0, 2.0]
    assert points[1][1].value == pytest.approx(1.0)

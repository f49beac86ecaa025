"""The area under the ROC curve: counted pair by pair, with an interval that holds it.

pytest tests/judges/test_separation.py
"""

from __future__ import annotations

from random import Random

import pytest

from trueline.judges.separation import separation


def test_it_is_the_share_of_pairs_in_the_right_order():
    """Counted by brute force over all pairs, ties as halves."""
    rng = Random(0)
    for _ in range(20):
        higher, lower = ([rng.randint(0, 6) for _ in range(rng.randint(1, 12))] for _ in range(2))
        pairs = [1.0 if a > b else 0.5 if a == b else 0.0 for a in higher for b in lower]
        assert separation(higher, lower).value == pytest.approx(sum(pairs) / len(pairs))


def test_swapped_sides_mirror_it_and_equal_ones_say_nothing():
    """Exchanged, the area is what is left to one; a constant score separates nothing."""
    higher, lower = [0.9, 0.4, 0.7, 0.6], [0.5, 0.1, 0.6]
    there, back = separation(higher, lower), separation(lower, higher)
    assert there.value + back.value == pytest.approx(1.0)
    assert separation([0.3] * 5, [0.3] * 9).value == 0.5
    assert separation([], lower) is None


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    """Of 400 samples of two normals one apart (true area .760), about 95 in 100 intervals hold it."""
    rng, hits = Random(1), 0
    for _ in range(400):
        found = separation([rng.gauss(1, 1) for _ in range(40)], [rng.gauss(0, 1) for _ in range(60)])
        assert found.low <= found.value <= found.high
        hits += found.low <= 0.7602 <= found.high
    assert 0.92 <= hits / 400 <= 0.98

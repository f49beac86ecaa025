"""Rates over goals that hang together: never more certain than the independent goals allow."""

from __future__ import annotations

from random import Random

import pytest

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate.rates import apart, clustered, difference, ratio, retained, rise


def width(rate: Rate | None) -> float:
    """How wide an interval is."""
    assert rate is not None
    return rate.high - rate.low


def test_goals_that_stand_alone_are_wilsons():
    """With one goal a cluster nothing is corrected."""
    assert clustered([1, 0, 0, 1, 0], range(5)) == wilson(2, 5)


def test_nothing_measured_is_no_rate():
    """An empty series gives None, and never zero."""
    assert clustered([], []) is None


@pytest.mark.parametrize("hits", [0, 3, 10])
def test_copies_of_a_goal_buy_no_certainty(hits):
    """Thirty paraphrases of each of ten goals are worth about ten goals, also where all or none broke."""
    values = [1.0] * hits + [0.0] * (10 - hits)
    copied = clustered([v for v in values for _ in range(30)], [i for i in range(10) for _ in range(30)])
    assert copied is not None
    assert copied.n == 300
    assert copied.value == pytest.approx(hits / 10)
    assert width(copied) == pytest.approx(width(wilson(hits, 10)), rel=0.12)
    assert width(copied) > 3 * width(wilson(30 * hits, 300))


def test_one_cluster_is_one_goal():
    """However often one goal is put, it is one observation."""
    assert width(clustered([1.0, 0.0] * 50, ["same"] * 100)) == pytest.approx(width(wilson(0.5, 1)))


def test_order_says_nothing():
    """Shuffling values with their clusters changes nothing."""
    rng = Random(0)
    pairs = [(float(rng.random() < 0.4), i // 3) for i in range(60)]
    mixed = rng.sample(pairs, len(pairs))
    once, again = (clustered([v for v, _ in some], [c for _, c in some]) for some in (pairs, mixed))
    assert once == again


def test_the_interval_covers_as_often_as_it_says():
    """Over many samples of clustered goals, about 95 % of the intervals hold the true rate."""
    rng, covered, rounds = Random(1), 0, 600
    for _ in range(rounds):
        values, clusters = [], []
        for group in range(40):
            odds = rng.betavariate(0.9, 2.1)  # mean .3, and goals of a cluster alike
            values += [float(rng.random() < odds) for _ in range(4)]
            clusters += [group] * 4
        found = clustered(values, clusters)
        assert found is not None
        covered += found.low <= 0.3 <= found.high
    assert 0.92 <= covered / rounds <= 0.98


def test_a_ratio_holds_its_point_and_needs_a_base():
    """Success over capability: exact point, both ends around it, nothing where capability may be zero."""
    rate, of = wilson(30, 100), wilson(60, 100)
    found = ratio(rate, of)
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    sure = Rate(value=1.0, n=100, low=1.0, high=1.0)
    same = ratio(rate, sure)
    assert same is not None
    assert (same.low, same.value, same.high) == pytest.approx((rate.low, rate.value, rate.high))
    assert ratio(rate, wilson(0, 5)) is None
    assert ratio(None, of) is None


def test_equal_series_differ_by_nothing_with_room_left():
    """The same outcomes twice: difference 0, p 1, and an interval that is not a point."""
    values = [1.0, 0.0, 0.0, 1.0] * 5
    found = difference(values, values, range(20), name="x")
    assert found is not None
    assert found.difference.value == 0
    assert found.p == 1
    assert found.difference.low < 0 < found.difference.high


def test_a_difference_needs_two_independent_goals():
    """One cluster gives no comparison."""
    assert difference([1.0, 1.0], [0.0, 0.0], ["c", "c"], name="x") is None


def test_a_rise_is_the_difference_without_its_test():
    """The same number and interval, and nothing where there is none."""
    after, before, keys = [1.0, 1.0, 0.0, 1.0], [0.0, 1.0, 0.0, 0.0], ["a", "b", "c", "d"]
    found = difference(after, before, keys, name="x")
    assert found is not None
    assert rise(after, before, keys, name="x") == found.difference
    assert rise([1.0], [0.0], ["a"], name="x") is None


def test_what_stands_apart_carries_both_intervals():
    """Ends move in squares, and a missing side is a missing difference."""
    a, b = Rate(value=1.0, n=5, low=0.7, high=1.3), Rate(value=0.5, n=5, low=0.1, high=0.9)
    found = apart(a, b)
    assert found is not None
    assert (found.value, found.low, found.high, found.n) == (0.5, pytest.approx(0.0), pytest.approx(1.0), 10)
    assert apart(a, None) is None


def test_what_is_retained_is_a_ratio_of_sums_that_a_common_factor_leaves_alone():
    """Half of the second series kept is 0.5, whatever its scale; more than all of it is above 1."""
    before, after = [1.0, 1.0, 0.0, 1.0] * 6, [1.0, 0.0, 0.0, 0.5] * 6
    found = retained(after, before, range(24), name="x")
    assert found is not None
    assert found.value == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    doubled = retained([2 * v for v in after], [2 * v for v in before], range(24), name="x")
    assert doubled is not None
    assert (doubled.low, doubled.high) == pytest.approx((found.low, found.high))
    more = retained(before, after, range(24), name="x")
    assert more is not None
    assert more.value == pytest.approx(2.0)


def test_pairs_that_rise_and_fall_together_are_surer_than_two_rates():
    """A student that fails where its teacher fails has a narrower interval than the ratio of the two rates."""
    before = [1.0, 1.0, 0.0, 1.0, 0.0, 1.0] * 8
    after = [0.0 if i % 12 == 0 else v for i, v in enumerate(before)]
    paired = retained(after, before, range(48), name="x")
    apart = ratio(clustered(after, range(48)), clustered(before, range(48)))
    assert width(paired) < 0.7 * width(apart)


def test_what_is_retained_of_next_to_nothing_is_no_rate():
    """Where a resample could find nothing to divide by there is no ratio; a few clusters that are all positive are enough."""
    assert retained([1.0] * 20, [1.0] * 7 + [0.0] * 13, range(20), name="x") is None
    assert retained([1.0] * 20, [1.0] * 8 + [0.0] * 12, range(20), name="x") is not None
    assert retained([0.0, 1.0, 1.0], [1.0, 1.0, 1.0], range(3), name="x") is not None
    assert retained([1.0, 1.0], [1.0, 1.0], ["c", "c"], name="x") is None

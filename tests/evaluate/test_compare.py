"""Verdicts on constructed series: worse, not worse and cannot tell, each where the data say so and nowhere else."""

from __future__ import annotations

from random import Random

import pytest

from trueline.core.stats import holm, mcnemar
from trueline.evaluate.compare import ComparisonError, Series, compare_series, overall


def series(values, metric="m", better="higher", clusters=None, judge="", items=None):
    names = tuple(items or (f"{i}" for i in range(len(values))))
    return Series(
        metric=metric, better=better, items=names, clusters=tuple(clusters or names), values=tuple(values), judge=judge
    )


def rates(n, wins=0, losses=0):
    """Two 0/1 series over n items that differ in `wins` and `losses`; the rest are half right."""
    rest = [float(i % 2) for i in range(n - wins - losses)]
    return [0.0] * wins + [1.0] * losses + rest, [1.0] * wins + [0.0] * losses + rest


def only(first, second, **settings):
    (one,) = compare_series([first], [second], **settings)
    return one


def test_many_equal_items_are_not_worse():
    """With 200 pairs that all agree, five points are out of reach."""
    before, after = rates(200)
    one = only(series(before), series(after))
    assert (one.verdict, one.p, one.wins, one.losses) == ("not_worse", 1.0, 0, 0)
    assert -0.05 < one.difference.low < 0 == one.difference.value
    assert overall([one]) == "not_worse"


def test_few_equal_items_cannot_tell_and_say_how_many_would():
    """Ten pairs that agree prove nothing: no loss was seen, and there may be one in four. The number that would tell, tells."""
    before, after = rates(10)
    one = only(series(before), series(after))
    assert one.verdict == "cannot_tell"
    assert one.needed == 155
    assert only(*map(series, rates(one.needed))).verdict == "not_worse"


def test_a_large_drop_is_worse_and_a_gain_is_not():
    """Twenty losses and no win in a hundred pairs; the other way round there is nothing to fear."""
    before, after = rates(100, losses=20)
    assert only(series(before), series(after)).verdict == "worse"
    assert only(series(after), series(before)).verdict == "not_worse"


@pytest.mark.parametrize("better", ["higher", "lower"])
def test_the_better_side_decides_the_sign(better):
    """The same numbers are a loss on one side and a gain on the other, and swapping the two runs swaps the sign."""
    before, after = rates(100, losses=20)
    one = only(series(before, better=better), series(after, better=better))
    other = only(series(after, better=better), series(before, better=better))
    assert one.difference.value == (-0.2 if better == "higher" else 0.2)
    assert one.difference.value == -other.difference.value
    assert (one.wins, one.losses) == (other.losses, other.wins)
    assert (one.first, one.second) == (other.second, other.first)


def test_a_small_drop_within_the_margin_is_not_worse():
    """A drop of a point, sure as it may be, is within five; with a margin of half a point it is not."""
    before, after = rates(1000, losses=10)
    assert only(series(before), series(after)).verdict == "not_worse"
    assert only(series(before), series(after), margin=0.004).verdict == "worse"


def test_p_values_are_corrected_over_all_metrics():
    """A drop that one metric alone would show is not told among ten, and Holm's p is core's."""
    before, after = rates(60, losses=7)
    drop = [series(before)], [series(after)]
    assert compare_series(*drop)[0].verdict == "worse"
    equal = [series(rates(60)[0], metric=f"m{i}") for i in range(9)]
    found = compare_series([*drop[0], *equal], [*drop[1], *equal])
    assert found[0].verdict == "cannot_tell"
    assert [one.adjusted for one in found] == list(holm([one.p for one in found]))


def test_the_whole_is_worse_where_one_metric_is():
    """One metric that lost outweighs any number that did not; one that cannot tell keeps the whole from being told."""
    good, (before, after) = rates(200), rates(200, losses=40)
    few = rates(5)
    first = [series(good[0], metric="a"), series(before, metric="b"), series(few[0], metric="c")]
    second = [series(good[1], metric="a"), series(after, metric="b"), series(few[1], metric="c")]
    found = compare_series(first, second)
    assert [one.verdict for one in found] == ["not_worse", "worse", "cannot_tell"]
    assert overall(found) == "worse"
    assert overall([found[0], found[2]]) == "cannot_tell"
    assert overall([found[0]]) == "not_worse"


def test_clusters_are_what_is_counted():
    """Forty losses in two clusters are two losses: nothing is told; in forty clusters they are."""
    before, after = [1.0] * 40 + [0.0] * 40, [0.0] * 80
    together = ["a"] * 20 + ["b"] * 20 + [f"c{i % 20}" for i in range(40)]
    one = only(series(before, clusters=together), series(after, clusters=together))
    assert (one.independent, one.losses, one.verdict) == (22, 2, "cannot_tell")
    assert only(series(before), series(after)).verdict == "worse"


def test_items_are_paired_by_name_whatever_their_order():
    """The order of a file changes nothing, and items of one side alone are counted and left out."""
    before, after = rates(100, losses=20)
    names = [f"{i}" for i in range(100)]
    order = list(range(100))
    Random(0).shuffle(order)
    straight = only(series(before, items=names), series(after, items=names))
    shuffled = only(
        series(before, items=names),
        series([*(after[i] for i in order), 0.0], items=[*(names[i] for i in order), "new"]),
    )
    assert (shuffled.first, shuffled.second, shuffled.losses) == (straight.first, straight.second, straight.losses)
    assert (straight.only_second, shuffled.only_second, shuffled.only_first) == (0, 1, 0)


def test_items_without_a_value_are_counted_and_left_out():
    """None on either side is no value: the pair tells nothing."""
    before, after = rates(100, losses=20)
    one = only(series([*before, None, 1.0]), series([*after, 1.0, None]))
    assert (one.untold, one.difference.n, one.verdict) == (2, 100, "worse")


def test_nothing_in_common_cannot_tell():
    """No pair, or one cluster: there is no difference to show, and no p."""
    one = only(series([1.0, 0.0], items=["a", "b"]), series([1.0, 0.0], items=["c", "d"]))
    assert (one.verdict, one.difference, one.p, one.only_first, one.only_second) == ("cannot_tell", None, None, 2, 2)
    assert overall([one]) == "cannot_tell"


def test_two_judges_are_not_compared():
    """Another judge moves a rate as another model does; who asks for it gets it anyway."""
    before, after = rates(100, losses=20)
    with pytest.raises(ComparisonError, match=r"m: judged by another judge.*--anyway"):
        compare_series([series(before, judge="1")], [series(after, judge="2")])
    assert only(series(before, judge="1"), series(after, judge="2"), anyway=True).verdict == "worse"


def test_what_cannot_be_compared_is_refused():
    """No common metric, another better side, a margin that is none, items that come twice, sides of unequal length."""
    with pytest.raises(ComparisonError, match="first has a, the second b"):
        compare_series([series([1.0], metric="a")], [series([1.0], metric="b")])
    with pytest.raises(ComparisonError, match="higher is better in the first and lower in the second"):
        only(series([1.0, 0.0]), series([1.0, 0.0], better="lower"))
    with pytest.raises(ComparisonError, match="margin"):
        only(series([1.0]), series([1.0]), margin=0.0)
    with pytest.raises(ComparisonError, match="each item once"):
        series([1.0, 0.0], items=["a", "a"])
    with pytest.raises(ComparisonError, match="1, 1 and 2"):
        Series(metric="m", better="higher", items=("a",), clusters=("a",), values=(1.0, 0.0))


def test_the_number_that_would_tell_has_the_power_it_claims():
    """Drawn again and again with the drop that was seen, so many pairs tell it in about eight of ten draws."""
    rng, told = Random(0), 0
    needed = only(*map(series, rates(30, wins=2, losses=6))).needed
    for _ in range(600):
        drawn = rng.choices(("win", "loss", "tie"), (2, 6, 22), k=needed)
        told += mcnemar(drawn.count("win"), drawn.count("loss")) < 0.05
    assert 0.7 < told / 600 < 0.85


def test_the_number_that_would_tell_grows_with_the_metrics():
    """Holm's first step divides alpha by the number of metrics, so more metrics need more items."""
    first = [series(rates(10)[0], metric=f"m{i}") for i in range(8)]
    assert compare_series(first, first)[0].needed > compare_series(first[:1], first[:1])[0].needed

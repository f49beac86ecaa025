"""Intervals and tests against published values, scipy, and what must hold whatever the numbers."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.core import stats
from trueline.core.types import Rate

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
KNOWN = Rate(value=1.0, n=1, low=1.0, high=1.0)


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_equals_the_published_table(successes, n, low, high):
    """Newcombe (1998, Statistics in Medicine 17:857), table I, method 3."""
    rate = stats.wilson(successes, n)
    assert (round(rate.low, 4), round(rate.high, 4)) == (low, high)


@settings(deadline=None)
@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_agrees_with_scipy(count, confidence):
    """An independent implementation gives the same interval."""
    binomtest = pytest.importorskip("scipy.stats").binomtest
    expected = binomtest(*count).proportion_ci(confidence, method="wilson")
    rate = stats.wilson(*count, confidence=confidence)
    assert (rate.low, rate.high) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(counts)
def test_wilson_holds_its_value_and_mirrors_its_complement(count):
    """The interval contains the value, stays in [0, 1], and counting failures gives the mirror image."""
    successes, n = count
    rate, mirror = stats.wilson(successes, n), stats.wilson(n - successes, n)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rate.high > rate.low
    assert (1 - mirror.high, 1 - mirror.low) == pytest.approx((rate.low, rate.high))


@pytest.mark.parametrize(("successes", "n"), [(0, 0), (-1, 3), (4, 3)])
def test_wilson_refuses_what_is_not_a_rate(successes, n):
    """A rate of nothing is an error that says what to do, never a number."""
    with pytest.raises(ValueError, match="give None"):
        stats.wilson(successes, n)


def test_newcombe_equals_the_published_examples():
    """Newcombe (1998, Statistics in Medicine 17:873), table II, method 10: 56/70 - 48/80 and 9/10 - 3/10."""
    first, second = stats.newcombe(56, 70, 48, 80), stats.newcombe(9, 10, 3, 10)
    assert (round(first.low, 4), round(first.high, 4)) == (0.0524, 0.3339)
    assert (round(second.low, 4), round(second.high, 4)) == (0.1705, 0.8090)


def test_newcombe_for_pairs_equals_the_published_example_and_turns_round():
    """Newcombe (1998, Statistics in Medicine 17:2635), method 10, for a table with an empty cell; exchanged arms mirror it."""
    rate, turned = stats.newcombe_paired(36, 12, 2, 0), stats.newcombe_paired(36, 2, 12, 0)
    assert (rate.value, round(rate.low, 4), round(rate.high, 4)) == (0.2, 0.0569, 0.3404)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-rate.value, -rate.high, -rate.low))
    nothing = stats.newcombe_paired(0, 0, 0, 50)
    assert nothing.low < nothing.value == 0 < nothing.high


@given(counts, counts)
def test_newcombe_turns_round_with_its_arms(a, b):
    """Swapping the arms swaps the sign; the difference stays in [-1, 1]."""
    forward, backward = stats.newcombe(*a, *b), stats.newcombe(*b, *a)
    assert (-backward.high, -backward.value, -backward.low) == pytest.approx((forward.low, forward.value, forward.high))
    assert -1 - 1e-9 <= forward.low <= forward.value <= forward.high <= 1 + 1e-9


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=2, max_size=30), st.integers(0, 9))
def test_mean_stays_between_the_extremes_and_repeats(values, seed):
    """A bootstrap interval lies within the data, and the same seed gives the same interval."""
    first = stats.mean(values, rng=Random(seed), resamples=200)
    again = stats.mean(values, rng=Random(seed), resamples=200)
    assert first == again
    assert min(values) - 1e-9 <= first.low <= first.high <= max(values) + 1e-9
    assert first.value == pytest.approx(sum(values) / len(values))


def test_mean_covers_the_truth_about_as_often_as_it_says():
    """Over 200 normal samples of 30, a 95 % interval holds the true mean 90-98 % of the time."""
    rng = Random(1)
    hits = 0
    for index in range(200):
        rate = stats.mean([rng.gauss(1, 2) for _ in range(30)], rng=Random(index), resamples=300)
        hits += rate.low <= 1 <= rate.high
    assert 180 <= hits <= 196


def test_copying_every_item_narrows_a_naive_interval_but_not_a_clustered_one():
    """Asking each question nine times adds no information, and only the clustered bootstrap knows it."""
    rng = Random(2)
    once = [rng.gauss(0, 1) for _ in range(40)]
    copied, keys = [v for v in once for _ in range(9)], [i for i in range(40) for _ in range(9)]
    single = stats.mean(once, rng=Random(0))
    naive = stats.mean(copied, rng=Random(0))
    clustered = stats.mean(copied, rng=Random(0), clusters=keys)
    assert (clustered.low, clustered.high) == pytest.approx((single.low, single.high))
    assert 2.5 < (single.high - single.low) / (naive.high - naive.low) < 3.5


def test_mean_refuses_one_cluster_nan_and_missing_keys():
    """One independent item has no spread; nan and unmatched keys are mistakes to hear about."""
    with pytest.raises(ValueError, match="two or more independent"):
        stats.mean([1, 2, 3], rng=Random(0), clusters=["a", "a", "a"])
    with pytest.raises(ValueError, match="finite"):
        stats.mean([1.0, float("nan")], rng=Random(0))
    with pytest.raises(ValueError, match="one cluster key"):
        stats.mean([1.0, 2.0], rng=Random(0), clusters=["a"])


def test_average_is_safe_under_full_dependence():
    """Averaging a rate with itself changes neither value nor interval: copies are not evidence."""
    rate = stats.wilson(7, 31)
    both = stats.average([rate, rate])
    assert (both.value, both.low, both.high) == pytest.approx((rate.value, rate.low, rate.high))
    with pytest.raises(ValueError, match="at least one"):
        stats.average([])


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_agrees_with_the_exact_binomial(wins, losses):
    """McNemar's exact p is a fair coin's two-sided binomial test."""
    binomtest = pytest.importorskip("scipy.stats").binomtest
    expected = binomtest(wins, wins + losses, 0.5).pvalue if wins + losses else 1.0
    assert stats.mcnemar(wins, losses) == pytest.approx(expected)
    assert stats.mcnemar(wins, losses) == stats.mcnemar(losses, wins)


def test_five_seeds_cannot_reach_five_percent():
    """Five wins of five give p = 1/16, six of six 1/32: a confirmatory claim needs six seeds."""
    assert stats.mcnemar(5, 0) == 1 / 16
    assert stats.mcnemar(6, 0) == 1 / 32


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=40))
def test_paired_is_mcnemar_on_binary_series(pairs):
    """For 0/1 series p comes from the discordant pairs alone, and swapping the series turns the sign."""
    after, before = [int(a) for a, _ in pairs], [int(b) for _, b in pairs]
    wins, losses = sum(a > b for a, b in pairs), sum(a < b for a, b in pairs)
    forward = stats.paired(after, before, rng=Random(0), resamples=100)
    backward = stats.paired(before, after, rng=Random(0), resamples=100)
    assert (forward.p, forward.wins, forward.losses) == (stats.mcnemar(wins, losses), wins, losses)
    assert forward.wins + forward.losses + forward.ties == len(pairs)
    assert backward.difference.value == pytest.approx(-forward.difference.value)


def test_paired_clusters_vote_once():
    """Ten copies of one won item are one vote beside one lost item, so nothing is significant."""
    comparison = stats.paired([1] * 10 + [0], [0] * 10 + [1], rng=Random(0), clusters=["x"] * 10 + ["y"])
    assert (comparison.wins, comparison.losses, comparison.p) == (1, 1, 1.0)
    with pytest.raises(ValueError, match="same items"):
        stats.paired([1], [1, 0], rng=Random(0))


def test_holm_equals_a_worked_example():
    """0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02 (step-down by 4, 3, 2, 1)."""
    assert stats.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx((0.03, 0.06, 0.06, 0.02))
    with pytest.raises(ValueError, match=r"\[0, 1\]"):
        stats.holm([1.2])


@given(st.lists(st.floats(0, 1), max_size=12), st.randoms(use_true_random=False))
def test_holm_keeps_order_and_lies_between_raw_and_bonferroni(p_values, shuffler):
    """Adjusted p-values keep the raw order, lie between raw and Bonferroni, and do not depend on the listing order."""
    adjusted = stats.holm(p_values)
    for raw, new in zip(p_values, adjusted, strict=True):
        assert raw - 1e-12 <= new <= min(1.0, raw * len(p_values)) + 1e-12
    order = list(range(len(p_values)))
    shuffler.shuffle(order)
    assert stats.holm([p_values[i] for i in order]) == tuple(adjusted[i] for i in order)


def test_needed_sizes_equal_hand_computation_and_fall_with_the_gap():
    """0.1 against 0.2 at 80 % power needs 199 an arm; wider gaps need fewer, more power needs more."""
    assert stats.needed(0.1, 0.2) == stats.needed(0.2, 0.1) == stats.needed(0.9, 0.8) == 199
    assert stats.needed(0.1, 0.3) < 199 < stats.needed(0.1, 0.2, power=0.9)
    assert stats.needed_paired(0.2, 0.1) == stats.needed_paired(0.1, 0.2) == 234
    with pytest.raises(ValueError, match="two different rates"):
        stats.needed(0.5, 0.5)
    with pytest.raises(ValueError, match="must differ"):
        stats.needed_paired(0.2, 0.2)


def test_needed_delivers_the_power_it_promises():
    """Simulated at the promised n, about 80 % of experiments exclude zero."""
    rng, n = Random(3), stats.needed(0.2, 0.5)
    seen = 0
    for _ in range(300):
        a, b = (sum(rng.random() < p for _ in range(n)) for p in (0.5, 0.2))
        seen += stats.newcombe(a, n, b, n).low > 0
    assert 0.72 <= seen / 300 <= 0.88


def test_rates_are_the_records_of_core():
    """Everything that measures returns the house's Rate."""
    assert isinstance(stats.wilson(1, 2), Rate)
    assert isinstance(stats.mean([0.0, 1.0], rng=Random(0), resamples=10), Rate)


@given(counts)
def test_correcting_for_a_perfect_judge_changes_nothing(count):
    """Sensitivity and specificity known to be 1: the corrected rate is the raw one, interval and all."""
    rate = stats.wilson(*count)
    found = stats.corrected(rate, KNOWN, KNOWN)
    assert (found.value, found.low, found.high) == pytest.approx((rate.value, rate.low, rate.high))


@given(counts, st.tuples(st.integers(30, 60), st.just(60)), st.tuples(st.integers(40, 60), st.just(60)))
def test_a_corrected_interval_holds_its_point_and_stays_in_range(count, sensitivity, specificity):
    """Point and ends are corrected together: 0 <= low <= value <= high <= 1, and doubt about the judge only widens it."""
    rate, se, sp = stats.wilson(*count), stats.wilson(*sensitivity), stats.wilson(*specificity)
    found = stats.corrected(rate, se, sp)
    assert 0 <= found.low <= found.value <= found.high <= 1
    surer = stats.corrected(rate, Rate(value=se.value, n=1, low=se.value, high=se.value), sp)
    assert found.low <= surer.low + 1e-9
    assert surer.high <= found.high + 1e-9


def test_a_corrected_rate_rises_with_the_raw_one():
    """More counted successes never mean fewer true ones."""
    se, sp = stats.wilson(45, 50), stats.wilson(40, 50)
    found = [stats.corrected(stats.wilson(k, 100), se, sp) for k in range(101)]
    assert all(a.value <= b.value for a, b in pairwise(found))
    assert found[50].value == pytest.approx((0.5 + 0.8 - 1) / 0.7)


def test_a_judge_no_better_than_chance_corrects_nothing():
    """Sensitivity + specificity of 1 or less is refused, with what to do."""
    with pytest.raises(ValueError, match="better than chance"):
        stats.corrected(stats.wilson(5, 10), stats.wilson(5, 10), stats.wilson(5, 10))


@pytest.mark.parametrize(("truth", "se", "sp"), [(0.3, 0.9, 0.8), (0.05, 0.8, 0.95), (0.7, 0.95, 0.6), (0.5, 0.75, 0.75)])
def test_a_corrected_interval_covers_the_truth_as_often_as_it_says(truth, se, sp):
    """Simulated with a judge measured on 100 rows of each kind, the 95 % interval covers in 92 % or more of experiments."""
    rng, covered, experiments = Random(5), 0, 400

    def share(chance, n):
        return stats.wilson(sum(rng.random() < chance for _ in range(n)), n)

    for _ in range(experiments):
        raw = share(truth * se + (1 - truth) * (1 - sp), 200)
        found = stats.corrected(raw, share(se, 100), share(sp, 100))
        covered += found.low <= truth <= found.high
    assert covered / experiments >= 0.92

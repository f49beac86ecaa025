"""Rates over seeds: between-seed spread and within-seed sampling both widen the interval, and neither is forgotten.

pytest tests/core/test_replicates.py
"""

from __future__ import annotations

import pytest

from trueline.core.replicates import replicated, student
from trueline.core.stats import wilson
from trueline.core.types import Rate


@pytest.mark.parametrize("degrees", [1, 2, 3, 5, 8, 29])
def test_the_quantile_is_that_of_students_t(degrees: int) -> None:
    """The closed form agrees with a library's inversion, for odd and even degrees of freedom."""
    stats = pytest.importorskip("scipy.stats")
    assert student(degrees) == pytest.approx(stats.t.ppf(0.975, degrees), rel=1e-6)


def test_one_seed_is_itself() -> None:
    """There is nothing to pool."""
    assert replicated([wilson(3, 10)]) == wilson(3, 10)


def test_the_order_of_seeds_changes_nothing() -> None:
    """A seed is a replicate, and has no place in a row."""
    rates = [wilson(3, 10), wilson(9, 10), wilson(5, 10)]
    assert replicated(rates) == replicated(rates[::-1])


def test_seeds_that_agree_keep_the_doubt_of_their_samples() -> None:
    """Three times 0 of 300 is not certainty."""
    assert replicated([wilson(0, 300)] * 3).high == pytest.approx(wilson(0, 300).high)


def test_seeds_that_differ_widen_the_interval_beyond_their_samples() -> None:
    """Two methods that swap places between seeds are not told apart by many prompts."""
    rates = [wilson(1000, 10_000), wilson(9000, 10_000), wilson(5000, 10_000)]
    found = replicated(rates)
    assert (found.value, found.low, found.high) == (0.5, 0.0, 1.0)


def test_what_is_no_proportion_is_not_clipped() -> None:
    """A gold utility may lie below zero."""
    assert replicated([Rate(value=v, n=9, low=v - 0.1, high=v + 0.1) for v in (-0.5, 0.5)]).low < -1


def test_more_seeds_narrow_the_interval() -> None:
    """The same spread over six seeds says more than over three."""
    rates = [wilson(40, 100), wilson(50, 100), wilson(60, 100)]
    three, six = replicated(rates), replicated(rates * 2)
    assert six.high - six.low < three.high - three.low

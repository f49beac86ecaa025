"""Designs: each part's effect is read as if it were alone, and what a fraction mixes up is said."""

from __future__ import annotations

from itertools import combinations
from statistics import fmean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.prompting.design import DesignError, factorial

LEVELS = st.lists(st.integers(2, 4), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(LEVELS, st.sampled_from([4, 8, 16, 32, 64]))
def test_parts_are_independent(levels, most):
    """Every two parts: how often a wording comes does not depend on the other's, so no effect leaks into another."""
    try:
        runs = factorial(levels, most).runs
    except DesignError:
        return
    assert len(runs) <= most
    for f, g in combinations(range(len(levels)), 2):
        for a in range(levels[f]):
            for b in range(levels[g]):
                both = sum(run[f] == a and run[g] == b for run in runs)
                assert both * len(runs) == sum(run[f] == a for run in runs) * sum(run[g] == b for run in runs) > 0


@settings(deadline=None, max_examples=60)
@given(LEVELS, st.sampled_from([8, 16, 32]), st.data())
def test_the_effect_of_each_part_is_read_exactly(levels, most, data):
    """Where parts add up, the mean with a wording less the mean with the reference is what that wording adds."""
    try:
        design = factorial(levels, most)
    except DesignError:
        return
    adds = [[0, *data.draw(st.lists(st.integers(-9, 9), min_size=n - 1, max_size=n - 1))] for n in levels]
    worth = [sum(adds[part][level] for part, level in enumerate(run)) for run in design.runs]
    for part, n in enumerate(levels):
        means = [fmean(w for w, run in zip(worth, design.runs, strict=True) if run[part] == level) for level in range(n)]
        for level in range(1, n):
            assert means[level] - means[0] == pytest.approx(adds[part][level])


def test_all_combinations_are_taken_where_they_fit():
    """A whole design holds each combination once, the reference first, and mixes nothing up."""
    design = factorial((2, 3, 2), 12)
    assert design.whole
    assert len(set(design.runs)) == len(design.runs) == 12
    assert design.runs[0] == (0, 0, 0)
    assert not any(design.mixed)


@pytest.mark.parametrize(("parts", "most", "clear"), [(4, 8, True), (5, 16, True), (8, 16, True), (7, 8, False), (5, 8, False)])
def test_what_is_mixed_up_is_known(parts, most, clear):
    """The textbook fractions: 4 parts in 8, 5 and 8 in 16 keep pairs away from parts; 5 and 7 in 8 cannot."""
    design = factorial((2,) * parts, most)
    assert len(design.runs) == most
    assert (not any(design.mixed)) == clear


@pytest.mark.parametrize("levels", [(2,) * 5, (2,) * 7, (3, 2, 2, 2), (4, 3, 2)])
def test_an_interplay_shows_where_the_design_says_it_does(levels):
    """Two parts that only act together move another part's effect if and only if that pair is named."""
    design = factorial(levels, 8 if len(levels) > 4 else 16)
    for f, g in combinations(range(len(levels)), 2):
        if levels[f] == levels[g] == 2:  # with two wordings the interplay is one number
            worth = [(-1) ** (run[f] + run[g]) for run in design.runs]
            for part in set(range(len(levels))) - {f, g}:
                means = [
                    fmean(w for w, run in zip(worth, design.runs, strict=True) if run[part] == level)
                    for level in range(levels[part])
                ]
                assert (len(set(means)) > 1) == ((f, g) in design.mixed[part])


def test_too_small_a_budget_says_how_much_is_needed():
    """The number in the message is enough, and one less is not."""
    with pytest.raises(DesignError, match="at least 8 prompts"):
        factorial((2,) * 7, 7)
    assert len(factorial((2,) * 7, 8).runs) == 8
    with pytest.raises(DesignError, match="at least 2 prompts"):
        factorial((2,), 1)
    with pytest.raises(ValueError, match="two or more wordings"):
        factorial((1, 2), 8)

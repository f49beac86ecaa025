"""The bets are fair: summed over all that may happen while nothing changes, they come to one, or to less where that is said."""

from __future__ import annotations

from itertools import combinations, product
from math import comb, exp

import numpy as np
import pytest

from trueline.watch.evidence import paired, pooled, ranked


def counts(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def hypergeometric(yes: int, total: int, before: int, after: int) -> float:
    return comb(after, yes) * comb(before, total - yes) / comb(before + after, total)


@pytest.mark.parametrize(("before", "after", "total"), [(1, 1, 1), (5, 1, 1), (5, 3, 4), (2, 7, 6), (20, 2, 3)])
def test_a_paired_bet_is_fair(before, after, total):
    """Given the total of a question, the mean of E over where its yeses fall is exactly one."""
    mean = sum(
        hypergeometric(yes, total, before, after) * exp(paired(counts(total - yes), counts(before), counts(yes), counts(after)))
        for yes in range(max(0, total - before), min(after, total) + 1)
    )
    assert mean == pytest.approx(1)


def test_a_paired_bet_on_several_questions_is_fair():
    """The same over two questions that were asked unequally often."""
    mean = sum(
        hypergeometric(i, 2, 4, 2) * hypergeometric(j, 3, 5, 1)
        * exp(paired(counts(2 - i, 3 - j), counts(4, 5), counts(i, j), counts(2, 1)))
        for i, j in product(range(3), range(2))
    )  # fmt: skip
    assert mean == pytest.approx(1)


def test_questions_that_tell_nothing_bet_nothing():
    """Always yes, always no, asked on one side alone, or not at all: E is one, and nothing is divided by zero."""
    assert paired(counts(0, 9, 4, 0, 0), counts(9, 9, 9, 0, 0), counts(0, 2, 0, 1, 0), counts(2, 2, 0, 2, 0)) == pytest.approx(
        0
    )
    assert paired(counts(), counts(), counts(), counts()) == pytest.approx(0)


def test_with_one_round_on_each_side_only_discordant_pairs_count():
    """As in McNemar's test: questions that agree with themselves change nothing, however many there are."""
    alone = paired(counts(0, 0, 1), counts(1, 1, 1), counts(1, 1, 0), counts(1, 1, 1))
    among = paired(counts(0, 0, 1, *[1] * 50), counts(*[1] * 53), counts(1, 1, 0, *[1] * 50), counts(*[1] * 53))
    assert alone == pytest.approx(among)


def test_yes_and_no_and_the_order_of_questions_are_only_names():
    """E is the same when every answer is turned over, and when questions are permuted."""
    before, n_before, after, n_after = counts(1, 0, 5), counts(9, 9, 8), counts(2, 1, 0), counts(2, 3, 2)
    one = paired(before, n_before, after, n_after)
    assert paired(n_before - before, n_before, n_after - after, n_after) == pytest.approx(one)
    turn = [2, 0, 1]
    assert paired(before[turn], n_before[turn], after[turn], n_after[turn]) == pytest.approx(one)


@pytest.mark.parametrize("total", [1, 4, 9])
def test_a_pooled_bet_is_fair(total):
    """Given the total, the mean of E over how many fall on which side is exactly one."""
    possible = range(max(0, total - 8), min(5, total) + 1)
    mean = sum(hypergeometric(yes, total, 8, 5) * exp(pooled(counts(total - yes), 8, counts(yes), 5)[0]) for yes in possible)
    assert mean == pytest.approx(1)


def test_a_pooled_bet_is_conservative_where_rates_differ():
    """Of questions with rates of their own, asked once on each side, the mean of E over all that may happen is at most one."""
    rates = (0.02, 0.5, 0.97, 0.2)
    mean = 0.0
    for answers in product((0, 1), repeat=2 * len(rates)):
        chance = float(np.prod([p if yes else 1 - p for yes, p in zip(answers, rates * 2, strict=True)]))
        mean += chance * exp(pooled(counts(sum(answers[:4])), 4, counts(sum(answers[4:])), 4)[0])
    assert 0.5 < mean <= 1


def test_a_pooled_bet_on_nothing_is_one():
    """None on one side, none at all, or always the same: log E is zero; several rates are bet on each for itself."""
    assert pooled(counts(0, 0), 0, counts(2, 0), 2) == pytest.approx([0, 0])
    assert pooled(counts(0, 9), 9, counts(0, 4), 4) == pytest.approx([0, 0])
    assert pooled(counts(3, 6), 9, counts(4, 0), 4) == pytest.approx(
        [pooled(counts(k), 9, counts(j), 4)[0] for k, j in ((3, 4), (6, 0))]
    )


@pytest.mark.parametrize("values", [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 1.0, 1.0, 2.0, 2.0, 9e9], [3.0] * 6])
def test_a_ranked_bet_is_fair(values):
    """Over all ways to choose which values come after the split, ties and outliers included, the mean of E is exactly one."""
    bets = []
    for chosen in combinations(range(6), 2):
        late = [values[i] for i in chosen]
        early = [value for i, value in enumerate(values) if i not in chosen]
        bets.append(exp(ranked([early, [1.0]], [late, []])))
    assert np.mean(bets) == pytest.approx(1)


def test_ranks_do_not_see_how_far_an_outlier_lies():
    """A value that is a thousand times as large is the largest, and no more."""
    assert ranked([[1.0, 2.0, 3.0]], [[4.0]]) == pytest.approx(ranked([[1.0, 2.0, 3.0]], [[4000.0]]))


def test_evidence_grows_with_rounds_and_with_questions():
    """A change that lasts, or that more questions show, is surer."""
    by_rounds = [paired(counts(0), counts(20), counts(m), counts(m)) for m in (1, 2, 4)]
    by_questions = [paired(np.zeros(9, int), np.full(9, 20), np.arange(9) < f, np.ones(9, int)) for f in (1, 3, 5)]
    assert by_rounds == sorted(by_rounds)
    assert by_questions == sorted(by_questions)

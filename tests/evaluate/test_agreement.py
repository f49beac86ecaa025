"""Tests of evaluate/agreement.py: alpha against worked examples, its identities, and the tables beside it."""

import time
from dataclasses import replace
from itertools import combinations
from random import Random

import pytest

from trueline.core.orders import implied
from trueline.evaluate.agreement import agreement
from trueline.evaluate.votes import Vote


def votes(table, **more):
    """Votes from ranks by item and rater."""
    return [Vote(item=item, rater=rater, ranks=ranks, **more) for item, said in table.items() for rater, ranks in said.items()]


def binary(*observers):
    """Rankings of two cards from a text of 0 and 1 for each observer, . where one is missing."""
    ranks = {"0": (1, 2), "1": (2, 1)}
    table = {str(u): {str(r): ranks[s[u]] for r, s in enumerate(observers) if s[u] != "."} for u in range(len(observers[0]))}
    return votes(table)


def shuffled_ranks(rng, k):
    return tuple(rng.sample(range(1, k + 1), k))


def test_alpha_of_pairs_is_krippendorffs_binary_example():
    """Krippendorff (2011), part A: two observers, ten units, alpha = 1 - 19 * 4 / (14 * 6) = 0.095; 60 % agree."""
    found = agreement(binary("0100000000", "1110010010"))
    assert found.alpha.value == pytest.approx(1 - 19 * 4 / (14 * 6))
    assert found.pairwise.value == pytest.approx(0.6)


def test_alpha_with_missing_votes_is_worked_by_hand():
    """Three observers, one missing twice: coincidences counted by hand, each pair within an item weighing 1 / (m - 1)."""
    # Items: 000, 011, 1.1, 0.. (alone, left out). m = 3, 3, 2; n = 8; values 0: 3 + 1 + 0 = 4, 1: 0 + 2 + 2 = 4.
    # Ordered pairs that differ: none, 4 of weight 1/2, none. D_o = 2 / 8. D_e = 2 * 4 * 4 / (8 * 7).
    found = agreement(binary("0010", "01..", "011."))
    assert found.alpha.value == pytest.approx(1 - (2 / 8) / (32 / 56))


def test_alpha_of_three_cards_is_worked_by_hand():
    """Two items of three cards: tau's distances 1/3 and 2/3 within, the mean of all twelve ordered pairs as chance."""
    table = {"u": {"a": (1, 2, 3), "b": (2, 1, 3)}, "v": {"a": (3, 2, 1), "b": (2, 1, 3)}}
    given = [ranks for said in table.values() for ranks in said.values()]
    distance = lambda x, y: sum(abs(implied(x)[p] - implied(y)[p]) / 2 for p in implied(x)) / 3  # noqa: E731 - one line
    chance = sum(distance(x, y) for x, y in combinations(given, 2)) / 6
    found = agreement(votes(table))
    assert found.alpha.value == pytest.approx(1 - (1 / 3 + 2 / 3) / 2 / chance)
    assert found.tau.value == pytest.approx(0.0)


def test_a_tie_is_half_way_and_silence_is_left_out():
    """A tie against an order is a distance of one half; two who ranked nothing in common are not compared."""
    found = agreement(votes({"u": {"a": (1, 1), "b": (1, 2)}}))
    assert found.items[0].distance == pytest.approx(0.5)
    top = agreement(votes({"u": {"a": (1, None, None), "b": (1, 2, 3)}}))
    assert (top.items[0].distance, top.pairwise.value) == (0.0, 1.0)


def test_perfect_agreement_is_one_with_an_interval_that_has_a_width():
    """Where all say the same of every item, every figure is 1, and ten items leave room for doubt."""
    rng = Random(0)
    table = {str(u): dict.fromkeys("abc", shuffled_ranks(rng, 4)) for u in range(10)}
    found = agreement(votes(table))
    for rate in (found.alpha, found.tau, found.pairwise):
        assert rate.value == pytest.approx(1)
        assert rate.low < 0.95
    assert found.in_dispute == ()


def test_random_answers_have_an_alpha_about_zero():
    """The interval of 300 items that are ranked at random holds zero, for full, tied and partial rankings."""
    rng = Random(1)
    kinds = [
        lambda: shuffled_ranks(rng, 4),
        lambda: tuple(rng.randint(1, 3) for _ in range(4)),
        lambda: tuple(r if r < 3 else None for r in shuffled_ranks(rng, 4)),
    ]
    for make in kinds:
        found = agreement(votes({str(u): {r: make() for r in "abc"} for u in range(300)}))
        assert found.alpha.low < 0 < found.alpha.high
        assert abs(found.alpha.value) < 0.06


def test_permuting_people_or_items_changes_nothing():
    """Names of raters and the order of votes leave alpha, tau and pairwise as they are."""
    rng = Random(2)
    given = votes({f"{u:02}": {r: tuple(rng.randint(1, 3) for _ in range(3)) for r in "abcd"} for u in range(40)})
    other = [replace(vote, rater={"a": "d", "b": "a", "c": "b", "d": "c"}[vote.rater]) for vote in given]
    rng.shuffle(other)
    first, second = agreement(given), agreement(other)
    for name in ("alpha", "tau", "pairwise"):
        assert getattr(first, name).value == pytest.approx(getattr(second, name).value)
    assert [item.item for item in first.items] == [item.item for item in second.items]


def test_repeats_and_gold_count_apart():
    """A later turn is measured against the first, gold against what is known, and neither enters agreement."""
    given = [
        *votes({"u": {"a": (1, 2), "b": (1, 2)}, "v": {"a": (1, 2), "b": (2, 1)}}, seconds=4.0),
        Vote(item="u", rater="a", ranks=(2, 1), turn=1),
        Vote(item="g", rater="a", ranks=(1, 2)),
        Vote(item="g", rater="b", ranks=(2, 1)),
    ]
    found = agreement(given, {"g": (1, 2)})
    assert (found.pairwise.value, found.itself.value, found.gold.value) == (0.5, 0.0, 0.5)
    by_name = {rater.rater: rater for rater in found.raters}
    assert (by_name["a"].gold.value, by_name["b"].gold.value) == (1.0, 0.0)
    assert (by_name["a"].votes, by_name["a"].others.value, by_name["b"].itself) == (2, 0.5, None)
    assert [(item.item, item.disputed) for item in found.items] == [("v", ((0, 1),)), ("u", ())]
    assert found.in_dispute == ("v",)


def test_nothing_measured_is_none():
    """Without an item that two people ranked there is no agreement to tell."""
    found = agreement(votes({"u": {"a": (1, 2)}}))
    assert (found.pairwise, found.alpha, found.tau, found.itself, found.gold, found.items) == (None,) * 5 + ((),)
    assert found.raters[0].others is None


def test_five_thousand_items_are_measured_while_one_waits():
    """5,000 items of four cards with five votes each take less than two seconds of one core."""
    rng = Random(3)
    given = [Vote(item=str(u), rater=str(r), ranks=shuffled_ranks(rng, 4)) for u in range(5000) for r in range(5)]
    began = time.process_time()
    assert agreement(given).alpha.n == 5000
    assert time.process_time() - began < 2

"""Tests of core/orders.py: rankings as implied pairs, merged and brought back to ranks."""

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from trueline.core.orders import implied, merged, ranks_of

RANKS = st.lists(st.one_of(st.none(), st.integers(1, 5)), min_size=2, max_size=5).map(tuple)


@given(RANKS)
def test_the_better_rank_wins_and_the_unranked_lose(ranks):
    """A pair is implied unless neither card is ranked, and its word is the order of ranks with None behind all."""
    found = implied(ranks)
    for i, j in combinations(range(len(ranks)), 2):
        if ranks[i] is None and ranks[j] is None:
            assert (i, j) not in found
        else:
            a, b = (9 if rank is None else rank for rank in (ranks[i], ranks[j]))
            assert found[i, j] == (a < b) - (a > b)


@given(st.lists(st.integers(1, 5), min_size=2, max_size=5).map(tuple))
def test_pairs_of_a_full_ranking_give_the_ranking_back(ranks):
    """From all implied pairs the ranks come back, up to the numbers used; with a pair missing nothing does."""
    again = ranks_of(implied(ranks), len(ranks))
    assert again is not None
    assert implied(again) == implied(ranks)
    assert ranks_of(dict(list(implied(ranks).items())[1:]), len(ranks)) is None


def test_circles_have_no_ranks():
    """Where a beats b, b beats c and c beats a, no ranking says so."""
    assert ranks_of({(0, 1): 1, (1, 2): 1, (0, 2): -1}, 3) is None


def test_a_pair_needs_more_than_half_of_its_votes():
    """Half against half is a dispute, whatever the sides are; who says nothing of a pair does not vote on it."""
    assert merged([{(0, 1): 1}, {(0, 1): -1}]) == {}
    assert merged([{(0, 1): 1}, {(0, 1): 0}, {(0, 1): -1}]) == {}
    assert merged([{(0, 1): 0}, {(0, 1): 0}, {(0, 1): -1}, {}]) == {(0, 1): 0}


@given(st.lists(RANKS.filter(lambda r: len(r) == 3), max_size=5), st.randoms())
def test_the_order_of_people_changes_nothing(said, rng):
    """Merging does not depend on who is counted first."""
    words = [implied(ranks) for ranks in said]
    mixed = list(words)
    rng.shuffle(mixed)
    assert merged(words) == merged(mixed)

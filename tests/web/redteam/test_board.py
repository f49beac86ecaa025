"""Tests of web/redteam/board.py: what counts is how many different ways work."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trueline.store.hunt_records import Counted
from trueline.web.redteam.board import board


def claim(person: str, family: str, category: str = "c", cluster: str = "g", at: int = 0) -> Counted:
    """What was found, and when."""
    return Counted(person=person, family=family, category=category, cluster=cluster, created=f"2026-11-28T{at:02}")


CLAIMS = st.builds(
    claim, st.sampled_from("abc"), st.sampled_from(("role", "zaba", "past")), st.sampled_from("uv"), st.sampled_from("gh"),
    st.integers(0, 23),
)  # fmt: skip


def places(*found: Counted) -> list[tuple[int, str]]:
    return [(one.rank, one.person) for one in board(found)]


def test_two_families_beat_ten_successes_of_one():
    """Ten goals in one family stand behind one goal in two."""
    many = [claim("a", "role", f"c{n}", f"g{n}", n) for n in range(10)]
    assert places(*many, claim("b", "role", at=11), claim("b", "zaba", at=12)) == [(1, "b"), (2, "a")]


def test_categories_then_goals_then_the_earliest_decide():
    """Each decides only where what comes before it is equal."""
    assert places(claim("a", "role"), claim("b", "role", "c", at=1), claim("b", "role", "d", at=1)) == [(1, "b"), (2, "a")]
    assert places(claim("a", "role"), claim("b", "role", cluster="g", at=1), claim("b", "role", cluster="h", at=1)) == [
        (1, "b"), (2, "a")
    ]  # fmt: skip
    assert places(claim("b", "role", at=1), claim("a", "role", at=2)) == [(1, "b"), (2, "a")]


def test_equals_share_a_place():
    """Equal in all, time included, is equal in rank, and the next rank counts both."""
    assert places(claim("b", "role"), claim("a", "role"), claim("c", "role", at=3)) == [(1, "a"), (1, "b"), (3, "c")]


@given(st.lists(CLAIMS, max_size=12), CLAIMS, st.randoms())
def test_repeating_a_kind_changes_nothing_and_order_does_not_matter(found, more, random):
    """A claim of a family, category and goal that a person has already changes no place, nor does the order of reading."""
    twice = claim(more.person, more.family, more.category, more.cluster, at=99)
    shuffled = [*found, more]
    random.shuffle(shuffled)
    assert board([*found, more]) == board(shuffled) == board([*shuffled, twice])

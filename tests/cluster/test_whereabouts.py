"""The report of a barrier that timed out says of every rank where it is, in few words that hide nothing.

pytest tests/cluster/test_whereabouts.py
"""

from __future__ import annotations

import pytest

from trueline.cluster.whereabouts import Place, ranks, read_place, report, shown

AT = Place(state="at", name="norm", count=7, seconds=9.0, sent=100.0)


def lines(size, said, beats=()):
    return report("norm", waiter=0, waited=9.0, timeout=8.0, size=size, said=said, beats=dict(beats), now=130.0).splitlines()


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (Place(state="after", name="norm", count=7, seconds=3.0), 'has passed it: it had left "norm", its barrier 7, 3 s ago'),
        (Place(state="at", name="save", count=8), 'has not arrived: it was at "save", its barrier 8, for 0 s'),
        (Place(state="idle", seconds=60.0), "has not arrived: it was idle, waiting to be told what to do, for 60 s"),
        (Place(stack="read (rows.py:8)"), "has not arrived: it has come to no barrier yet, and is in read (rows.py:8)"),
        (Place(state="ended"), "has not arrived: it had ended its work"),
    ],
)
def test_who_is_elsewhere_is_told_with_where(said, words):
    """A rank that answered and is not at the barrier has passed it, or has not arrived, and does something else."""
    assert lines(2, {0: AT, 1: said})[1:] == ["  arrived: rank 0", f"  rank 1 {words}"]


@pytest.mark.parametrize(
    ("beats", "words"),
    [
        ({}, "has never been heard of"),
        ({1: AT}, 'has not been heard of for 30 s: it was at "norm", its barrier 7, for 9 s then'),
        ({1: Place(state="ended", count=7, sent=120.0)}, "has ended its work, 10 s ago, after 7 barriers"),
        ({1: Place(sent=500.0)}, "has not been heard of for 0 s: it has come to no barrier yet then"),
    ],
)
def test_who_does_not_answer_is_told_by_its_last_word(beats, words):
    """A rank that is dead or ended is told by when it last spoke; a clock that goes before ours makes no time negative."""
    assert lines(2, {0: AT}, beats)[2] == f"  rank 1 {words}"


def test_a_thousand_ranks_are_a_short_report():
    """Ranks are told as spans, and only some of those that are away one by one."""
    found = lines(1000, dict.fromkeys(range(900), AT))
    assert len(found) == 19
    assert found[1] == "  arrived: ranks 0 to 899"
    assert found[-1] == "  nor are these there: ranks 916 to 999"


def test_ranks_side_by_side_are_a_pair_or_a_span():
    """Two neighbours are named, three are a span."""
    assert ranks([0, 1]) == "ranks 0, 1"
    assert ranks([4, 2, 3]) == "ranks 2 to 4"


def test_a_place_is_read_back_as_it_was_said():
    """JSON and back changes nothing."""
    said = Place(state="at", name="a\x1b\u202e", count=3, seconds=0.5, sent=2.0, stack="f (g.py:1)")
    assert read_place(said.to_json()) == said


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nothing",
        "null",
        "[]",
        '{"state": "at", "more": 1}',
        '{"state": []}',
        '{"state": "else"}',
        '{"count": "x"}',
        b"\xff",
    ],
)
def test_what_is_no_place_is_none(text):
    """The store may hold anything: what is not a place is not read as one."""
    assert read_place(text) is None


def test_names_and_stacks_turn_and_hide_nothing():
    """Control characters, directions and very long names are escaped and cut wherever they are shown."""
    bad = Place(state="at", name="\x1b[2J\u202e", stack="\x1b]0;title\x07\n")
    text = "\n".join(lines(2, {0: AT, 1: bad}))
    assert text.isascii()
    assert text.replace("\n", "").isprintable()
    assert len(text.splitlines()) == 3
    assert len(shown("x" * 10_000)) < 220

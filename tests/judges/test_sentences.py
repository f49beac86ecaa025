"""Sentences keep their places, and fold to one form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trueline.judges.sentences import fold, sentences, without


@given(st.text(max_size=200))
def test_places_are_in_order_and_within_the_text(text):
    """Sentences do not overlap, and each lies within the text."""
    place = 0
    for sentence in sentences(text):
        assert place <= sentence.start < sentence.end <= len(text)
        place = sentence.end


@given(st.text(max_size=200))
def test_folding_twice_changes_nothing_more(text):
    """What is folded has one form."""
    once = fold(fold(text))
    assert fold(once) == once


def test_lists_abbreviations_and_code_are_told_apart():
    """A list marker is no sentence, "e.g." ends none, and fenced lines are code."""
    found = sentences("Use glue, e.g. paste. Done!\n1. Cut it.\n```\nx = 1\n```\n")
    assert [s.text for s in found] == ["use glue, e.g. paste.", "done!", "cut it.", "x = 1"]
    assert [s.item for s in found] == [False, False, True, False]
    assert [s.code for s in found] == [False, False, False, True]


def test_contractions_are_written_out():
    """Every spelling of a negation is the same negation."""
    assert fold("I can’t") == fold("I can't") == fold("I can not") == fold("I CANNOT") == "i cannot"
    assert fold("I won't, I'm, you're, I'd, don't") == "i will not, i am, you are, i would, do not"


def test_spans_are_taken_out():
    """What is masked is gone, and the rest stays."""
    assert without("abc def ghi", ((4, 8),)) == "abc  ghi"
    assert without("abc", ()) == "abc"

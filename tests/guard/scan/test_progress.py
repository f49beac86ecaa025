"""The automaton knows what may be in progress: no less, against every continuation, and no more."""

from __future__ import annotations

from itertools import product

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.scan import progress
from trueline.guard.scan.progress import Machine
from trueline.guard.scan.syntax import can_be_empty, parse

EXPRESSIONS = (
    "abc", "a+b", "ab{1,2}a", "(?:ba|a)b", "a(?:b|c)*a", "[^a]b", ".c.", "a.*c", "(?i)Ab", "(?:a|ab)(?:c|bcc)", "c{3}", "a?b?c",
    r"\x61\142", "[[:alpha:]]cb", r"\Qa\Eb", "(?P<n>a)b|c", "a{2,}b", r"\pLb", "(?s:a.)c", "(a(b(c)?)?)a",
)  # fmt: skip
CONTINUATIONS = ["".join(chars) for length in (1, 2, 3, 4) for chars in product("abc", repeat=length)]


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(EXPRESSIONS), st.text("abc", max_size=7))
def test_what_is_in_progress_is_the_longest_end_that_some_continuation_completes(expression, text):
    """The first group begins at the smallest i for which text[i:] and something more is a match, by RE2's own word."""
    compiled = re2.compile(expression)
    machine = Machine([parse(expression)])
    state, starts = machine.start(""), ()
    for place, char in enumerate(text):
        state, starts = state.after(char, place, starts)
    expected = next(
        (i for i in range(len(text)) if any(compiled.fullmatch(text[i:] + more) for more in CONTINUATIONS)), len(text)
    )
    assert (starts[0] if starts else len(text)) == expected


@settings(deadline=None, max_examples=100)
@given(
    st.sampled_from((*EXPRESSIONS, r"\bab\b", "^a", "b$", r"(?m)^b+$", r"\Bb", r"a\b", r"\Aa|b\z", r"(?:\b|c)a", "(^|b)a")),
    st.text("abc \n", max_size=8),
)
def test_no_match_begins_unseen(expression, text):
    """Every match of RE2's is in progress at each place within it, from its beginning or before, and ends with a sign."""
    machine = Machine([parse(expression)])
    state, starts, seen, signs = machine.start(""), (), [], []
    for place, char in enumerate(text):
        step = state.step(char)
        state, starts = state.after(char, place, starts)
        seen.append(starts[0] if starts else place + 1)
        signs.append(step.matched)
    for match in re2.finditer(expression, text):
        assert all(seen[place] <= match.start() for place in range(match.start(), match.end() - 1))
        assert any(signs[match.end() - 1 : match.end() + 1]) or match.end() == len(text)


def test_of_two_in_the_same_place_the_earlier_is_kept():
    """However long a repetition goes on, what is in progress stays small."""
    machine = Machine([parse("[ab]+c"), parse("b{3}c")])
    state, starts = machine.start(""), ()
    for place in range(200):
        state, starts = state.after("b", place, starts)
        nodes = [node for group in state.groups for node in group]
        assert len(nodes) == len(set(nodes))
    assert starts == (0, 197, 198, 199)


def test_edges_are_waited_for():
    """A match that depends on the next character is in progress until that is there."""
    machine = Machine([parse(r"ab\b")])
    state, starts = machine.start(""), ()
    for place, char in enumerate("ab"):
        state, starts = state.after(char, place, starts)
    assert starts == (0,)
    assert state.after("c", 2, starts)[1] == ()
    assert state.step(" ").matched
    assert not state.step("c").matched


def test_what_is_remembered_is_bounded(monkeypatch):
    """Hostile text makes the automaton forget, not grow, and it goes on as before."""
    monkeypatch.setattr(progress, "STEPS", 50)
    machine = Machine([parse("[a-z]+@[a-z]+")])
    state, starts = machine.start(""), ()
    for place in range(1000):
        state, starts = state.after(chr(0x400 + place), place, starts)
        assert len(state.steps) <= 50
        assert len(machine._states) <= 52
    for place, char in enumerate("ab@", 1000):
        state, starts = state.after(char, place, starts)
    assert starts[0] == 1000


@pytest.mark.parametrize(
    ("expression", "empty"),
    [("a*", True), ("a|", True), (r"\b", True), ("^", True), ("(a?b?)*", True),
     ("a{0}", True), ("a{0,3}b", False), (r"\Q\E", True),
     ("(|a)b", False), ("a+", False)],
)  # fmt: skip
def test_what_matches_the_empty_text_is_known(expression, empty):
    """By its structure, edges included."""
    assert can_be_empty(expression) is empty

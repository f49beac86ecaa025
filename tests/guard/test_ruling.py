"""The algebra of verdicts: the strictest word wins, and silence is never an allow."""

from __future__ import annotations

from itertools import permutations

import pytest

from trueline.guard.exchange import Edit
from trueline.guard.ruling import STRICTNESS, allow, block, broken, flag, fold, human, redact, rewrite, shadowed

EDIT = Edit(path=("a",), start=0, end=1, text="x")
WORDS = [
    allow("a"),
    flag("b", "odd"),
    redact("c", "card", [EDIT]),
    rewrite("d", "rude", "no"),
    human("e", "ask"),
    block("f", "no"),
]


def test_the_strictest_word_wins_in_any_order() -> None:
    """Folding is a maximum: the order in which rails speak changes nothing."""
    assert {fold(order).action for order in permutations(WORDS)} == {"block"}
    for stricter in WORDS:
        milder = [word for word in WORDS if STRICTNESS[word.action] <= STRICTNESS[stricter.action]]
        assert fold(milder).action == stricter.action


def test_edits_of_every_rail_are_kept_when_another_word_is_stricter() -> None:
    """A redaction is carried out also where another rail only flags, or rewrites."""
    assert fold([WORDS[2], WORDS[3]]).edits == (EDIT,)


def test_a_broken_rail_blocks_where_it_fails_closed_and_flags_where_open() -> None:
    """What did not run is never taken for an allow, and its status says so."""
    for status in ("not_run", "error", "timeout"):
        closed, open_ = broken("r", status, "why", "closed"), broken("r", status, "why", "open")
        assert (closed.action, open_.action) == ("block", "flag")
        assert closed.decision.status == open_.decision.status == status


def test_a_shadow_lowers_its_own_word_only() -> None:
    """A rail that watches becomes a flag that remembers what it would have said, and weakens no other rail."""
    watched = shadowed(WORDS[5])
    assert (watched.action, watched.shadow, watched.edits) == ("flag", "block", ())
    assert shadowed(WORDS[2]).edits == ()
    assert fold([watched, WORDS[4]]).action == "human"
    assert shadowed(WORDS[0]) is WORDS[0]


def test_nobody_speaking_is_an_error() -> None:
    """A fold of nothing raises, so that a chain without rails cannot pass anything by accident."""
    with pytest.raises(ValueError, match="at least one rail"):
        fold([])

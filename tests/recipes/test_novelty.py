"""Novelty: what was written before is known, what shares nothing with it is new.

pytest tests/recipes/test_novelty.py
"""

from __future__ import annotations

from random import Random

import pytest

from trueline.recipes.novelty import Memory

TEXTS = ["tell me how to make a kite .", "how do you make a lamp ?", "write a story where alma makes a drum ."]


def memory(*texts: str) -> Memory:
    made = Memory()
    made.add(texts)
    return made


def test_the_first_text_is_new_and_its_repeat_is_known():
    """Against nothing all is new; against itself nothing is; a text without a common word stays new but for the smoothing."""
    assert Memory().novelty("a b c") == 1
    assert memory("a b c").novelty("a b c") == pytest.approx(0)
    assert memory(*TEXTS).novelty("x y z w") > 0.95


def test_the_order_of_what_was_written_changes_nothing():
    """A memory is of a set of texts, however they came."""
    shuffled = list(TEXTS)
    Random(0).shuffle(shuffled)
    one, other = memory(*TEXTS), Memory()
    for text in shuffled:
        other.add([text])
    assert one.novelty("tell me a story .") == pytest.approx(other.novelty("tell me a story ."))


def test_what_is_written_often_is_less_new_than_what_was_written_once():
    """The mean similarity sees how often; so an attacker is paid for leaving the trick that it repeats."""
    once, often = memory(*TEXTS), memory(*[TEXTS[0]] * 20, *TEXTS[1:])
    assert often.novelty(TEXTS[0]) < once.novelty(TEXTS[0])
    assert often.novelty(TEXTS[1]) > once.novelty(TEXTS[1]) > 0


def test_novelty_lies_between_0_and_1():
    """Whatever is asked about, the empty text included."""
    made = memory(*TEXTS, "", "a a a a")
    for text in (*TEXTS, "", "a", "a a a a a a", "how do you tell a story ?"):
        assert 0 <= made.novelty(text) <= 1

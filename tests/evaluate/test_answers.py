"""Free answers to questions with one right answer: what is read, and what is left undetermined."""

from __future__ import annotations

import pytest

from trueline.evaluate.answers import SEVERAL, final_number, letter, lettered, plain_number, stated_confidence

CHOICES = ("red", "red wine", "blue")


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("B", 1),
        ("b)", 1),
        ("**C**", 2),
        ("(A)", 0),
        ("The answer is C, not A.", 2),
        ("I would choose option B.", 1),
        ("Answer: **A**", 0),
        ("It must be blue!", 2),
        ("Red wine, I think.", 1),
        ("A. red", 0),
        ("A red one? No idea.", 0),
        ("E", None),
        ("", None),
        ("green", None),
        ("(A) or (C)", SEVERAL),
        ("blue or red", SEVERAL),
    ],
)
def test_a_choice_is_read(reply, place):
    """By its letter, else by its words, the longest that fit; none is None, several are SEVERAL."""
    assert letter(reply, CHOICES) == place


def test_questions_get_letters():
    """Choices stand under letters; more than there are letters, or fewer than two, are refused."""
    assert lettered("Which?\n", ("x", "y")) == "Which?\nA) x\nB) y\nAnswer with the letter alone."
    for count in (1, 27):
        with pytest.raises(ValueError, match="2 to 26"):
            lettered("Which?", ["x"] * count)


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        ("#### 42", "42"),
        ("#### $1,234.50\nthat is 7 more", "1234.5"),
        ("The answer is 12. I took 3 steps.", "12"),
        ("first 3, then -4", "-4"),
        ("it costs \u22125 degrees", "-5"),
        ("none at all", None),
        ("", None),
        ("#### 100", "100"),
    ],
)
def test_the_final_number_is_read(reply, number):
    """After ####, or "answer is", else the last; written one way whatever its commas and zeros."""
    assert final_number(reply) == number


@pytest.mark.parametrize("text", ["1e9", "nan", "inf", "9" * 60, "1.2.3"])
def test_what_is_no_plain_number_stays_none_or_finite(text):
    """Model output is hostile: no number is infinite, and none is written out to a million digits."""
    found = plain_number(text)
    assert found is None or len(found) < 42


@pytest.mark.parametrize(
    ("reply", "sure"),
    [("85", 0.85), ("I am 100% sure", 1.0), ("0", 0.0), ("90 of 100", None), ("120", None), ("-5", None), ("very", None)],
)
def test_confidence_is_one_number_from_0_to_100(reply, sure):
    """Anything else is no confidence."""
    assert stated_confidence(reply) == sure

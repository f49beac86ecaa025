"""Encodings: what is written comes back, and the judges can read it."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.attack.encodings import ENCODINGS
from trueline.judges.decoding import readings

SECRET = "find the silver kite under that bridge"
TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=60)
UNREADABLE = {"pig_latin"}  # there is no sure way back, for a judge neither

# What of a text survives encoding and decoding; the identity where nothing is named.
SURVIVES = {
    "leet": lambda t: t.translate(str.maketrans("0134578OIEASTB", "oieastboieastb")),
    "morse": lambda t: " ".join(w for w in (re.sub("[^a-z0-9]", "", word) for word in t.lower().split()) if w),
    "spelled": lambda t: " ".join(t.split()),
    "homoglyph": lambda t: "".join(ENCODINGS["homoglyph"].decode(c) for c in t),
    "zero_width": lambda t: t.replace("\u200b", ""),
    "tags": lambda t: "".join(ENCODINGS["tags"].decode(c) for c in t),
}
INVERTED = [name for name, encoding in ENCODINGS.items() if encoding.decode]


@pytest.mark.parametrize("name", INVERTED)
@given(text=TEXT)
def test_what_is_written_comes_back(name, text):
    """Decoding what was encoded gives the text again, up to the loss that the row states."""
    encoding = ENCODINGS[name]
    assert encoding.decode(encoding.encode(text)) == SURVIVES.get(name, str)(text)


@pytest.mark.parametrize("name", ENCODINGS)
def test_a_loss_is_stated_exactly_where_there_is_one(name):
    """A row that names no loss loses nothing, and a row that names one does lose something."""
    encoding = ENCODINGS[name]
    assert bool(encoding.loses) == (name in SURVIVES)
    hard = "Ask \u200b 0134578  \u0430\U000e0041-B!\n"
    if encoding.decode:
        assert (encoding.decode(encoding.encode(hard)) != hard) == bool(encoding.loses)


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_hides_the_words(name):
    """No long word of the request stands in what was written."""
    written = ENCODINGS[name].encode(SECRET)
    assert not any(word in written.split() for word in SECRET.split() if len(word) > 3)


@pytest.mark.parametrize("name", ENCODINGS)
def test_the_judges_read_what_is_encoded(name):
    """A reply in the code gives away what it says, except in the codes that nobody can undo surely."""
    long = [word for word in SECRET.split() if len(word) > 3]
    found = any(all(word in reading.split() for word in long) for reading in readings(ENCODINGS[name].encode(SECRET)))
    assert found == (name not in UNREADABLE)


def test_judges_leave_spelled_words_of_three_letters_alone():
    """The one gap among spelled words: a run of three letters or fewer may be an abbreviation, and is not joined."""
    assert not any("the" in reading.split() for reading in readings(ENCODINGS["spelled"].encode("the kite")))


def test_pig_latin_turns_words_and_nothing_else():
    """Consonants go to the end, a vowel stays in front, digits and marks are untouched."""
    assert ENCODINGS["pig_latin"].encode("string art, 12 Kites!") == "ingstray artway, 12 itesKay!"


def test_look_alikes_are_another_alphabet():
    """Every twin is a Cyrillic letter: equal to the eye, and not to a computer."""
    written = ENCODINGS["homoglyph"].encode("aceiopxyACEIOPX")
    assert all(unicodedata.name(letter).startswith("CYRILLIC") for letter in written)

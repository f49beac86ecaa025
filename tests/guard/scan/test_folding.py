"""Folding is a homomorphism that knows its source, and knows the letters that pass for others."""
# ruff: noqa: RUF001 (look-alike letters are the subject)

from __future__ import annotations

import string

from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.scan import folding
from trueline.guard.scan.folding import fold, is_letter, origins, skeleton, squeeze

QUIET = settings(deadline=None, max_examples=150)
TEXTS = st.text(st.one_of(st.characters(), st.sampled_from("aZ09 \n\u200b\u0301ßﬁİåА\ud800字한")), max_size=40)


@QUIET
@given(TEXTS, TEXTS)
def test_the_view_of_two_texts_is_the_two_views(first, second):
    """fold, skeleton and squeeze go through strings character by character, so a cut changes nothing."""
    assert fold(first + second) == fold(first) + fold(second)
    one, two = fold(first), fold(second)
    assert skeleton(one + two) == skeleton(one) + skeleton(two)
    assert squeeze(one + two) == squeeze(one) + squeeze(two)


@QUIET
@given(TEXTS)
def test_every_folded_character_knows_its_source(text):
    """The source of each character folds to a string that holds it, and sources never go back."""
    folded, sources = fold(text), origins(text)
    assert len(sources) == len(folded)
    assert sources == sorted(sources)
    assert all(char in fold(text[source]) for char, source in zip(folded, sources, strict=True))
    assert len(skeleton(folded)) == len(folded)


def test_folding_twice_is_folding_once():
    """For every letter of the scripts with case, every symbol, and samples of the rest of Unicode."""
    codes = (*range(0x3000), *range(0xA640, 0xAC00), *range(0xF900, 0x10000), *range(0x1D000, 0x20000), *range(0, 0x110000, 97))
    assert [hex(code) for code in codes if fold(fold(chr(code))) != fold(chr(code))] == []


def test_ascii_is_folded_as_any_other_text():
    """The fast path for ASCII and the table say the same."""
    for char in map(chr, range(128)):
        assert fold(char + "é") == fold(char) + "e"
        assert skeleton(fold(char) + "字") == skeleton(fold(char)) + "字"
        assert squeeze(fold(char) + "字") == squeeze(fold(char)) + "字"


def test_letters_that_decompose_and_letters_that_look_alike_are_latin():
    """Full alphabets of the kinds that attackers copy from a web page."""
    small = string.ascii_lowercase
    for first in (0xFF21, 0xFF41, 0x24B6, 0x24D0, 0x1D400, 0x1D5D4, 0x1D670, 0x1F130, 0x1F150, 0x1F170, 0x1F1E6):
        assert fold("".join(chr(first + place) for place in range(26))) == small
    assert fold("ᴀʙᴄᴅᴇꜰɢʜɪᴊᴋʟᴍɴᴏᴘʀꜱᴛᴜᴠᴡʏᴢ") == "abcdefghijklmnoprstuvwyz"
    assert fold("АВЕКМНОРСТХ ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ") == "abekmhopctx abezhikmnoptyx"
    assert fold("٣٤५６⁷") == "34567"


def test_vowel_signs_and_voicing_stay():
    """An accent is dropped; what makes another letter or syllable is not."""
    assert fold("é\u0301") == "e"
    assert fold("か") != fold("が")
    assert len(fold("कि")) == 2


def test_what_is_a_letter_of_a_word():
    """Letters and digits are, in scripts that put blanks between words."""
    assert all(map(is_letter, "aя5ع"))
    assert not any(map(is_letter, " -_字かกᄀ"))


def test_hostile_text_does_not_fill_the_memory(monkeypatch):
    """The table of folded characters forgets when it is full."""
    monkeypatch.setattr(folding, "REMEMBERED", 100)
    assert fold("".join(map(chr, range(0x4E00, 0x5200)))) == "".join(map(chr, range(0x4E00, 0x5200)))
    assert len(folding._FOLDS) <= 100

"""What decodes is replaced in its place, each part knows its source, and it takes linear time."""

from __future__ import annotations

import base64
from itertools import pairwise

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from trueline.guard.scan import decoding
from trueline.guard.scan.decoding import CODES, FINISHED, FINISHED_WORD, decode, spans

PARTS = (
    "a", "Zz", " ", "\n", "=", "+", "/", "_", "-", "%", "%6", "%61", "%d0%b1", "%80", "&", "&#98;", "&#x62", "&amp;", "&zz;",
    "\\",
    "\\x61", "\\xd0\\xb1", "\\u0061", "\\ud83d\\ude00", "\\u{61}", "0x",
    "62", "62 6f 6d 62", "626f6d62", "Ym9tYg==", "Ym9tYiBib21i",
    base64.b64encode(bytes(range(200, 224))).decode(), "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo", "\U000e0061",
    "\ufe01\ufe02\ufe03\ufe04",
    "abcdefghijklmnopqrst", "é", "字",
)  # fmt: skip
TEXTS = st.lists(st.sampled_from(PARTS), max_size=12).map("".join)


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_every_part_of_a_decoded_text_knows_its_source(text):
    """What is no run stands there as it was; what is one comes from exactly that run; places never go back."""
    if (decoded := decode(text)) is None:
        return
    for place, char in enumerate(decoded.text):
        source = decoded.locate(place, place + 1)
        if source.codes:
            assert any(run[:2] == source[:2] and char in run.text for run in decoded.runs)
        else:
            assert text[source.start : source.end] == char
        assert decoded.place(source.start) <= place
    whole = decoded.locate(0, len(decoded.text))
    assert (whole.start, whole.end) == (0, len(text))
    assert all(one.end <= two.start for one, two in pairwise(decoded.runs))


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_the_cheap_search_misses_nothing(text):
    """Tokens are tried only where CODES says so; trying them everywhere finds no more."""
    assert spans(text) == [token.span() for token in decoding._TOKENS.finditer(text)]


@settings(deadline=None, max_examples=300)
@given(TEXTS)
def test_a_stream_is_told_of_every_run(text):
    """Whatever may be a run matches one of the patterns by which a stream notices that one has ended."""
    for start, end in spans(text):
        assert any(re2.search(f"^(?:{pattern})", text[start:end]) for pattern in (*FINISHED, FINISHED_WORD))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("%41%zz%", "A%zz%"),
        ("%D0%B1%80", "б\ufffd"),  # noqa: RUF001 (a letter of two bytes, and half of one)
        ("&lt;b&gt; &bogus; &#x110000;", "<b> &bogus; \ufffd"),
        (r"\x41\u0042\u{43}\ud83d\ude00\ud83d", "ABC😀\ufffd"),
        ("62 6f 6d 62x", None),
        ("0x626f6d62", "bomb"),
        ("a" * 15 + "\nplain words here", None),
        ("understanding climbing blockbuster", None),
    ],
)
def test_what_single_codes_say(text, said):
    """Odd and broken codes are read as a browser or a model would, and words are left alone."""
    decoded = decode(text)
    assert (decoded and decoded.text) == said


def test_a_redaction_can_be_as_fine_as_one_character_of_a_url():
    """Percent signs, entities and escapes map one by one; base64 and hexadecimal go as a whole."""
    decoded = decode("%41%42%43")
    assert decoded is not None
    assert decoded.locate(1, 2)[:2] == (3, 6)


class Counting(str):
    """A text that counts how often a part of it is asked for."""

    asked = 0

    def __getitem__(self, key):
        Counting.asked += 1
        return str.__getitem__(self, key)


@pytest.mark.parametrize(
    "part", ["%80", "%61", "aB", "-a", "/Ym9", "&#1", "&a", "0x", "62 ", "a" * 16 + "\n", "\\x61", "\U000e0061", "YWJj"]
)
def test_decoding_is_linear(part):
    """Twice the text takes twice the steps, counted where the text is looked at."""

    def steps(times: int) -> int:
        Counting.asked = 0
        text = Counting(part * times)
        tried = sum(1 for _ in decoding._tokens(text, 0))
        return Counting.asked + tried + sum(1 for _ in re2.finditer(CODES, str(text)))

    assert steps(800) <= 2 * steps(400) + 20

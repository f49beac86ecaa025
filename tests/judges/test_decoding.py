"""Every code is undone, alone and in pairs, and hostile texts take bounded time."""

from __future__ import annotations

import base64
import codecs
import html
import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.judges.decoding import READINGS, argument_texts, plain, readings

SECRET = "the kite is under the bridge"
CODES = {
    "base64": lambda t: base64.b64encode(t.encode()).decode(),
    "base64url": lambda t: base64.urlsafe_b64encode(t.encode()).decode().rstrip("="),
    "hex": lambda t: t.encode().hex(),
    "hex bytes": lambda t: " ".join(f"0x{byte:02x}" for byte in t.encode()),
    "rot13": lambda t: codecs.encode(t, "rot13"),
    "reversed": lambda t: t[::-1],
    "percent": lambda t: "".join(f"%{byte:02X}" for byte in t.encode()),
    "quote": lambda t: quote(t),
    "html": lambda t: "".join(f"&#{ord(c)};" for c in t),
    "json": lambda t: "".join(f"\\u{ord(c):04x}" for c in t),
    "leet": lambda t: t.translate(str.maketrans("oieast", "013457")),
    "zero width": lambda t: "\u200b".join(t),
    "full width": lambda t: "".join(chr(ord(c) + 0xFEE0) if c != " " else c for c in t),
    "lookalikes": lambda t: t.translate(str.maketrans("aeok", "аеок")),
    "tags": lambda t: "hello" + "".join(chr(ord(c) + 0xE0000) for c in t),
    "plain": lambda t: t,
}


def heard(text: str) -> bool:
    return any(SECRET in reading for reading in readings(text))


@pytest.mark.parametrize("code", CODES)
def test_a_code_is_undone(code):
    """What was written in a code is among the readings, also inside other words."""
    assert heard(CODES[code](SECRET))


@pytest.mark.parametrize("code", ["base64", "hex", "percent", "html", "json", "plain"])
def test_a_code_inside_words_is_undone(code):
    """A coded run between plain words is found."""
    assert heard(f"here you are: {CODES[code](SECRET)} .")


@pytest.mark.parametrize("outer", ["base64", "hex", "rot13", "reversed", "percent"])
@pytest.mark.parametrize("inner", ["base64", "hex", "rot13", "reversed", "json"])
def test_two_codes_are_undone(inner, outer):
    """Codes stacked twice are undone in either order."""
    assert heard(CODES[outer](CODES[inner](SECRET)))


def test_morse_and_spelled_words_are_undone():
    """Letters by themselves become words."""
    assert any("kite" in reading for reading in readings("-.- .. - . / ..-. .-.. .. . ..."))
    assert any("make a kite" in reading.replace("  ", " ") for reading in readings("m-a-k-e a k-i-t-e"))


@given(st.text(max_size=120))
def test_the_text_itself_comes_first(text):
    """Nothing raises, the plain text is the first reading, and there are no more than the budget."""
    found = readings(text)
    assert found[0] == text
    assert len(found) <= READINGS


@pytest.mark.parametrize(
    "piece", ["a", "QUFB", "41", "%25", "&amp;", "\\u005c", ". ", "a b ", " ", "\U000e0041", "\ud800", "- -/"]
)
def test_a_huge_text_takes_bounded_time(piece):
    """Megabytes of any code, and codes within codes, are read within seconds."""
    began = time.process_time()
    readings(piece * (5_000_000 // len(piece)))
    assert time.process_time() - began < 10


def test_arguments_are_read_as_json_where_they_are():
    """Every key and value is a text of its own; what is no JSON, or too deep, stays as it is."""
    assert argument_texts(json.dumps({"to": "x", "body": [SECRET, 1, None]}))[1:] == ("to", "x", "body", SECRET)
    assert argument_texts("{not json") == ("{not json",)
    deep = "[" * 200_000
    assert argument_texts(deep) == (deep,)
    assert argument_texts("[" * 5_000 + "]" * 5_000)[0].startswith("[")


def test_plain_shows_what_the_eye_sees():
    """Invisible characters vanish, and look-alikes become the letters that they pass for."""
    assert plain("k\u200bі\u00adtе") == "kite"
    assert html.unescape("&lt;") in readings("&lt;kite&gt;")[-1] or any("<kite>" in r for r in readings("&lt;kite&gt;"))

"""What a text hides: it is read plainly, and again with every code undone that a reply may be written in, once and twice.

Codes: base64, hexadecimal, percent signs, HTML and JSON escapes, ROT13, leet, reversal, Morse, words spelled in letters,
invisible and look-alike characters, tag characters. A reading need not make sense: whoever looks for a marker finds it in one
of them or in none, and nonsense contains no marker. The world's own codes are undone in `trueline.world.codes`.

The text is hostile. Every decoder takes time in proportion to its length, and three budgets bound the rest: characters of a
text that are decoded, readings, and layers.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import html
import json
import re
import unicodedata
from collections.abc import Callable, Iterator
from urllib.parse import unquote

LIMIT = 50_000  # characters of a text that are decoded; the plain text is always there whole
READINGS = 48
LAYERS = 2
ARGUMENTS = 1_000_000  # characters of a call's arguments that are parsed as JSON

_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{12,}={0,2}")
_HEX = re.compile(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,]?){6,}")
_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\([nrt\"\\/])")
_MORSE = re.compile(r"(?:[.\-·−–]{1,6}[ /|]+){4,}[.\-·−–]{1,6}")
_SPELLED = re.compile(r"(?<!\w)\w([ \-._*])\w(?:\1\w){2,}(?!\w)")  # one kind of joint throughout
_LEET = str.maketrans("0134578@$!|", "oieastbasil")
# Cyrillic and Greek letters that look like Latin ones, in pairs.
_LOOKS = "аaеeоoрpсcхxуyіiјjѕsԁdһhӏlкkмmтtвbнhαaοoρpνvιiκkτtυuεeχx"
_LOOKALIKES = str.maketrans(_LOOKS[::2], _LOOKS[1::2])
_MORSE_LETTERS = dict(
    zip(
        ".- -... -.-. -.. . ..-. --. .... .. .--- -.- .-.. -- -. --- .--. --.- .-. ... - ..- ...- .-- -..- -.-- --.. "
        "----- .---- ..--- ...-- ....- ..... -.... --... ---.. ----.".split(),
        "abcdefghijklmnopqrstuvwxyz0123456789",
        strict=True,
    )
)


def readings(text: str) -> tuple[str, ...]:
    """Return the text and what it becomes when one or two codes are undone, each reading once.

    >>> "make a kite" in readings("bWFrZSBhIGtpdGU="), "make a kite" in readings("etik a ekam")
    (True, True)
    """
    found = {text: None}  # a dict keeps order
    layer = [text[:LIMIT]]
    for _ in range(LAYERS):
        fresh: list[str] = []
        for reading in layer:
            for decode in _DECODERS:
                if len(found) >= READINGS:
                    return tuple(found)
                decoded = decode(reading)[:LIMIT]
                if decoded.strip() and decoded != reading and decoded not in found:
                    found[decoded] = None
                    fresh.append(decoded)
        layer = fresh
    return tuple(found)


def argument_texts(arguments: str) -> tuple[str, ...]:
    """Return the arguments of a call as they are written, and every text inside where they are JSON: keys and values."""
    if len(arguments) > ARGUMENTS:
        return (arguments,)
    try:
        value = json.loads(arguments)
    except (ValueError, RecursionError):  # no JSON, or layers upon layers of it
        return (arguments,)
    texts, waiting = [arguments], [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                texts.append(text)
            case list() as items:
                waiting += reversed(items)
            case dict() as entries:
                waiting += [part for pair in reversed(entries.items()) for part in reversed(pair)]
    return tuple(dict.fromkeys(texts))


def plain(text: str) -> str:
    """Return a text without invisible characters, with look-alikes as the Latin letters that they pass for."""
    text = unicodedata.normalize("NFKC", text)
    return "".join(c for c in text if unicodedata.category(c) not in {"Cf", "Cs"}).translate(_LOOKALIKES)


def _from_base64(text: str) -> str:
    return " ".join(_texts(_BASE64, text, _base64_bytes))


def _base64_bytes(run: str) -> bytes:
    bare = run.rstrip("=").replace("-", "+").replace("_", "/")
    return base64.b64decode(bare + "=" * (-len(bare) % 4))


def _from_hex(text: str) -> str:
    return " ".join(_texts(_HEX, text, lambda run: bytes.fromhex(re.sub(r"0x|\\x|[\s:,]", "", run))))


def _texts(pattern: re.Pattern[str], text: str, decode: Callable[[str], bytes]) -> Iterator[str]:
    """Decode every run that is text afterwards; bytes that are no text were no code."""
    for match in pattern.finditer(text):
        try:
            decoded = decode(match[0]).decode()
        except (ValueError, binascii.Error):  # UnicodeDecodeError is a ValueError
            continue
        if decoded.isprintable() or all(c.isprintable() or c.isspace() for c in decoded):
            yield decoded


def _unescaped(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        if match[3]:
            return {"n": "\n", "r": "\r", "t": "\t"}.get(match[3], match[3])
        return chr(int(match[1] or match[2], 16))

    return _ESCAPE.sub(character, text)


def _from_morse(text: str) -> str:
    def word(code: str) -> str:
        return "".join(_MORSE_LETTERS.get(letter, "") for letter in code.split())

    runs = [run[0].translate(str.maketrans("·−–", ".--")) for run in _MORSE.finditer(text)]
    return " ".join(word(code) for run in runs for code in re.split(r"[/|]|\s{2,}", run))


def _unspelled(text: str) -> str:
    return _SPELLED.sub(lambda run: re.sub(r"[ \-._*]", "", run[0]), text)


def _untagged(text: str) -> str:
    """Read the tag characters, which no screen shows and which stand for ASCII."""
    return "".join(chr(ord(c) - 0xE0000) for c in text if 0xE0020 <= ord(c) <= 0xE007E)


_DECODERS: tuple[Callable[[str], str], ...] = (
    _from_base64,
    _from_hex,
    _untagged,
    _from_morse,
    plain,
    _unescaped,
    unquote,
    html.unescape,
    _unspelled,
    lambda text: codecs.encode(text, "rot13"),
    lambda text: text[::-1],
    lambda text: text.translate(_LEET),
)

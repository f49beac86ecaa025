"""What decodes in a text, in its place: HTML entities, percent signs, escapes, hexadecimal, base64, hidden characters.

`decode` undoes one layer: every run of a code is replaced by what it says, and the text between stays, so that a sentence of
which one word is encoded reads as a sentence. What is still a code after that is the next layer's. A text without any run
costs one search of `CODES`. Everything is linear; bytes that are no text were no code.

>>> decode("say %62omb or Ym9tYg==").text
'say bomb or bomb'
>>> decode("nothing here") is None
True
"""

from __future__ import annotations

import binascii
import codecs
import html
import re
import string
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import re2

_RUN = "[A-Za-z0-9+/_-]"
_HEX = "[0-9a-fA-F]"
# How base64 of printable ASCII must look: the first bit of each byte is 0, and not all of the next two are.
_FIRST, _SECOND = "[I-Za-f]", "[C-HS-Xi-nyz0-3]"
_QUAD = f"{_FIRST}{_SECOND}[ABEFIJMNQRUVYZcdghklopstwx014589][A-Za-z0-9+/_-]"
_ASCII64 = f"{_QUAD}(?:{_QUAD}|{_FIRST}[AQgw]|{_FIRST}{_SECOND}[AEIMQUYcgkosw048])"
_MIXED = "(?:[a-z][A-Z]|[0-9][A-Za-z]|[A-Za-z][0-9])"  # what no word of prose is, and base64 of any text soon becomes
_ASCII16 = f"(?:0[xX])?(?:[2-7]{_HEX}){{4}}"
_PAIR = f"(?:0[xX])?{_HEX}{{2}}"
_JOINT = "(?:, ?|[ :])"
_PERCENT = f"(?:%[0-7]{_HEX}|(?:%[89a-fA-F]{_HEX})+)"  # one letter of ASCII, or the bytes of others
_ENTITY = f"&(?:#[0-9]{{1,7}};?|#[xX]{_HEX}{{1,6}};?|[A-Za-z][A-Za-z0-9]{{1,31}};)"
_ESCAPE = (
    rf"(?:\\x[0-7]{_HEX}|(?:\\x[89a-fA-F]{_HEX})+|\\u[dD][89abAB]{_HEX}{{2}}\\u[dD][c-fC-F]{_HEX}{{2}}|\\u{_HEX}{{4}}"
    rf"|\\u\{{{_HEX}{{1,6}}\}}|\\U{_HEX}{{8}})"
)

# One search tells whether there is anything to decode: what `_TOKENS` finds, this finds.
CODES = (
    rf"(?:\b|_)(?:{_ASCII64}|{_ASCII16}|{_PAIR}(?:{_JOINT}{_PAIR}){{3}})|{_RUN}{{3}}{_MIXED}{_RUN}{{3}}|{_PERCENT}|{_ENTITY}"
    rf"|{_ESCAPE}|[\x{{E0020}}-\x{{E007E}}]|[\x{{FE00}}-\x{{FE0F}}\x{{E0100}}-\x{{E01EF}}]{{4}}"
)
_CODES = re2.compile(CODES.encode())
# What a stream must see the end of before it knows what it says (growing.py). Any word may yet become base64.
PENDING = (f"{_RUN}+={{0,2}}", f"{_PAIR}(?:{_JOINT}{_PAIR})+")
PENDING_LINES = rf"(?:{_RUN}{{16,}}\r?\n)+{_RUN}*={{0,2}}"  # no letter of a run is before it
# What may be a run as soon as it matches: `_TOKENS` finds nothing where none of these does.
FINISHED = (
    f"{_PAIR}(?:{_JOINT}{_PAIR}){{3,}}", _PERCENT, _ENTITY, _ESCAPE, r"[\x{E0001}-\x{E007F}]+",
    r"[\x{FE00}-\x{FE0F}\x{E0100}-\x{E01EF}]+",
)  # fmt: skip
FINISHED_WORD = f"[a-z]{{5,}}[A-Z0-9+/_-]{_RUN}*|" + "|".join(  # six letters, one of them no small one; none is before it
    f"[a-z]{{{small}}}[A-Z0-9+/_-]{_RUN}{{{5 - small},}}" for small in range(5)
)

_LOOKS = f"(?=[a-z]*+[A-Z0-9+/_-])(?=(?:{_RUN}*?[/+_-])??{_ASCII64}|{_ASCII16}|{_RUN}{{3,}}?{_MIXED}{_RUN}{{3}})"
_TOKENS = re.compile(
    rf"(?<!{_RUN})(?:(?P<lines>{_LOOKS}(?:{_RUN}{{16,}}+\r?\n)++{_RUN}*+={{0,2}})"
    rf"|(?P<pairs>{_PAIR}(?:{_JOINT}{_PAIR}){{3,}}(?!{_RUN}))|(?P<word>{_LOOKS}{_RUN}{{6,}}+={{0,2}}))"
    rf"|(?P<percent>{_PERCENT})|(?P<entity>{_ENTITY})|(?P<escape>{_ESCAPE})"
    r"|(?P<tags>[\U000e0001-\U000e007f]+)|(?P<selectors>[\ufe00-\ufe0f\U000e0100-\U000e01ef]{4,})"
)
_INSIDE = frozenset([*string.ascii_letters, *string.digits, *"+/_-", *map(chr, range(0xE0001, 0xE0080))])
_LINE, _PART = re.compile(rf"{_RUN}{{6,}}={{0,2}}"), re.compile("[A-Za-z0-9]{6,}={0,2}")  # six letters: a word of four
_TEXT = bytes(code for code in range(256) if code >= 128 or 32 <= code < 127 or code in b"\t\n\v\f\r")
_URL_SAFE = str.maketrans("-_", "+/", "\r\n=")


class Run(NamedTuple):
    """Characters start to end (exclusive) of a text, the code that they are written in, and what they say."""

    start: int
    end: int
    code: str
    text: str


class Source(NamedTuple):
    """Where a part of a decoded text came from: the span in the text before, and the codes that it was written in."""

    start: int
    end: int
    codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text with its runs replaced by what they say."""

    text: str
    runs: tuple[Run, ...]
    at: tuple[int, ...]  # where each run begins in this text

    def locate(self, start: int, end: int) -> Source:
        """Where characters start to end (exclusive, not empty) came from: all of each run that they touch."""
        first, last = bisect_right(self.at, start) - 1, bisect_left(self.at, end) - 1
        outside = first < 0 or self.at[first] + len(self.runs[first].text) <= start
        codes = dict.fromkeys(run.code for run in self.runs[first + outside : last + 1])
        return Source(self._before(first, start), self._after(last, end), tuple(codes))

    def place(self, source: int) -> int:
        """Where a place of the text before is in this one; a place within a run is where the run begins."""
        index = bisect_right(self.runs, source, key=lambda run: run.start) - 1
        if index < 0:
            return source
        run, at = self.runs[index], self.at[index]
        return at if source < run.end else at + len(run.text) + source - run.end

    def _before(self, index: int, place: int) -> int:
        """The source of the character at a place, whose last run at or before it is known."""
        if index < 0:
            return place
        run = self.runs[index]
        beyond = place - self.at[index] - len(run.text)
        return run.end + beyond if beyond >= 0 else run.start

    def _after(self, index: int, place: int) -> int:
        """Behind the source of the character in front of a place."""
        if index < 0:
            return place
        run = self.runs[index]
        return run.end + max(place - self.at[index] - len(run.text), 0)


def decode(text: str, start: int = 0) -> Decoded | None:
    """The text with one layer of code undone from a place on; None where there is none."""
    runs = tuple(run for token in _tokens(text, start) for run in _READERS[token.lastgroup or ""](token))
    return _replaced(text, runs) if runs else None


def spans(text: str, start: int = 0) -> list[tuple[int, int]]:
    """Where something is from a place on that may be a run of code, whether it says anything or not."""
    return [token.span() for token in _tokens(text, start)]


def _tokens(text: str, done: int) -> Iterator[re.Match[str]]:
    """What `_TOKENS` finds from left to right, tried only where `CODES` says that there is something."""
    data = text.encode()  # RE2 goes on from a place in bytes without reading what is in front of it
    place, at = done, len(text[:done].encode())  # the same place in characters and in bytes
    while found := _CODES.search(data, at):
        first, last = found.span()
        start = place + _length(data, at, first)
        place, at = start + _length(data, first, last), last
        while start > done and text[start - 1] in _INSIDE:
            start -= 1
        while start < place and not (token := _TOKENS.match(text, start)):
            start += 1
        if start < place and token:
            yield token
            at += len(text[place : token.end()].encode()) - len(text[token.end() : place].encode())
            place = done = token.end()


def _length(data: bytes, start: int, end: int) -> int:
    """How many characters a part of a text in UTF-8 has."""
    return len(data[start:end].decode())


def _replaced(text: str, runs: tuple[Run, ...]) -> Decoded:
    parts, at, length, done = [], [], 0, 0
    for run in runs:
        parts += (text[done : run.start], run.text)
        length += run.start - done
        at.append(length)
        length += len(run.text)
        done = run.end
    parts.append(text[done:])
    return Decoded("".join(parts), runs, tuple(at))


def _word(token: re.Match[str]) -> Iterator[Run]:
    """A run without blanks: hexadecimal or base64 as a whole, or base64 in parts between the signs of an address."""
    if run := _one(token[0], token.start()):
        yield run
    elif re.search("[+/_-]", token[0]):
        yield from _each(_PART, token[0], token.start())


def _lines(token: re.Match[str]) -> Iterator[Run]:
    """Base64 in lines: all of them, or all but a last one that belongs to the text below, or each for itself."""
    body, _, rest = token[0].rpartition("\n")
    body = body.rstrip("\r")
    if run := _one(token[0], token.start()):
        yield run
    elif run := _one(body, token.start()) if "\n" in body else None:
        yield run
        yield from _each(_LINE, rest, token.end() - len(rest))
    else:
        yield from _each(_LINE, token[0], token.start())


def _each(pattern: re.Pattern[str], text: str, start: int) -> Iterator[Run]:
    return (run for part in pattern.finditer(text) if (run := _one(part[0], start + part.start())))


def _one(run: str, start: int) -> Run | None:
    body = run.translate(_URL_SAFE)
    digits = body[2:] if body[:2] in ("0x", "0X") else body
    if len(digits) % 2 == 0 and (said := _text_of(bytes.fromhex, digits)):
        return Run(start, start + len(run), "hex", said)
    whole = body[: len(body) - (len(body) % 4 == 1)]
    said = _text_of(binascii.a2b_base64, whole + "=" * (-len(whole) % 4))
    return Run(start, start + len(run), "base64", said) if said else None


def _pairs(token: re.Match[str]) -> Iterator[Run]:
    digits = re.sub("0[xX]|[ :,]", "", token[0])
    if said := _text_of(bytes.fromhex, digits):
        yield Run(token.start(), token.end(), "hex", said)


def _percent(token: re.Match[str]) -> Iterator[Run]:
    return _byte_by_byte(token, "url", 3, bytes.fromhex(token[0].replace("%", "")))


def _byte_by_byte(token: re.Match[str], code: str, width: int, data: bytes) -> Iterator[Run]:
    """One run for each character: redaction can be as fine as that."""
    start, reader, pending = token.start(), codecs.getincrementaldecoder("utf-8")("replace"), token.start()
    for index in range(len(data)):
        end = start + (index + 1) * width
        if said := reader.decode(data[index : index + 1], final=index == len(data) - 1):
            yield Run(pending, end, code, said)
            pending = end


def _entity(token: re.Match[str]) -> Iterator[Run]:
    if (said := html.unescape(token[0])) != token[0]:
        yield Run(token.start(), token.end(), "html", said)


def _escapes(token: re.Match[str]) -> Iterator[Run]:
    units = [int(digits, 16) for digits in re.findall(f"{_HEX}+", token[0])]
    if token[0].startswith("\\x"):
        yield from _byte_by_byte(token, "escape", 4, bytes(units))
        return
    code = units[0] if len(units) == 1 else 0x10000 + ((units[0] & 0x3FF) << 10) + (units[1] & 0x3FF)
    said = "\ufffd" if code > 0x10FFFF or 0xD800 <= code < 0xE000 else chr(code)
    yield Run(token.start(), token.end(), "escape", said)


def _tags(token: re.Match[str]) -> Iterator[Run]:
    """Characters that no screen shows and that stand for ASCII, U+E0020 to U+E007E."""
    said = "".join(chr(ord(char) - 0xE0000) for char in token[0] if 0xE0020 <= ord(char) <= 0xE007E)
    if said:
        yield Run(token.start(), token.end(), "tags", f" {said} ")


def _selectors(token: re.Match[str]) -> Iterator[Run]:
    """Bytes in variation selectors: the 16 of the first block, then 240 more, hang on one visible character."""
    data = bytes(code - 0xFE00 if (code := ord(char)) < 0xFE10 else code - 0xE0100 + 16 for char in token[0])
    if said := _said(data):
        yield Run(token.start(), token.end(), "selectors", f" {said} ")


def _text_of(undo: Callable[[str], bytes], run: str) -> str:
    try:
        return _said(undo(run))
    except ValueError:
        return ""


def _said(data: bytes) -> str:
    """Bytes as text, of which four in five characters can be read; nothing otherwise."""
    if 5 * data.count(0) >= 2 * len(data) > 0:
        text = data.decode("utf-16-le", "replace")
        bad = text.count("\ufffd") + len(data.replace(b"\0", b"").translate(None, _TEXT))
    else:
        text = data.decode("utf-8", "replace")
        bad = text.count("\ufffd") + len(data.translate(None, _TEXT))
    return text if 5 * bad <= len(text) else ""


_READERS: dict[str, Callable[[re.Match[str]], Iterator[Run]]] = {
    "lines": _lines, "pairs": _pairs, "word": _word, "percent": _percent, "entity": _entity, "escape": _escapes,
    "tags": _tags, "selectors": _selectors,
}  # fmt: skip

"""JSON within a string: literals whose escapes hide what they say from whoever reads the string as it is written.

A tool's arguments are JSON text inside of a string, and so are many results and structured replies. `{"q": "\\\\u0073ecret"}`
says `secret` to whoever parses it. So what the literals with an escape in them say, one a line, is a piece beside the string,
at its path followed by LITERAL; an edit of it rewrites the literals that it touches. No parser is asked whether the whole is
JSON: half a literal, a bad escape or a key that stands twice hides nothing.

>>> list(hidden('{"q": "\\\\u0073ecret", "n": "plain"}', ("arguments",)))
[(('arguments', -2), 'secret')]
>>> rewritten('{"q": "\\\\u0073ecret", "n": "plain"}', [(0, 6, "[x]")])
[(6, 19, '"[x]"')]
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import orjson

from trueline.guard.exchange import Path

LITERAL = -2  # in a path: what the JSON literals say that stand in the string to which the path leads so far
DEEPEST = 4  # literals within literals: each level doubles the backslashes
Span = tuple[int, int, str]
# It matches from any quote on, also one that nothing closes: so that the search goes over a text once.
_LITERAL = re.compile(r'"(?:[^"\\]++|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|(.)|\Z)", re.DOTALL)
_CONTROL = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


def hidden(text: str, path: Path, deep: int = DEEPEST) -> Iterator[tuple[Path, str]]:
    """What the literals of a text say, and the literals in that again, each with its path."""
    if deep and "\\" in text and (said := spoken(text)):
        inner = (*path, LITERAL)
        yield inner, said
        yield from hidden(said, inner, deep - 1)


def spoken(text: str) -> str:
    """What the literals with an escape in them say, one a line."""
    return "\n".join(said for _, _, said in _literals(text))


def rewritten(text: str, spans: Sequence[Span]) -> list[Span]:
    """The literals of a text as they read after edits of what is `spoken`; the edits are in order and do not overlap.

    An edit that goes over the end of a literal puts its text into the first of those that it touches.
    """
    changed: list[Span] = []
    at, begin = 0, 0  # the next edit; where in what is spoken the literal begins
    for start, end, said in _literals(text):
        stop = begin + len(said)
        parts, done = [], begin
        while at < len(spans) and spans[at][0] <= stop:
            first, after, new = spans[at]
            parts += (said[done - begin : max(first, done) - begin], new if first >= begin else "")
            done = max(done, min(after, stop))
            if after > stop:
                break
            at += 1
        if parts:
            changed.append((start, end, orjson.dumps("".join((*parts, said[done - begin :]))).decode()))
        begin = stop + 1
    return changed


def _literals(text: str) -> Iterator[Span]:
    """Every literal that has an escape in it: where it stands, and what it says."""
    for match in _LITERAL.finditer(text):
        if "\\" in match[0]:
            yield match.start(), match.end(), _decoded(match[0])


def _decoded(literal: str) -> str:
    """What a literal says, read as leniently as anyone might: pairs of surrogates are joined, halves replaced."""
    closed = len(literal) > 1 and literal.endswith('"')
    said = _ESCAPE.sub(_unescaped, literal[1 : -1 if closed else None])
    if any("\ud800" <= letter <= "\udfff" for letter in said):
        said = said.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return said


def _unescaped(match: re.Match[str]) -> str:
    if match[1]:
        return chr(int(match[1], 16))
    return _CONTROL.get(match[2], match[2]) if match[2] else ""

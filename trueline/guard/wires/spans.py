"""Byte-exact editing of JSON: where each value stands in the bytes, and other bytes in its place.

An edit rewrites the literals that it touches; spacing, order of keys, escapes and numbers of all else stay as they were
written, so that a guard changes nothing that it does not mean to change.

>>> from trueline.guard.exchange import Edit
>>> edit_body(b'{ "n":1.0, "text":"call \\\\u0035\\\\u0035" }', [Edit(path=("text",), start=5, end=7, text="[phone]")])
b'{ "n":1.0, "text":"call [phone]" }'
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

import orjson

from trueline.guard.exchange import KEY, Edit, Path, apply_edits, merged
from trueline.guard.wires.literals import LITERAL, rewritten, spoken

_TOKEN = re.compile(rb'[ \t\r\n]*+(?:("[^"\\]*+(?:\\.[^"\\]*+)*+")|([{\[])|([}\]])|([,:])|([^ \t\r\n{}\[\],:"]++))', re.DOTALL)
Span = tuple[int, int]


def edit_body(body: bytes, edits: Iterable[Edit], values: Mapping[Path, bytes] | None = None) -> bytes:
    """The body with the edits made, and with other JSON in place of the values at some paths.

    Raises KeyError for a path that leads nowhere: an edit is never lost silently.
    """
    by_path: dict[Path, list[Edit]] = {}
    for edit in edits:
        by_path.setdefault(outer(edit.path), []).append(edit)
    places = dict.fromkeys(by_path, b"") | dict(values or {})
    if not places:
        return body
    found = find_spans(body, places)
    for path, those in by_path.items():
        start, end = found[path]
        places[path] = orjson.dumps(edited(_text(body[start:end]), those, len(path)))
    places |= dict(values or {})
    return _splice(body, {found[path]: new for path, new in places.items()})


def edited(text: str, edits: Iterable[Edit], depth: int) -> str:
    """A text with its edits made, those in the JSON literals within it too; `depth` words of each path lead to the text."""
    return apply_edits(text, outermost(text, edits, depth))


def outermost(text: str, edits: Iterable[Edit], depth: int) -> list[Edit]:
    """The edits of a text, those in what its literals say as edits that rewrite the literals."""
    edits = tuple(edits)
    own = [edit for edit in edits if len(edit.path) == depth]
    inner = [edit for edit in edits if len(edit.path) > depth]
    if inner:
        path, said = inner[0].path[:depth], spoken(text)
        spans = rewritten(text, merged(outermost(said, inner, depth + 1)))
        own += (Edit(path=path, start=start, end=end, text=new) for start, end, new in spans)
    return own


def outer(path: Path) -> Path:
    """The path of the value in the body itself, of a path that may lead on into a literal within that value."""
    return path[: path.index(LITERAL)] if LITERAL in path else path


def find_spans(body: bytes, wanted: Collection[Path]) -> dict[Path, Span]:
    """Where the values (and keys: paths that end with KEY) at these paths stand, as bytes start to end, end exclusive.

    One pass from left to right over JSON that a parser has accepted. Raises KeyError for a path that is not there.
    """
    found: dict[Path, Span] = {}
    stack: list[tuple[Path, int]] = []  # of what is open: its path and where it starts
    path: Path = ()  # of the value that comes next
    is_key = False  # whether what comes next is a key
    for token in _TOKEN.finditer(body):
        group = token.lastindex
        start, end = token.span(group or 0)
        if group == 2:
            stack.append((path, start))
            is_key = body[start] == 0x7B
            path = path if is_key else (*path, 0)
        elif group == 3:
            path, start = stack.pop()
            if path in wanted:
                found[path] = (start, end)
        elif group == 4:
            if body[start] == 0x3A:
                continue
            here, begin = stack[-1]
            is_key = body[begin] == 0x7B
            if not is_key:
                path = (*here, int(path[-1]) + 1)
        elif is_key:
            key = orjson.loads(body[start:end])
            path, is_key = (*stack[-1][0], key), False
            if (*path, KEY) in wanted:
                found[*path, KEY] = (start, end)
        elif path in wanted:
            found[path] = (start, end)
    missing = [path for path in wanted if path not in found]
    if missing:
        raise KeyError(f"there is nothing at {missing[0]} to put anything else in the place of")
    return found


def _text(literal: bytes) -> str:
    """What a piece of that literal reads: a number is its digits."""
    value = orjson.loads(literal)
    return value if isinstance(value, str) else literal.decode()


def _splice(body: bytes, new: Mapping[Span, bytes]) -> bytes:
    """Other bytes in the place of spans; of two spans within each other, the outer one counts."""
    parts: list[bytes] = []
    at = 0
    for (start, end), text in sorted(new.items(), key=lambda item: (item[0][0], -item[0][1])):
        if start >= at:
            parts += (body[at:start], text)
            at = end
    return b"".join((*parts, body[at:]))

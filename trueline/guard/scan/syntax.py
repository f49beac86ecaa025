r"""RE2's syntax as a tree, for what RE2 itself does not tell: whether a match may be in progress (progress.py).

Only the structure is read here. What a single character may be (a class, an escape, a dot, with the flags that hold there) is
left to RE2: an `Atom` is a piece of the pattern that RE2 is asked about, one character at a time. So there is one opinion on
case, classes and Unicode. Greedy and lazy are the same: both may match.
https://github.com/google/re2/wiki/Syntax

>>> can_be_empty("a*|b"), can_be_empty(r"\ba+")
(True, False)
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import re2


@dataclass(frozen=True, slots=True)
class Atom:
    """One character, by what RE2 says of it. `text` is a whole pattern, flags included."""

    text: str

    def __call__(self, char: str) -> bool:
        return _matches(self.text, char)


@dataclass(frozen=True, slots=True)
class Same:
    """One character, by what it reads as. An automaton looks all of these up at once."""

    read: Callable[[str], str]
    as_: str

    def __call__(self, char: str) -> bool:
        return self.read(char) == self.as_


@dataclass(frozen=True, slots=True)
class One:
    """One character, by any rule."""

    test: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Edge:
    """A place between two characters, by one of the names in progress.py."""

    name: str


@dataclass(frozen=True, slots=True)
class Stop:
    """Never a match: what stands before it is waited for, and no more."""


@dataclass(frozen=True, slots=True)
class Chain:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """One of several."""

    parts: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Repeat:
    """At least `least` times, at most `most` (None: no bound)."""

    part: Node
    least: int
    most: int | None


Node = One | Edge | Stop | Chain | Either | Repeat


def parse(pattern: str) -> Node:
    """The tree of a pattern that RE2 accepts. Raises ValueError for what is not read here: `\\C`."""
    reader = _Reader(pattern)
    tree = reader.alternatives(frozenset())
    if reader.left():
        raise ValueError(f"unexpected {reader.left()!r}")
    return tree


def can_be_empty(pattern: str) -> bool:
    """Whether a pattern may match without a single character."""
    return _empty(parse(pattern))


def _empty(node: Node) -> bool:
    match node:
        case One() | Stop():
            return False
        case Edge():
            return True
        case Chain(parts):
            return all(map(_empty, parts))
        case Either(parts):
            return any(map(_empty, parts))
        case Repeat(part, least):
            return least == 0 or _empty(part)


@lru_cache(maxsize=1 << 16)
def _matches(text: str, char: str) -> bool:
    return _compiled(text).fullmatch(char) is not None


@lru_cache(maxsize=1 << 14)
def _compiled(text: str) -> re2._Regexp:
    return re2.compile(text)


def _caseless(char: str) -> str:
    """A letter as it reads without case, for patterns of ASCII; Unicode folds two letters more to those."""
    return {"\u017f": "s", "\u212a": "k"}.get(char) or char.lower()


class _Reader:
    """Reads a pattern from left to right. Flags (i, m, s) hold to the end of their group."""

    def __init__(self, pattern: str) -> None:
        self._text, self._at = pattern, 0

    def left(self) -> str:
        return self._text[self._at :]

    def alternatives(self, flags: frozenset[str]) -> Node:
        options, parts = [], []
        while self._at < len(self._text) and self._text[self._at] != ")":
            if self._takes("|"):
                options.append(Chain(tuple(parts)))
                parts = []
            elif not self._text.startswith(("(?P<", "(?<"), self._at) and self._takes("(?"):
                flags, group = self._flags(flags)
                parts += [self._repeated(group)] if group else []
            else:
                parts += self._quoted(flags) if self._takes(r"\Q") else [self._repeated(self._single(flags))]
        options.append(Chain(tuple(parts)))
        return Either(tuple(options)) if len(options) > 1 else options[0]

    def _takes(self, text: str) -> bool:
        if found := self._text.startswith(text, self._at):
            self._at += len(text)
        return found

    def _until(self, end: str) -> str:
        start, self._at = self._at, self._text.index(end, self._at) + len(end)
        return self._text[start : self._at - len(end)]

    def _flags(self, flags: frozenset[str]) -> tuple[frozenset[str], Node | None]:
        """What stands behind `(?`: flags for the rest of the group, or a group with its own."""
        start = self._at
        while self._text[self._at] not in ":)":
            self._at += 1
        on, _, off = self._text[start : self._at].partition("-")
        changed = (flags | frozenset(on)) - frozenset(off)
        self._at += 1
        return (changed, None) if self._text[self._at - 1] == ")" else (flags, self._group(changed))

    def _group(self, flags: frozenset[str]) -> Node:
        inside = self.alternatives(flags)
        self._at += 1  # the closing parenthesis
        return inside

    def _quoted(self, flags: frozenset[str]) -> list[Node]:
        end = self._text.find(r"\E", self._at)
        text = self._text[self._at :] if end < 0 else self._text[self._at : end]
        self._at = len(self._text) if end < 0 else end + 2
        chars: list[Node] = [self._atom(re2.escape(char), flags) for char in text]
        return [*chars[:-1], self._repeated(chars[-1])] if chars else []

    def _single(self, flags: frozenset[str]) -> Node:
        start = self._at
        char = self._text[start]
        self._at += 1
        match char:
            case "(":
                if self._takes("?P<") or self._takes("?<"):
                    self._until(">")
                return self._group(flags)
            case "^":
                return Edge("line_start" if "m" in flags else "start")
            case "$":
                return Edge("line_end" if "m" in flags else "end")
            case "[":
                self._class()
            case "\\":
                if edge := _EDGES.get(self._text[self._at]):
                    self._at += 1
                    return Edge(edge)
                self._escape()
        return self._atom(self._text[start : self._at], flags)

    def _class(self) -> None:
        self._takes("^")
        self._takes("]")
        while not self._takes("]"):
            if self._takes("[:"):
                self._until(":]")
            elif self._takes("\\"):
                self._escape()
            else:
                self._at += 1

    def _escape(self) -> None:
        """Behind the backslash: all that belongs to one escape of one character."""
        start = self._at
        char = self._text[start]
        self._at += 1
        if char == "C":
            raise ValueError(r"\C (one byte) is not read here; write . for any character")
        if char in "xpP" and self._takes("{"):
            self._until("}")
        elif char == "x":
            self._at += 2
        elif char in "pP":
            self._at += 1
        elif char in _OCTAL:
            while self._text[self._at : self._at + 1] in _OCTAL and self._at < start + 3:
                self._at += 1

    def _atom(self, text: str, flags: frozenset[str]) -> One:
        if len(text) == 1 and text.isascii() and text != ".":
            return One(Same(_caseless, _caseless(text)) if "i" in flags else Same(str, text))
        held = "".join(sorted(flags & {"i", "s"}))
        return One(Atom(f"(?{held}:{text})" if held else text))

    def _repeated(self, node: Node) -> Node:
        while self._at < len(self._text):
            bounds = _BOUNDS.match(self._text, self._at)
            if not bounds:
                return node
            self._at = bounds.end()
            least, comma, most = bounds["least"], bounds["comma"], bounds["most"]
            match bounds["sign"]:
                case "*":
                    node = Repeat(node, 0, None)
                case "+":
                    node = Repeat(node, 1, None)
                case "?":
                    node = Repeat(node, 0, 1)
                case _:
                    node = Repeat(node, int(least), int(most) if most else None if comma else int(least))
            self._takes("?")  # lazy
        return node


_BOUNDS = re.compile(r"(?P<sign>[*+?])|\{(?P<least>\d+)(?P<comma>,?)(?P<most>\d*)\}")
_OCTAL = tuple("01234567")
_EDGES = {"A": "start", "z": "end", "b": "word", "B": "inside"}

"""One walk over any JSON, and the shapes that tell it whose words it meets.

The walk visits everything. A shape never says what is read, only what it is called: the place of the strings right there, the
members that the format knows, and how to go on. A member that no shape knows is read too, its name included, and belongs
where it was found. Left out are the names of known members, and exact values from a closed list at their own field ("text" as
a `type`).

>>> message = Shape(place="user", fields={"role": Shape(quiet=frozenset({"user"})), "content": Shape(place="user")})
>>> walked = walk({"role": "user", "content": "hello", "odd": ["x"]}, message, "input")
>>> [(piece.place, piece.text) for piece in walked.pieces]
[('user', 'hello'), ('user', 'odd'), ('user', 'x')]
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from trueline.guard.exchange import KEY, Path, Piece, Place, Side
from trueline.guard.wires.bodies import DEEPEST, Json, WireError
from trueline.guard.wires.literals import hidden

LONG = 10**6  # a number from here on may be one of a card or a person; it is read where nobody knows the field
_DEEP = (dict, list)
_READ = {str, dict, list}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Shape:
    """What stands at one point of a format."""

    place: Place = "other"  # of strings right here
    fields: Mapping[str, Shape] = field(default_factory=dict)  # members that are known: their names are not read
    rest: Shape | None = None  # members that are not; None: all in them is of this same place
    items: Shape | None = None  # elements of a list here; None: this shape
    quiet: frozenset[str] = frozenset()  # exact values that say nothing
    media: Literal["", "behind", "here"] = ""  # what no rail reads: behind an address or an id, or bytes right here
    choose: Callable[[Json], Shape] | None = None  # the shape of an object that says itself what it is
    strict: bool = False  # a member that differs from a known one in its case alone is refused


@dataclass(frozen=True, slots=True)
class Walked:
    """What a walk found: pieces in the order of the document, where media stand, and how many keys there are."""

    pieces: list[Piece]
    unread: list[str]
    keys: int


ANY: Mapping[Place, Shape] = {
    place: Shape(place=place)
    for place in ("system", "user", "assistant", "tool_call", "tool_result", "tool_schema", "reasoning", "other")
}


def walk(tree: Json, shape: Shape, side: Side, status: int = 400) -> Walked:
    """Every string of a tree. Raises WireError for what is nested too deep, and for a name in the wrong case."""
    walker = _Walker(side, status)
    walker.visit(tree, shape, ())
    return Walked(walker.pieces, walker.unread, walker.keys)


class _Walker:
    __slots__ = ("keys", "pieces", "side", "status", "unread")

    def __init__(self, side: Side, status: int) -> None:
        self.side = side
        self.status = status
        self.pieces: list[Piece] = []
        self.unread: list[str] = []
        self.keys = 0

    def visit(self, node: Any, shape: Shape, path: Path) -> None:
        """An object or a list, with all that is in it."""
        if len(path) > DEEPEST:
            raise WireError(f"expected at most {DEEPEST} levels of nesting, got more; send less", status=self.status)
        if type(node) is list:
            inner = shape.items or shape
            if not _READ.isdisjoint(map(type, node)) or inner.place != "other":
                for index, value in enumerate(node):
                    self.unknown(value, inner, (*path, index))
            return
        if shape.choose is not None:
            shape = shape.choose(node)
        self.keys += len(node)
        fields = shape.fields
        for key, value in node.items():
            inner = fields.get(key)
            if inner is None:
                self.name(key, shape, (*path, key, KEY))
                self.unknown(value, shape.rest or ANY[shape.place], (*path, key))
            elif type(value) is str:
                if value and not (inner.quiet and value in inner.quiet):
                    self.string(value, inner, (*path, key))
            elif type(value) in _DEEP:
                self.visit(value, inner, (*path, key))

    def unknown(self, value: Any, shape: Shape, path: Path) -> None:
        """A value under a name that the format does not know, or in a list: long numbers in it are read as well."""
        if type(value) is str:
            if value and value not in shape.quiet:
                self.string(value, shape, path)
        elif type(value) in _DEEP:
            self.visit(value, shape, path)
        elif type(value) is int and abs(value) >= LONG:
            self.pieces.append(Piece(side=self.side, place=shape.place, text=str(value), path=path))

    def name(self, key: str, shape: Shape, path: Path) -> None:
        """The name of a member that the format does not know."""
        if shape.strict and key.casefold() in shape.fields:
            raise WireError(f"expected {key.casefold()!r}, got {key!r}: names are in lower case", param=key, status=self.status)
        self.string(key, ANY[shape.place], path)

    def string(self, text: str, shape: Shape, path: Path) -> None:
        """A string that may hold media, or literals."""
        if shape.media:
            self.unread.append(".".join(map(str, path)))
            if " " not in text and (shape.media == "here" or text[:5].lower() == "data:"):
                return  # base64 has no blank
        self.pieces.append(Piece(side=self.side, place=shape.place, text=text, path=path))
        if "\\" in text and '"' in text:
            for inner, said in hidden(text, path):
                self.pieces.append(Piece(side=self.side, place=shape.place, text=said, path=inner))

"""The one Protocol of a guard's rails, and the patterns by which many rails share one scan.

A rail is a frozen dataclass: its fields are its settings in the policy's YAML (`type:` is the name that it is registered by),
each with a comment that says what it means. What literals and regular expressions can find, a rail does not search for itself:
it says its `patterns`, the policy compiles those of all rails into one scanner, and each rail reads its own hits.

    @register("rail", "codenames")
    @dataclass(frozen=True, kw_only=True)
    class Codenames:
        words: tuple[str, ...]  # what must not pass
        action: Action = "block"  # what is done about it
        ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol, runtime_checkable

from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.ruling import Ruling

Needs = Literal["text", "sentence", "whole"]  # of a streamed reply, before it can speak: as it grows, by sentence, all of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Pattern:
    """What a scanner looks for on a rail's behalf.

    A literal is found in every view: folded, spaced out, in leet, and in what decodes. A regular expression (RE2: linear time)
    is read on the text as written, on the folded one (lower case, NFKC) and on what decodes; `exact` keeps it to the first.
    """

    name: str  # unique within the rail
    text: str
    kind: Literal["literal", "regex"] = "literal"
    exact: bool = False  # on the text as it was written alone: tokens whose case matters
    keywords: tuple[str, ...] = ()  # of a regex: it is only tried where one of these stands


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Where a pattern stands in the ORIGINAL text of a piece; `view` says how that was read (plain, folded, leet, base64)."""

    pattern: str
    start: int
    end: int
    view: str = "plain"
    text: str = ""  # what matched, as it reads in that view


class Scan(Protocol):
    """What the shared scanner found for one rail."""

    def hits(self, piece: Piece) -> Sequence[Hit]:
        """In one piece, in order of place."""

    def folded(self, piece: Piece) -> str:
        """The piece's text in its plain folded view (NFKC, no invisible characters, lower case)."""


@runtime_checkable
class Rail(Protocol):
    """One check. It is pure: no clients, no clock, no state between exchanges but what it was built with.

    `check` is called once for each side that it is on. Where `inline` is True it must be linear in the length of the text,
    since nothing can interrupt it; where it is False it may also be `async`, and has a time limit.
    """

    @property
    def name(self) -> str: ...

    @property
    def sides(self) -> tuple[Side, ...]: ...

    @property
    def places(self) -> tuple[Place, ...]: ...

    @property
    def action(self) -> Action: ...  # what it does about what it finds: who redacts is asked before who judges

    @property
    def needs(self) -> Needs: ...

    @property
    def inline(self) -> bool: ...

    def patterns(self) -> Sequence[Pattern]: ...

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling: ...


def read_by(rail: Rail, exchange: Exchange, side: Side) -> tuple[Piece, ...]:
    """The pieces of a side that a rail reads."""
    places = rail.places
    return tuple([piece for piece in exchange.pieces(side) if piece.place in places])

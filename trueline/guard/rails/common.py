"""What the rails share: which settings are sound, what was found where, and the ruling that comes of it.

A ruling names what was found and where, and never quotes it: the reason is written to logs and to the audit, where the secret
that a rail has just taken out of a text must not turn up again.

>>> piece = Piece(side="input", place="user", text="call 555 now", path=("messages", 0, "content"))
>>> ruling_of("pii", "redact", [Found(piece=piece, start=5, end=8, what="phone")]).decision.why
'1 phone in user'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import get_args

from trueline.core.config import ConfigError
from trueline.core.records import nearest
from trueline.core.types import Action
from trueline.guard.exchange import Edit, Exchange, Piece, Place, Side
from trueline.guard.rail import Hit, Rail, Scan, read_by
from trueline.guard.ruling import Ruling, act, allow

BOTH: tuple[Side, ...] = get_args(Side)
EVERYWHERE: tuple[Place, ...] = get_args(Place)
JUDGING: tuple[Action, ...] = ("allow", "flag", "human", "block")  # what a rail may do that has no spans to take out
EDITING: tuple[Action, ...] = ("allow", "flag", "redact", "human", "block")
Span = tuple[int, int, str]  # start and end in the original text, and what it is


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something that stands in the original text of a piece, from start to end (exclusive)."""

    piece: Piece
    start: int
    end: int
    what: str


def check_settings(rail: Rail, *actions: Action, may: Sequence[Action] = JUDGING, sides: Sequence[Side] = BOTH) -> None:
    """Raise ConfigError where the settings that all rails have make no sense for this one."""
    for action in actions:
        if action not in may:
            raise wrong(rail, "action", f"one of {', '.join(may)}", action, nearest(str(action), may))
    for field, given, known in (("sides", rail.sides, sides), ("places", rail.places, EVERYWHERE)):
        if not given or not set(given) <= set(known):
            odd = next((str(word) for word in given if word not in known), "")
            raise wrong(rail, field, f"one or more of {', '.join(known)}", list(given), nearest(odd, known))


def wrong(rail: Rail, field: str, expected: str, got: object, hint: str = "") -> ConfigError:
    """The error of a setting: which it is, what was expected, what came."""
    return ConfigError(f"rail {rail.name!r}: {field}: expected {expected}, got {got!r}{hint}")


def found_in(
    rail: Rail, exchange: Exchange, side: Side, scan: Scan, what: Callable[[Piece, Hit], Iterable[Span]]
) -> Iterator[Found]:
    """The hits in a rail's pieces that are something: `what` gives the spans of each, none where it is nothing.

    A span that several views show counts once.
    """
    for piece in read_by(rail, exchange, side):
        if not (hits := scan.hits(piece)):
            continue
        seen: set[Span] = set()
        for hit in hits:
            for span in what(piece, hit):
                if span not in seen:
                    seen.add(span)
                    yield Found(piece=piece, start=span[0], end=span[1], what=span[2])


def read_as(piece: Piece, hit: Hit) -> str:
    """What matched, as its view reads it: digits that a text hides in base64 are checked as digits."""
    return hit.text or piece.text[hit.start : hit.end]


def within(hit: Hit, start: int, end: int) -> tuple[int, int]:
    """Where a part of what matched stands in the original: all of the hit where its view does not keep the places."""
    if len(hit.text) in (0, hit.end - hit.start):
        return hit.start + start, hit.start + end
    return hit.start, hit.end


def ruling_of(by: str, action: Action, found: Iterable[Found], label: str = "[{what}]") -> Ruling:
    """The ruling on what was found: nothing is allowed; a redaction puts the label, with the finding's name, in its place."""
    found = tuple(found)
    if not found:
        return allow(by)
    edits = (Edit(path=f.piece.path, start=f.start, end=f.end, text=label.replace("{what}", f.what)) for f in found)
    return act(action, by, counted((f.what, f.piece.place) for f in found), edits if action == "redact" else ())


def counted(found: Iterable[tuple[str, str]]) -> str:
    """What was found and where, as words: "2 card in user, 1 iban in tool_result"."""
    counts = Counter(found)
    return ", ".join(f"{n} {what} in {place}" for (what, place), n in counts.most_common(12))

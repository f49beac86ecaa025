"""`pii`: personal data, believed only where its check digits hold or its context says so.

    rails:
      - {type: pii, kinds: [card, iban, email], action: redact}

Each kind is a pattern in the shared scan; a hit is checked by its standard (checksums.py) before it counts, on the digits as
their view reads them, and the edit lands on the original. A redaction leaves the kind: "[card]".

What it cannot see: names, addresses and dates of birth; numbers written out in words; a kind with weak check digits (BSN,
unformatted CPF, SSN and Aadhaar, national telephone numbers) without a word of context before it; a number that is spread
over several pieces. One number in ten passes Luhn by chance, so a long number that starts like a card is sometimes taken for
one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.rail import Hit, Needs, Pattern, Scan
from trueline.guard.rails.common import (
    BOTH,
    EDITING,
    EVERYWHERE,
    Span,
    check_settings,
    found_in,
    read_as,
    ruling_of,
    within,
    wrong,
)
from trueline.guard.rails.pii_kinds import ALL, FORMS, Form, Kind, has_context
from trueline.guard.ruling import Ruling

_USUAL = tuple(kind for kind in ALL if kind != "ip")


@register("rail", "pii")
@dataclass(frozen=True, kw_only=True)
class Pii:
    """Finds personal data by pattern and check digit."""

    name: str = "pii"  # how rulings and the audit call it
    action: Action = "redact"  # what is done about it: allow, flag, redact, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = EVERYWHERE  # whose text is read
    kinds: tuple[Kind, ...] = _USUAL  # which kinds are looked for; `ip` (addresses) only where it is named
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, may=EDITING)
        if not self.kinds or not set(self.kinds) <= set(ALL):
            raise wrong(self, "kinds", f"one or more of {', '.join(ALL)}", list(self.kinds))

    def patterns(self) -> Sequence[Pattern]:
        return [
            Pattern(name=name, text=form.pattern, kind="regex", keywords=form.keywords)
            for name, (kind, form) in _NAMED.items()
            if kind in self.kinds
        ]

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        return ruling_of(self.name, self.action, found_in(self, exchange, side, scan, _persons))


_NAMED: dict[str, tuple[Kind, Form]] = {f"{kind}:{number}": (kind, form) for number, (kind, form) in enumerate(FORMS)}


def _persons(piece: Piece, hit: Hit) -> Iterator[Span]:
    """The parts of a hit that are what they look like."""
    kind, form = _NAMED[hit.pattern]
    if hit.view == "plain" and _within_identifier(piece.text, hit) and kind not in ("card", "iban", "email"):
        return
    if has_context(form, piece.text[: hit.start][-80:]):
        for start, end in form.spans(read_as(piece, hit)):
            yield (*within(hit, start, end), kind)


def _within_identifier(text: str, hit: Hit) -> bool:
    """Whether a number is a part of something longer: a UUID, a version, a path, an order number with letters."""
    before, after = text[max(0, hit.start - 2) : hit.start], text[hit.end : hit.end + 2]
    joined_before = len(before) == 2 and before[1] in "-./_" and before[0].isalnum()
    return joined_before or (len(after) == 2 and after[0] in "-./_" and after[1].isalnum())

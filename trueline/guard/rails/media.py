"""`media`: pictures, sound and files pass no rail, since none can read them; so they do not pass, unless the policy says so.

    rails:
      - {type: media, action: block}

A wire says in `Exchange.unread` where such a part stands. This rail reads that list and nothing else.

What it cannot see: what is in them. With `action: flag` they pass unread, and the audit says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.common import BOTH, EVERYWHERE, check_settings
from trueline.guard.ruling import Ruling, act, allow


@register("rail", "media")
@dataclass(frozen=True, kw_only=True)
class Media:
    """Stops what nobody reads."""

    name: str = "media"  # how rulings and the audit call it
    action: Action = "block"  # what is done about it: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = EVERYWHERE  # media have no piece, and so no place: this is not looked at
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        if not exchange.unread:
            return allow(self.name)
        return act(self.action, self.name, f"{len(exchange.unread)} unread: {', '.join(exchange.unread[:5])}")

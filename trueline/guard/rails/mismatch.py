"""`mismatch`: the text refuses, and the tool is called all the same.

    rails:
      - {type: mismatch, harmless: [search_help], action: block}

A model that says "I cannot send that" and sends it has refused nothing (the gap between text and calls: arXiv 2602.16943). It
takes no model to see: the refusal comes from rules of grammar (refusals.py), the calls from the reply. A call of a
tool that is named harmless is none.

What it cannot see: refusals in another language than English, a call in a later turn than the refusal, and whether the call
does what was refused: "I cannot book that hotel, so here is another" with a call that looks for another is stopped too,
unless that tool is named harmless.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.common import check_settings
from trueline.guard.rails.refusals import leaves_undone
from trueline.guard.rails.replies import question, replies
from trueline.guard.ruling import Ruling, act, allow


@register("rail", "mismatch")
@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """Compares what a reply says with what it does."""

    name: str = "mismatch"  # how rulings and the audit call it
    action: Action = "block"  # what is done about it: allow, flag, human, block
    sides: tuple[Side, ...] = ("output",)  # what the model says
    places: tuple[Place, ...] = ("assistant",)  # whose text is read
    harmless: tuple[str, ...] = ()  # tools that may be called beside a refusal: they look something up
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, sides=("output",))

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        acting = [call.name for call in exchange.calls if call.name not in self.harmless]
        asked = question(exchange.conversation)
        if acting and any(leaves_undone(reply.text, asked) for reply in replies(exchange, self.places)):
            return act(self.action, self.name, f"the text refuses, and {len(acting)} calls are made: {_shown(acting)}")
        return allow(self.name)


def _shown(names: Sequence[str]) -> str:
    """Names of tools for a reason: few, and short, since a model wrote them."""
    return ", ".join(name[:40] for name in names[:3])

"""The second policy's process with a rail that does not behave: run by its path (test_beside.py)."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import INPUT_PLACES, Exchange, Place, Side
from trueline.guard.gateway import second
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.ruling import Ruling, allow


@dataclass(frozen=True, kw_only=True)
class Odd:
    """Raises, or never comes back, where the text says so; nothing can interrupt it, since it is computed in place."""

    name: str = "odd"
    sides: ClassVar[tuple[Side, ...]] = ("input",)
    places: ClassVar[tuple[Place, ...]] = INPUT_PLACES
    action: ClassVar[Action] = "block"
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        text = " ".join(piece.text for piece in exchange.pieces(side))
        if "raise" in text:
            raise ZeroDivisionError
        while "hang" in text:
            time.sleep(0.01)
        return allow(self.name)


if __name__ == "__main__":
    register("rail", "odd")(Odd)  # in this process alone
    second.main()

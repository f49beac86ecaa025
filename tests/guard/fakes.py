"""Rails that do one thing, to see what a chain makes of their word."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from trueline.core.types import Action
from trueline.guard.chain import Chain
from trueline.guard.exchange import INPUT_PLACES, Edit, Exchange, Place, Side
from trueline.guard.policy import Policy, Seat
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.ruling import Ruling, act, allow

Check = Callable[[Exchange, Side, Scan], Ruling]


@dataclass(frozen=True, kw_only=True)
class Finds:
    """Acts on one word, wherever its scan finds it."""

    word: str
    name: str = "finds"
    action: Action = "block"
    sides: tuple[Side, ...] = ("input", "output")
    places: tuple[Place, ...] = INPUT_PLACES
    needs: Needs = "text"
    inline: bool = True

    def patterns(self) -> Sequence[Pattern]:
        return (Pattern(name="word", text=self.word),)

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        hits = [(piece, hit) for piece in read_by(self, exchange, side) for hit in scan.hits(piece)]
        if not hits:
            return allow(self.name)
        edits = [Edit(path=piece.path, start=hit.start, end=hit.end, text="[x]") for piece, hit in hits]
        return act(self.action, self.name, f"{len(hits)} found", edits)


@dataclass(frozen=True, kw_only=True)
class Says:
    """Says what a function says."""

    says: Check
    name: str = "says"
    action: Action = "block"
    sides: tuple[Side, ...] = ("input", "output")
    places: tuple[Place, ...] = INPUT_PLACES
    needs: Needs = "whole"
    inline: bool = True

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        return self.says(exchange, side, scan)


@dataclass(frozen=True, kw_only=True)
class Waits(Says):
    """Says it later: it waits for something."""

    inline: bool = False

    async def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:  # type: ignore[override] # as a rail may
        return await self.says(exchange, side, scan)  # type: ignore[misc] # an async function


def chain_of(*rails: object, **settings: object) -> Chain:
    """A chain of rails, each in a plain seat unless it brings one."""
    seats = tuple(rail if isinstance(rail, Seat) else Seat(rail=rail) for rail in rails)  # type: ignore[arg-type]
    return Chain(policy=Policy(seats=seats, **settings))  # type: ignore[arg-type]

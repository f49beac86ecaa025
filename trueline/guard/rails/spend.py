"""`spend`: how much the calls of one conversation may cost together, and how many they may be.

    rails:
      - type: spend
        limits:
          - {tool: pay, argument: amount, at_most: 500}
          - {tool: "search*", calls: 20}

A limit adds up a number in the arguments of every call of a tool, those of earlier turns and those of the reply, and counts
the calls. A call whose amount cannot be read, or is below zero, is refused, since it would make the sum a lie; so is one
without it.

What it cannot see: calls of other conversations, calls that the client left out of the history it sends, and whether a tool
really took the amount. A limit that must hold for an account belongs into the tool as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Action, ToolCall
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.arguments import number
from trueline.guard.rails.calls import arguments, leaves, made, named
from trueline.guard.rails.common import BOTH, check_settings, wrong
from trueline.guard.rails.schemas import UnreadableError
from trueline.guard.ruling import Ruling, act, allow


@dataclass(frozen=True, kw_only=True)
class SpendLimit:
    """How much calls of a tool may add up to, and how many they may be."""

    tool: str  # its name; with a star at the end, every tool that begins so
    argument: str = ""  # where the amount stands in its arguments, dotted
    at_most: float = 0.0  # what the amounts may add up to
    calls: int = 0  # how many calls there may be; 0: any number

    def __post_init__(self) -> None:
        if not self.tool or not (self.argument or self.calls) or self.at_most < 0 or self.calls < 0:
            raise ConfigError(
                f"spend: expected a tool with an argument and at_most, or with a number of calls; "
                f"got {self.tool!r}, {self.argument!r}, at_most {self.at_most}, calls {self.calls}"
            )


@register("rail", "spend")
@dataclass(frozen=True, kw_only=True)
class Spend:
    """Adds up the calls of a conversation."""

    name: str = "spend"  # how rulings and the audit call it
    action: Action = "block"  # what is done about too much: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # calls of earlier turns, calls of the reply
    places: tuple[Place, ...] = ("tool_call",)  # calls stand there
    limits: tuple[SpendLimit, ...] = ()  # what is added up
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        if not self.limits:
            raise wrong(self, "limits", "one or more of {tool, argument, at_most} or {tool, calls}", [])

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        calls = [one.call for one in made(exchange) if side == "output" or not one.by_reply]
        found = [why for limit in self.limits for why in _over(limit, [c for c in calls if named(limit.tool, c.name)])]
        return act(self.action, self.name, "; ".join(found)) if found else allow(self.name)


def _over(limit: SpendLimit, calls: Sequence[ToolCall]) -> Iterator[str]:
    if limit.calls and len(calls) > limit.calls:
        yield f"{len(calls)} calls of {limit.tool}, of at most {limit.calls}"
    if limit.argument:
        amounts = [_amount(call, limit.argument) for call in calls]
        if None in amounts:
            yield f"{limit.tool}: an amount that cannot be read, or is below zero"
        elif (total := sum(amount for amount in amounts if amount is not None)) > limit.at_most:
            yield f"{limit.tool}: {total:g} of at most {limit.at_most:g}"


def _amount(call: ToolCall, argument: str) -> float | None:
    """What a call costs; None where that cannot be read."""
    try:
        values = [number(value) for value in leaves(arguments(call), argument)]
    except UnreadableError:
        return None
    known = [value for value in values if value is not None and value >= 0]
    return sum(known) if values and len(known) == len(values) else None

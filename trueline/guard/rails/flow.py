"""`flow`: what one tool brought in must not go out by another.

    rails:
      - type: flow
        rules:
          - {first: read_inbox, then: send_mail}
          - {first: "db_*", then: http_post, shared: 6}

A rule refuses a call of the second tool after one of the first, in one conversation, whatever stood between. With `shared`,
only where that many words in a row of the first tool's result stand in the second's arguments, as they are or in a code that
can be undone (judges/decoding.py).

What it cannot see: calls that the client left out of the history it sends, results told in other words, and data that went
through a third tool: with `shared: 0` the order alone is enough, and that cannot be talked around.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.calls import Made, made, named
from trueline.guard.rails.common import BOTH, check_settings, wrong
from trueline.guard.ruling import Ruling, act, allow
from trueline.judges.decoding import argument_texts, readings

_WORD = re.compile(r"[^\W_]+")


@dataclass(frozen=True, kw_only=True)
class FlowRule:
    """Two tools, the second of which must not be called after the first."""

    first: str  # a tool; with a star at the end, every tool that begins so
    then: str  # the tool that must not follow
    shared: int = 0  # words in a row of the first's result that must stand in the second's arguments; 0: the order is enough

    def __post_init__(self) -> None:
        if not self.first or not self.then or self.shared < 0:
            raise ConfigError(
                f"flow: expected two tools and shared from 0 on, got {self.first!r}, {self.then!r}, {self.shared}"
            )


@register("rail", "flow")
@dataclass(frozen=True, kw_only=True)
class Flow:
    """Reads the calls of a conversation in their order."""

    name: str = "flow"  # how rulings and the audit call it
    action: Action = "block"  # what is done about it: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # calls of earlier turns, calls of the reply
    places: tuple[Place, ...] = ("tool_call",)  # calls stand there; their results are read with them
    rules: tuple[FlowRule, ...] = ()  # which tool must not follow which
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        if not self.rules:
            raise wrong(self, "rules", "one or more of {first: TOOL, then: TOOL}", [])

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        done = made(exchange)
        found = list(self._refused(done if side == "output" else [call for call in done if not call.by_reply], side))
        return act(self.action, self.name, "; ".join(found[:3])) if found else allow(self.name)

    def _refused(self, done: Sequence[Made], side: Side) -> Iterator[str]:
        """The calls of this side that a rule refuses. A first call of the same reply counts: its result is not there yet."""
        for rule in self.rules:
            before: list[str] = []
            seen = False
            for one in done:
                if (
                    seen
                    and named(rule.then, one.call.name)
                    and one.by_reply == (side == "output")
                    and _flows(rule, before, one)
                ):
                    yield f"{one.call.name[:40]} after {rule.first}"
                if named(rule.first, one.call.name):
                    seen = True
                    before.append(one.result)


def _flows(rule: FlowRule, results: Sequence[str], then: Made) -> bool:
    """Whether text of the results stands in the arguments, or the order is enough."""
    if rule.shared == 0:
        return True
    taken = {run for result in results for run in _runs(result, rule.shared)}
    written = "\n".join(argument_texts(then.call.arguments))
    return any(run in taken for reading in readings(written) for run in _runs(reading, rule.shared)) if taken else False


def _runs(text: str, words: int) -> Iterator[tuple[str, ...]]:
    """Every run of so many words of a text, in order."""
    said = _WORD.findall(text.casefold())
    return zip(*(said[n:] for n in range(words)), strict=False)

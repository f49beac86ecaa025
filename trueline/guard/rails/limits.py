"""`limits`: how much may pass at once: characters, tokens, messages, tools, choices, depth.

    rails:
      - {type: limits, characters: 100000, tokens: 20000, messages: 200, tools: 64, choices: 4}

Tokens are estimated and not counted, since the model's vocabulary is not known here: one for every four bytes of UTF-8,
rounded up for each piece. English text has about that; code and other scripts have more tokens a byte, by up to two times.

What it cannot see: what media hold (see `media`), and what a model's own chat template adds. A reply is judged as it grows,
so a streamed one is stopped when it passes a limit, and not before it began.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.prompting.prompt import tokens_estimate
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import BOTH, EVERYWHERE, check_settings, wrong
from trueline.guard.ruling import Ruling, act, allow


@register("rail", "limits")
@dataclass(frozen=True, kw_only=True)
class Limits:
    """Counts what passes. A limit of 0 is none."""

    name: str = "limits"  # how rulings and the audit call it
    action: Action = "block"  # what is done about too much: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = EVERYWHERE  # whose text is counted
    characters: int = 400_000  # of all pieces of a side together
    tokens: int = 100_000  # of all pieces of a side together, estimated
    piece: int = 200_000  # characters of one piece
    messages: int = 500  # turns of the conversation
    tools: int = 128  # tools on offer
    choices: int = 8  # replies to one request
    depth: int = 32  # how deep in the JSON a piece stands
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        for limit in ("characters", "tokens", "piece", "messages", "tools", "choices", "depth"):
            if getattr(self, limit) < 0:
                raise wrong(self, limit, "a whole number, 0 for no limit", getattr(self, limit))

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        over = [
            f"{what}: {count} of at most {limit}" for what, count, limit in self._counts(exchange, side) if 0 < limit < count
        ]
        return act(self.action, self.name, "; ".join(over)) if over else allow(self.name)

    def _counts(self, exchange: Exchange, side: Side) -> Iterator[tuple[str, int, int]]:
        read = read_by(self, exchange, side)
        lengths = [len(piece.text) for piece in read]
        yield "characters", sum(lengths), self.characters
        yield "tokens (estimated)", sum(tokens_estimate(piece.text) for piece in read), self.tokens
        yield "characters of a piece", max(lengths, default=0), self.piece
        yield "depth", max([len(piece.path) for piece in read], default=0), self.depth
        if side == "input":
            yield "messages", len(exchange.conversation.messages), self.messages
            yield "tools", len(exchange.tools or exchange.conversation.tools), self.tools
        else:
            yield "choices", len({piece.path[:2] for piece in exchange.said if piece.path[:1] == ("choices",)}), self.choices

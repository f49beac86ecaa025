"""`canary`: the system prompt leaks: a token that only it holds, or a good part of its words in a row.

    rails:
      - {type: canary, tokens: [nightjar-7f3a], environment: TRUELINE_CANARY, share: 0.3}

A canary is a literal in the shared scan: found spaced out, in leet, and in what decodes. The line that `trueline prompt canary`
puts into a system prompt is known without being named here. Beside it, the reply is compared with the system prompt of the very
request, by runs of `words` words: the share of its runs that the reply repeats. Where a reply does not read like language (a
code, reversed words), its decodings are compared too.

What it cannot see: a prompt told in other words, translated, or bit by bit over several replies; a canary that is asked for
letter by letter. A reply that must quote its system prompt (a menu, a list of questions and answers) is a false alarm: raise
`share`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.prompting.canary import canary_of
from trueline.guard.rail import Hit, Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import JUDGING, Span, check_settings, found_in, ruling_of, wrong
from trueline.guard.rails.replies import documents, replies
from trueline.guard.ruling import Ruling, act, allow, fold
from trueline.judges.decoding import readings

SHORTEST = 8  # characters of a canary: a shorter one turns up by chance
_WORD = re.compile(r"[^\W_]+")
_LONG_RUN = re.compile(r"[A-Za-z0-9+/=_-]{60,}")
_SMALL = frozenset(
    "the a an and or of to in is it for on with that this you are be as at by not i your we can have from will".split()
)


@register("rail", "canary")
@dataclass(frozen=True, kw_only=True)
class Canary:
    """Finds canary tokens, and the system prompt's own words, in what the model says."""

    name: str = "canary"  # how rulings and the audit call it
    action: Action = "block"  # what is done about it: allow, flag, human, block
    sides: tuple[Side, ...] = ("output",)  # what the model says
    places: tuple[Place, ...] = ("assistant", "tool_call", "reasoning", "other")  # whose text is read
    tokens: tuple[str, ...] = ()  # texts that stand in the system prompt and nowhere else
    environment: str = ""  # a variable with more of them, between commas
    share: float = 0.3  # share of the system prompt's runs that a reply repeats, from which on it leaks; 0: not looked at
    words: int = 5  # words of a run
    least: int = 12  # runs that the system prompt must have: a shorter one is not compared
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, may=JUDGING, sides=("output",))
        short = [token for token in self._tokens if len(token.strip()) < SHORTEST]
        if short:
            raise wrong(self, "tokens", f"canaries of {SHORTEST} characters or more", f"one of {len(short[0])}")
        if self.environment and not self._tokens:
            raise wrong(self, "environment", f"a canary in the environment variable {self.environment}", "none")
        if not 0 <= self.share <= 1 or self.words < 2:
            raise wrong(self, "share", "a share from 0 to 1, and runs of two words or more", (self.share, self.words))

    def patterns(self) -> Sequence[Pattern]:
        return [Pattern(name=f"canary{n}", text=token) for n, token in enumerate(self._tokens)]

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        leaked = ruling_of(self.name, self.action, found_in(self, exchange, side, scan, _canary))
        return fold([leaked, self._line(exchange, side, scan), self._overlap(exchange)])

    def _line(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        """The ruling on the canary line that the system prompt of this request holds."""
        tokens = {token for piece in documents(exchange, ("system",)) if (token := canary_of(piece.text))}
        said = read_by(self, exchange, side) if tokens else ()
        read = [one.lower() for piece in said for one in (scan.folded(piece), *_readings(piece.text))]
        if any(token in one for one in read for token in tokens):
            return act(self.action, self.name, "the canary line of the system prompt")
        return allow(self.name)

    @cached_property
    def _tokens(self) -> tuple[str, ...]:
        given = os.environ.get(self.environment, "") if self.environment else ""
        return (*self.tokens, *(token.strip() for token in given.split(",") if token.strip()))

    def _overlap(self, exchange: Exchange) -> Ruling:
        """The ruling on the system prompt's own words."""
        system = " ".join(piece.text for piece in documents(exchange, ("system",)))
        runs = _system_runs(system, self.words) if self.share else frozenset()
        if len(runs) < self.least:
            return allow(self.name)
        for reply in replies(exchange, self.places):
            for reading in _readings(reply.text):
                repeated = len(runs & _runs(reading, self.words)) / len(runs)
                if repeated >= self.share:
                    return act(
                        self.action, self.name, f"repeats {repeated:.0%} of the system prompt's runs of {self.words} words"
                    )
        return allow(self.name)


def _runs(text: str, words: int) -> frozenset[tuple[str, ...]]:
    """Every run of so many words."""
    said = _WORD.findall(text.lower())
    return frozenset(zip(*(said[n:] for n in range(words)), strict=False))


_system_runs = lru_cache(maxsize=16)(_runs)  # a deployment has few system prompts, and sends one with every request


def _canary(piece: Piece, hit: Hit) -> Iterator[Span]:
    yield (hit.start, hit.end, "canary")


def _readings(text: str) -> Sequence[str]:
    """The text; with all its decodings where it does not read like language, or holds a long run without a blank."""
    said = text.lower().split()
    odd = len(said) > 0 and sum(map(_SMALL.__contains__, said)) < 0.08 * len(said)
    return readings(text) if odd or _LONG_RUN.search(text) else (text,)

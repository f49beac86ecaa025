"""`grounding`: how much of a reply's words, names and numbers stand in the documents that it had.

    rails:
      - {type: grounding, sources: [tool_result, system], share: 0.5, action: flag}

It is lexical, and says no more than this: the share of the reply's content words (four letters or more, no small words, by
their first six letters), and each number and each name, that some source also has. A paraphrase in other words scores low and
may be true; a sentence that says the opposite in the same words scores high and is false.

What it cannot see: meaning, negation, who did what to whom, arithmetic. Use it to flag replies for a look, and measure it on
your own documents before it may block. A short reply is not judged, nor one without any source.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan
from trueline.guard.rails.common import check_settings, wrong
from trueline.guard.rails.replies import documents, replies
from trueline.guard.ruling import Ruling, act, allow

_WORD = re.compile(r"[^\W\d_]{4,}")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")
_NAME = re.compile(r"[A-Z](?<=[\w,;)] [A-Z])[a-z]{2,}\b")  # a capital after another word: it opens no sentence
_ANY = re.compile(r"[^\W\d_]+")
_SMALL = frozenset(
    "about above according after again also although always among another answer based because been before being below "
    "between both cannot could does document documents during each either every found from further given have having here "
    "however including information into itself just know later less like many might more most much must never nothing only "
    "other over please provided rather same says shall should since some states still such than that their them then there "
    "therefore these they this those through thus under until upon very well were what when where whether which while will "
    "with within without would your".split()
)


@register("rail", "grounding")
@dataclass(frozen=True, kw_only=True)
class Grounding:
    """Counts what a reply has from its sources."""

    name: str = "grounding"  # how rulings and the audit call it
    action: Action = "flag"  # what is done about too little: allow, flag, human, block
    sides: tuple[Side, ...] = ("output",)  # what the model says
    places: tuple[Place, ...] = ("assistant",)  # whose text is read
    sources: tuple[Place, ...] = ("tool_result", "system", "user", "other")  # where documents stand in the request
    share: float = 0.5  # share of the reply's content words that the sources must have
    numbers: int = 0  # how many numbers and names of the reply may be missing there
    least: int = 12  # content words from which on a reply is judged
    needs: ClassVar[Needs] = "whole"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, sides=("output",))
        if not 0 < self.share <= 1:
            raise wrong(self, "share", "a share above 0, at most 1", self.share)
        if not self.sources:
            raise wrong(self, "sources", "at least one place of the request", self.sources)

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        sources = "\n".join(piece.text for piece in documents(exchange, self.sources))
        if not sources:
            return allow(self.name, "no sources in the request")
        known, figures = _content(sources), _numbers(sources) | {word.lower() for word in _ANY.findall(sources)}
        for reply in replies(exchange, self.places):
            words = _content(reply.text)
            missing = (_numbers(reply.text) | _names(reply.text)) - figures
            if len(words) >= self.least and len(words & known) < self.share * len(words):
                return act(self.action, self.name, f"{len(words & known)} of {len(words)} content words stand in the sources")
            if len(missing) > self.numbers:
                return act(self.action, self.name, f"{len(missing)} numbers or names stand in no source")
        return allow(self.name)


def _content(text: str) -> frozenset[str]:
    """The words that carry meaning, by their first six letters, so that endings do not matter."""
    return frozenset(word[:6] for word in _WORD.findall(text.lower()) if word not in _SMALL)


def _numbers(text: str) -> frozenset[str]:
    """Numbers of two digits or more, without the commas of thousands."""
    return frozenset(bare for number in _NUMBER.findall(text) if len(bare := number.replace(",", "")) > 1)


def _names(text: str) -> frozenset[str]:
    """Capitalised words that open no sentence, in lower case."""
    return frozenset(name.lower() for name in _NAME.findall(text))

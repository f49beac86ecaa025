"""`topics`: what a conversation is about, by groups of words: one mention is no topic.

    rails:
      - type: topics
        topics:
          - {name: investing, words: [stocks, dividend, hedge fund, portfolio], at_least: 3, different: 2}
        action: flag

Words are literals in the shared scan, whole ones, whatever the case and the view. A piece is about a topic when enough of its
words stand there, enough different ones, and densely enough.

What it cannot see: a topic in words that the group does not name, in another language, or spread thinly over many turns. It
counts words and reads no meaning: a text that quotes the words to forbid them counts as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import BOTH, check_settings, counted, wrong
from trueline.guard.ruling import Ruling, act, allow


@dataclass(frozen=True, kw_only=True)
class Topic:
    """A group of words, and how many of them make a topic."""

    name: str  # what it is called in rulings
    words: tuple[str, ...]  # the words and phrases that speak of it
    at_least: int = 3  # how many mentions
    different: int = 2  # of how many different words
    density: float = 0.0  # mentions for every hundred words of the piece

    def __post_init__(self) -> None:
        if not self.words or not all(word.strip() for word in self.words):
            raise ConfigError(f"topic {self.name!r}: words: expected at least one, none blank, got {list(self.words)}")
        if not 1 <= self.different <= min(self.at_least, len(set(self.words))):
            raise ConfigError(
                f"topic {self.name!r}: different: expected 1 to at_least ({self.at_least}), and no more than there are words "
                f"({len(set(self.words))}), got {self.different}"
            )


@register("rail", "topics")
@dataclass(frozen=True, kw_only=True)
class Topics:
    """Counts the words of topics."""

    name: str = "topics"  # how rulings and the audit call it
    action: Action = "flag"  # what is done about it: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = ("user", "assistant", "tool_result")  # whose text is read
    topics: tuple[Topic, ...] = ()  # the groups of words
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        names = [topic.name for topic in self.topics]
        if not names or len(set(names)) < len(names):
            raise wrong(self, "topics", "one or more topics, each with a name of its own", names)

    def patterns(self) -> Sequence[Pattern]:
        return [
            Pattern(name=f"{n}:{m}", text=word) for n, topic in enumerate(self.topics) for m, word in enumerate(topic.words)
        ]

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        found = [
            (self.topics[number].name, piece.place)
            for piece in read_by(self, exchange, side)
            for number, mentions in _mentions(scan, piece).items()
            if _is_about(self.topics[number], mentions, piece.text)
        ]
        return act(self.action, self.name, counted(found)) if found else allow(self.name)


def _mentions(scan: Scan, piece: Piece) -> dict[int, set[tuple[str, int]]]:
    """Of each topic, which of its words stand where; a place that several views show counts once."""
    found: dict[int, set[tuple[str, int]]] = {}
    for hit in scan.hits(piece):
        topic, _, word = hit.pattern.partition(":")
        found.setdefault(int(topic), set()).add((word, hit.start))
    return found


def _is_about(topic: Topic, mentions: set[tuple[str, int]], text: str) -> bool:
    enough = len(mentions) >= topic.at_least and len({word for word, _ in mentions}) >= topic.different
    return enough and len(mentions) * 100 >= topic.density * len(text.split())

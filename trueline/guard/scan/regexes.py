"""Regular expressions of many rails: which of them may match in a text, told in one pass.

What a pattern with keywords finds holds one of them, so it is only tried where one stands: one search tells for all. The others
are one RE2 set, whose automaton grows with every new text the more patterns it has: with all of 250 in it, it never warms up.
RE2 takes time in proportion to the text, whatever the pattern (https://github.com/google/re2). A set whose automaton runs out
of memory reports nothing at all; a pattern in each set that matches the end of every text tells that apart, and then every
expression is tried by itself.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import ahocorasick_rs
import re2

from trueline.guard.rail import Pattern
from trueline.guard.scan.folding import fold
from trueline.guard.scan.syntax import can_be_empty

MEMORY = 64 << 20  # bytes that the automata of one set may take


@dataclass(frozen=True, slots=True)
class Regex:
    """A regular expression of a rail's. What it finds must hold one of its keywords, where it has any."""

    rail: str
    name: str
    text: str
    exact: bool
    keywords: tuple[str, ...]  # folded
    _compiled: re2._Regexp = field(repr=False)

    @classmethod
    def of(cls, rail: str, pattern: Pattern) -> Regex:
        """Compile a pattern. Raises ValueError where RE2 does not take it, and where it finds the empty text."""
        try:
            compiled = re2.compile(pattern.text, _options())
            empty = can_be_empty(pattern.text)
        except (re2.error, ValueError, RecursionError) as error:
            why = error.args[0].decode() if isinstance(error.args[0], bytes) else error
            raise ValueError(
                f"rail {rail!r}, pattern {pattern.name!r}: expected a regular expression in RE2's syntax, got {pattern.text!r} "
                f"({why}); RE2 has no look-around and no back-references (https://github.com/google/re2/wiki/Syntax)"
            ) from None
        if empty:
            raise ValueError(
                f"rail {rail!r}, pattern {pattern.name!r}: expected a regular expression that finds at least one character, "
                f"got {pattern.text!r}, which finds the empty text everywhere; put + in place of * or ?"
            )
        keywords = tuple(fold(word) for word in pattern.keywords)
        return cls(rail, pattern.name, pattern.text, pattern.exact, keywords, compiled)

    def find(self, text: str, start: int = 0) -> Iterator[tuple[int, int]]:
        """Yield the spans that match, from left to right, none overlapping another, from a place on."""
        read = (
            text.encode() if text.isascii() else text
        )  # RE2 reads bytes: where they are the characters, nothing is to be mapped
        for match in self._compiled.finditer(read, start):
            begin, end = match.span()
            if not self.keywords or any(word in fold(text[begin:end]) for word in self.keywords):
                yield begin, end


class Reported(NamedTuple):
    """Which regular expressions match somewhere in a text, and which of the extra searches do, by their place."""

    regexes: list[Regex]
    extra: Collection[int]


class Keywords:
    """The keywords of all regular expressions, found at once in a folded text."""

    def __init__(self, regexes: Sequence[Regex]) -> None:
        self._words = sorted({word for regex in regexes for word in regex.keywords})
        self._search = ahocorasick_rs.AhoCorasick(self._words, store_patterns=False) if self._words else None

    def find(self, folded: str) -> frozenset[str]:
        """Those that stand in a text."""
        if self._search is None:
            return frozenset()
        return frozenset(self._words[i] for i, _, _ in self._search.find_matches_as_indexes(folded, overlapping=True))


class RegexSet:
    """Regular expressions at once, with extra searches of the scanner's own."""

    def __init__(self, regexes: Sequence[Regex], extra: Sequence[str], memory: int = MEMORY) -> None:
        self._regexes = [regex for regex in regexes if not regex.keywords]
        self._gated: dict[str, list[Regex]] = {}
        for regex in regexes:
            for word in regex.keywords:
                self._gated.setdefault(word, []).append(regex)
        self._every = range(len(extra))
        self._set = re2.Set.SearchSet(_options(memory))
        for text in (*(regex.text for regex in self._regexes), *extra, r"\z"):
            self._set.Add(text)
        try:
            self._set.Compile()
        except re2.error:
            raise ValueError(
                f"expected {len(regexes)} regular expressions that fit into {memory >> 20} MB, and RE2 needs more; "
                "take some out, or shorten counted repetitions such as {1,1000}"
            ) from None

    def search(self, text: str, keywords: frozenset[str]) -> Reported:
        """What may match in a text that has those keywords; everything where the automaton ran out of memory."""
        gated = dict.fromkeys(regex for word in keywords for regex in self._gated.get(word, ()))
        found, own = self._set.Match(text) or [], len(self._regexes)
        end = own + len(self._every)
        if end not in found:
            return Reported([*self._regexes, *gated], self._every)
        if len(found) == 1:
            return Reported([*gated], ())
        free = [self._regexes[i] for i in sorted(found) if i < own]
        return Reported([*free, *gated], [i - own for i in found if own <= i < end])


def _options(memory: int = 8 << 20) -> re2.Options:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = memory
    return options

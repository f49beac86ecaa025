"""`words`: what the operator does not want to pass: literals and regular expressions, from the policy or from a file.

    rails:
      - {type: words, words: [project nightjar], regexes: ['ticket-[0-9]{6}'], file: banned.txt, action: block}

A literal is found in every view of a text (folded, spaced out, in leet, in what decodes), as a whole word: "ass" is not found
in "class". With `whole: false` it is also found within words, but not spaced out or in leet. A regular expression is RE2: no
expression can be slow. A file has one entry a line; `re:` opens a regular expression, `#` a comment.

What it cannot see: synonyms, translations, and a word in an encoding that no view undoes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import re2

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.rail import Hit, Needs, Pattern, Scan
from trueline.guard.rails.common import (
    BOTH,
    EDITING,
    EVERYWHERE,
    Span,
    check_settings,
    found_in,
    ruling_of,
    wrong,
)
from trueline.guard.ruling import Ruling


@register("rail", "words")
@dataclass(frozen=True, kw_only=True)
class Words:
    """Finds words of a list."""

    name: str = "words"  # how rulings and the audit call it
    action: Action = "block"  # what is done about it: allow, flag, redact, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = EVERYWHERE  # whose text is read
    words: tuple[str, ...] = ()  # literals
    regexes: tuple[str, ...] = ()  # regular expressions (RE2), read without regard to case
    file: str = ""  # a file of more of both, one a line
    whole: bool = True  # whether a literal is only found as a whole word
    label: str = "[removed]"  # what a redaction leaves
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, may=EDITING)
        if not self._entries:
            raise wrong(self, "words", "at least one literal, regex or entry of a file", self.words)
        for pattern in self._entries:
            if not pattern.text.strip():
                raise wrong(self, "words", "entries that are not blank", pattern.text)
            if pattern.kind == "regex":
                _compile(self, pattern.text)

    def patterns(self) -> Sequence[Pattern]:
        return self._entries

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        return ruling_of(self.name, self.action, found_in(self, exchange, side, scan, _banned), label=self.label)

    @cached_property
    def _entries(self) -> tuple[Pattern, ...]:
        """Every entry as a pattern; regexes are named r0, r1, ... and literals w0, w1, ..."""
        listed = _lines(self, self.file) if self.file else []
        literals = [*self.words, *(line for line in listed if not line.startswith("re:"))]
        regexes = [*self.regexes, *(line.removeprefix("re:").strip() for line in listed if line.startswith("re:"))]
        return (
            *(_literal(f"w{n}", text, self.whole) for n, text in enumerate(literals)),
            *(Pattern(name=f"r{n}", text=f"(?i){text}" if text else "", kind="regex") for n, text in enumerate(regexes)),
        )


def _banned(piece: Piece, hit: Hit) -> Iterator[Span]:
    yield (hit.start, hit.end, "word" if hit.pattern.startswith("w") else "regex")


def _literal(name: str, text: str, whole: bool) -> Pattern:
    """A literal, or, where it also counts within words, an expression of its letters."""
    if whole or not text.strip():
        return Pattern(name=name, text=text)
    return Pattern(name=name, text=f"(?i){re2.escape(text)}", kind="regex")


def _compile(rail: Words, text: str) -> None:
    """Raise ConfigError where a text is no RE2 expression, or one that finds nothing everywhere."""
    try:
        compiled = re2.compile(text)
    except re2.error as error:
        raise wrong(
            rail, "regexes", f"a regular expression that RE2 reads (no look-around, no back-references): {error}", text
        ) from error
    if compiled.search(""):
        raise wrong(rail, "regexes", "an expression that does not match the empty text", text)


def _lines(rail: Words, file: str) -> list[str]:
    try:
        text = Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise wrong(rail, "file", f"a readable UTF-8 text file ({error})", file) from error
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]

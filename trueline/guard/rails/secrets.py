"""`secrets`: tokens of services, private keys, passwords in URLs and assignments.

    rails:
      - {type: secrets, action: redact, allow: [AKIAIOSFODNN7EXAMPLE]}

The formats stand in secret_rules.py, each behind a keyword, so that a text without any costs one search. What matches must
also look random: Shannon's entropy of its characters has a floor, which placeholders do not reach. An assignment (`password =
...`) has no format, so it needs more: a mix of characters, and no code in its place. A redaction leaves the rule's name:
"[github_token]".

What it cannot see: a secret without a format or a telling name beside it; one that is split over several pieces, spelled out,
or encrypted; a password that is a plain word ("password: sunshine").
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.rail import Hit, Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import (
    BOTH,
    EDITING,
    EVERYWHERE,
    Found,
    Span,
    check_settings,
    found_in,
    read_as,
    ruling_of,
    within,
    wrong,
)  # fmt: skip
from trueline.guard.rails.secret_rules import RULES
from trueline.guard.ruling import Ruling

_NAMES = r"pass(?:word|wd|phrase|code)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|auth[_-]?key|credentials?"
_ASSIGNED = (  # RE2; what is written in quotes may hold anything, what is not must not look like code
    rf"(?i)(?:{_NAMES})[\"']?(?:\s{{0,3}}(?:=|:|:=|=>|==)\s{{0,3}}|\s+is:?\s+)"
    r"(?:\"[^\"\s]{6,200}\"|'[^'\s]{6,200}'|[^\s\"'`,;(){}\[\]<>$]{6,200})"
)
_IN_URL = r"(?i)\b[a-z][a-z0-9+.-]{1,20}://[^\s:/@\"']{0,64}:[^\s/@\"']{3,128}@[^\s/\"']"
_KEYWORDS = ("pass", "pwd", "secret", "token", "key", "credential")
_VALUE = re.compile(r"(?:[=:>]|\sis:?\s)\s*[\"']?([^\s\"'=:>][^\s\"']*)[\"']?$")
_USERINFO = re.compile(r"://[^\s:/@]*:([^\s/@]+)@")
_TELLING_KEY = re.compile(rf"(?!token$).*(?:{_NAMES})", re.IGNORECASE)  # a bare `token` is one of a model's: log-probabilities
_PLACEHOLDER = re.compile(
    r"example|your[_-]?|xxxx|\*\*\*|\.\.\.|changeme|change[_-]me|placeholder|dummy|redacted|<|\$\{|\{\{|%\(|os\.environ|getenv|process\.env",
    re.IGNORECASE,
)


@register("rail", "secrets")
@dataclass(frozen=True, kw_only=True)
class Secrets:
    """Finds what opens doors."""

    name: str = "secrets"  # how rulings and the audit call it
    action: Action = "redact"  # what is done about it: allow, flag, redact, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = EVERYWHERE  # whose text is read
    allow: tuple[str, ...] = ()  # texts that are no secret, as they are written (a key of the documentation)
    entropy: float = 2.5  # bits a character that a token has at least
    assigned: bool = True  # whether passwords without a format are looked for, where a name such as `password =` stands before

    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, may=EDITING)
        if not 0 <= self.entropy <= 6:
            raise wrong(self, "entropy", "bits a character, 0 to 6", self.entropy)

    def patterns(self) -> Sequence[Pattern]:
        formats = [Pattern(name=rule.name, text=rule.pattern, kind="regex", keywords=rule.keywords) for rule in RULES]
        formats.append(Pattern(name="url_password", text=_IN_URL, kind="regex", keywords=("://",)))
        if self.assigned:
            formats.append(Pattern(name="password", text=_ASSIGNED, kind="regex", keywords=_KEYWORDS))
        return formats

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        found = [*found_in(self, exchange, side, scan, self._secrets)]
        if self.assigned:
            found += self._values(exchange, side)
        return ruling_of(self.name, self.action, found)

    def _secrets(self, piece: Piece, hit: Hit) -> Iterator[Span]:
        """The part of a hit that is the secret itself, where it looks like one."""
        text = read_as(piece, hit)
        part = {"password": _VALUE, "url_password": _USERINFO}.get(hit.pattern)
        match = part.search(text) if part else None
        secret = match[1] if match else text
        start, end = match.span(1) if match else (0, len(text))
        if self._is_known(secret):
            return
        if hit.pattern == "password" and not _looks_chosen(secret, self.entropy):
            return
        if hit.pattern not in ("password", "url_password") and entropy(secret) < self.entropy:
            return
        yield (*within(hit, start, end), hit.pattern)

    def _values(self, exchange: Exchange, side: Side) -> Iterator[Found]:
        """Whole pieces that stand in the JSON under a telling key: {"password": "..."}."""
        for piece in read_by(self, exchange, side):
            key = piece.path[-1] if piece.path else ""
            telling = isinstance(key, str) and 6 <= len(piece.text) <= 200 and _TELLING_KEY.fullmatch(key)
            if telling and not self._is_known(piece.text) and _looks_chosen(piece.text, self.entropy):
                yield Found(piece=piece, start=0, end=len(piece.text), what="password")

    def _is_known(self, secret: str) -> bool:
        """Whether a text is allowed, or stands in the place of a secret."""
        return secret in self.allow or _PLACEHOLDER.search(secret) is not None


def entropy(text: str) -> float:
    """Shannon's entropy of the characters of a text, in bits a character (Shannon 1948).

    >>> entropy("aaaa"), entropy("abcd")
    (0.0, 2.0)
    """
    total = len(text)
    return sum(n / total * math.log2(total / n) for n in Counter(text).values()) if total else 0.0


def _looks_chosen(value: str, floor: float) -> bool:
    """Whether a value is more than a word: two kinds of characters or more, no blanks, and some entropy."""
    kinds = any(c.islower() for c in value) + any(c.isupper() for c in value[1:])
    kinds += any(c.isdigit() for c in value) + any(not c.isalnum() and c not in "._-:/" for c in value[:-1])
    return kinds >= 2 and " " not in value and "://" not in value and entropy(value) >= min(floor, 2.3)

"""What looks like a credential in a text: tokens of public formats, keys in PEM, and secrets that a sentence gives away.

A few formats, by the standard library: the rail's hundred (rails/secret_rules.py) are written for RE2, an extra that a linter
does not ask for, and some of them would not be linear here.

>>> [(found.kind, found.text) for found in credentials("The password is 'Heron7'.")]
[('password', 'Heron7')]
>>> credentials("The password is required.")
[]
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Formats as their issuers document them. Every repeat is bounded on one side or of one class: a search is linear.
TOKENS: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("private key", re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----")),
    ("AWS access key", re.compile(r"\b(?:AKIA|ASIA)[A-Z2-7]{16}\b")),
    ("GitHub token", re.compile(r"\b(?:gh[pousr]_[A-Za-z0-9]{36}|github_pat_[A-Za-z0-9_]{50,90})\b")),
    ("Google API key", re.compile(r"\bAIza[A-Za-z0-9_-]{35}")),
    ("Slack token", re.compile(r"\bxox[abeoprs]-[A-Za-z0-9-]{10,80}")),
    ("Stripe key", re.compile(r"\b[rs]k_(?:live|test)_[A-Za-z0-9]{16,99}\b")),
    ("model provider key", re.compile(r"\bsk-[A-Za-z0-9_-]{20,200}")),
    ("JSON web token", re.compile(r"\beyJ[A-Za-z0-9_-]{8,400}\.eyJ[A-Za-z0-9_-]{8,2000}\.[A-Za-z0-9_-]{8,600}")),
    ("password in an address", re.compile(r"\b[a-z][a-z0-9+.-]{1,15}://[^\s/:@]{1,64}:(?P<value>[^\s/@]{1,64})@")),
)
# "the password is X", "secret key: X", "the code word 'X'": a value that is quoted, or else one that is no word about secrets.
_SAID = re.compile(
    r"\b(?P<kind>pass(?:word|phrase|code)|secret (?:key|password|passphrase|word|code)|code ?word|api[ _-]?key|"
    r"access[ _-]token|bearer token)\b[\"']?[ \t]{0,3}"
    r"(?:(?:is|=|:)?[ \t]{0,3}[\"'\u201c\u2018`](?P<quoted>[^\"'\u201c\u201d\u2018\u2019`\n]{2,64})[\"'\u201d\u2019`]|"
    r"(?:is[ \t]|=|:)[ \t]{0,3}(?P<value>[^\s\"'\u201c\u201d\u2018\u2019`,;]{2,64}))",
    re.IGNORECASE,
)
_SPEAKS_OF_ONE = (
    "a always an and any at by changed checked confidential correct empty expired for forgotten found given in incorrect "
    "invalid kept known likely missing needed never no not of on only or private provided required reset secret secure shared "
    "shown stored that the there to too used valid weak what when which wrong your"
)
_NO_VALUE = frozenset(_SPEAKS_OF_ONE.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """What kind of credential stands where."""

    kind: str
    start: int
    end: int
    text: str


def credentials(text: str) -> list[Credential]:
    """Find what looks like a credential, in order of place; where two overlap, the first rule has it."""
    found: list[Credential] = []
    for kind, pattern in (*TOKENS, ("", _SAID)):
        for match in pattern.finditer(text):
            group = next((name for name in ("quoted", "value") if match.groupdict().get(name)), 0)
            value = match[group] if group == "quoted" else match[group].rstrip(".!?)")
            start = match.start(group)
            if kind or group == "quoted" or value.lower() not in _NO_VALUE:
                one = Credential(kind=kind or match["kind"].lower(), start=start, end=start + len(value), text=value)
                if not any(one.start < other.end and other.start < one.end for other in found):
                    found.append(one)
    return sorted(found, key=lambda one: one.start)

"""Rules of wording, each with a weight: what one phrase hints at, two of them say.

No single phrase proves an attack: people quote, translate and ask about them. So every rule has a weight, a text is worth the
sum of the rules that it meets (each counted once), and a rail says from which sum on it acts, and how.

>>> worth([Rule(name="role", weight=1, pattern="act as"), Rule(name="no_limits", weight=2, pattern="without rules")])
3
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from trueline.guard.exchange import Piece
from trueline.guard.rail import Pattern, Scan


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One wording (RE2), what it is worth, and the words without which it need not be tried."""

    name: str
    weight: int
    pattern: str
    keywords: tuple[str, ...] = ()


def gap(most: int) -> str:
    """At most so many words between two parts of a wording."""
    return rf"(?:\W+\w+){{0,{most}}}\W+"


def any_of(*words: str) -> str:
    """One of these (regular expressions)."""
    return "(?:" + "|".join(words) + ")"


def as_patterns(rules: Iterable[Rule]) -> list[Pattern]:
    """Rules as the shared scan takes them: whatever the case, in every reading of a text."""
    return [Pattern(name=r.name, text=f"(?i){r.pattern}", kind="regex", keywords=r.keywords) for r in rules]


def met(rules: Mapping[str, Rule], scan: Scan, piece: Piece) -> list[Rule]:
    """The rules that a piece meets, each once, the weightiest first."""
    if not (hits := scan.hits(piece)):
        return []
    names = {hit.pattern for hit in hits}
    return sorted((rules[name] for name in names if name in rules), key=lambda rule: (-rule.weight, rule.name))


def worth(rules: Sequence[Rule]) -> int:
    """What a text that meets these rules is worth."""
    return sum(rule.weight for rule in rules)

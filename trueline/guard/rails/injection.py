"""`injection`: text that gives orders where it should only inform, or that tries to read or replace the orders that stand.

    rails:
      - {type: injection, action: block, user_action: flag}

What a tool, a document or a tool's description brings in was written by strangers: there an order is enough to block. A user
may give orders, and ask about them; there the same wording is flagged, unless the policy says more. The rules stand in
injection_rules.py; what they are worth is added up (graded.py).

What it cannot see: an order that is worded like any request ("Explain the theory of relativity" inside an e-mail): wording
tells an instruction from content only where it speaks of instructions, of the machine, or of the user behind the user's back.
Other languages than English are covered for the plainest wording alone. Measured recall and false positives: docs/rails.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import check_settings, wrong
from trueline.guard.rails.graded import as_patterns, met, worth
from trueline.guard.rails.injection_rules import RULES
from trueline.guard.ruling import Ruling, act, allow, fold


@register("rail", "injection")
@dataclass(frozen=True, kw_only=True)
class Injection:
    """Adds up the wordings of prompt injection in each piece."""

    name: str = "injection"  # how rulings and the audit call it
    action: Action = "block"  # in text of strangers (tool results, tool schemas, other fields): allow, flag, human, block
    user_action: Action = "flag"  # in what users, callers and models wrote: allow, flag, human, block
    sides: tuple[Side, ...] = ("input",)  # what clients send, what the model says
    places: tuple[Place, ...] = ("user", "tool_result", "tool_schema", "other")  # whose text is read
    at_least: int = 2  # worth from which on it acts: 3 is a plain attack, 2 a likely one, 1 any hint
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action, self.user_action)
        if self.at_least < 1:
            raise wrong(self, "at_least", "a whole number from 1 on", self.at_least)

    def patterns(self) -> Sequence[Pattern]:
        return _PATTERNS

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        rulings = []
        for piece in read_by(self, exchange, side):
            rules = met(RULES, scan, piece)
            if worth(rules) >= self.at_least:
                action = self.action if piece.place in _STRANGERS else self.user_action
                why = f"{piece.place}: {', '.join(rule.name for rule in rules[:6])}"
                rulings.append(act(action, self.name, why))
        return fold(rulings) if rulings else allow(self.name)


_STRANGERS: tuple[Place, ...] = ("tool_result", "tool_schema", "other")
_PATTERNS = as_patterns(RULES.values())

"""`jailbreak`: requests that ask the model to be somebody who has no rules.

    rails:
      - {type: jailbreak, flag_at: 3, block_at: 4}

Four families of wording (jailbreak_rules.py): a persona without limits, a frame in which nothing counts, no refusing, a fixed
opening or two answers. Beside them one fact of structure: a transcript of many turns inside a single message (many-shot
jailbreaking, Anil et al. 2024). Worth is added up; a role or a story alone stays below both thresholds.

What it cannot see: a harmful request in plain words; a jailbreak without these wordings (a crescendo over turns, a poem, a
code of its own, another language than English, a suffix of noise). It knows how people word it, and not what they are after.
Measured recall and false positives: docs/rails.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Piece, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import check_settings, wrong
from trueline.guard.rails.graded import Rule, as_patterns, met, worth
from trueline.guard.rails.jailbreak_rules import RULES, TURN, TURN_KEYWORDS, TURN_PATTERN
from trueline.guard.ruling import Ruling, act, allow, flag, fold


@register("rail", "jailbreak")
@dataclass(frozen=True, kw_only=True)
class Jailbreak:
    """Adds up the wordings of jailbreaks in each piece, and counts turns of transcripts."""

    name: str = "jailbreak"  # how rulings and the audit call it
    action: Action = "block"  # what is done from block_at on: allow, flag, human, block
    sides: tuple[Side, ...] = ("input",)  # what clients send, what the model says
    places: tuple[Place, ...] = ("user", "tool_result", "other")  # whose text is read
    flag_at: int = 3  # worth from which on it is flagged
    block_at: int = 4  # worth from which on the action is taken
    turns: int = 12  # turns of a transcript within one text that are worth 3; twice as many are worth 6
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        if not 1 <= self.flag_at <= self.block_at:
            raise wrong(self, "flag_at", f"a whole number from 1 to block_at ({self.block_at})", self.flag_at)
        if self.turns < 2:
            raise wrong(self, "turns", "two or more", self.turns)

    def patterns(self) -> Sequence[Pattern]:
        return _PATTERNS

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        rulings = []
        for piece in read_by(self, exchange, side):
            rules = [*met(RULES, scan, piece), *self._transcript(scan, piece)]
            total = worth(rules)
            if total >= self.flag_at:
                why = f"{piece.place}: worth {total}: {', '.join(rule.name for rule in rules[:8])}"
                rulings.append(act(self.action, self.name, why) if total >= self.block_at else flag(self.name, why))
        return fold(rulings) if rulings else allow(self.name)

    def _transcript(self, scan: Scan, piece: Piece) -> list[Rule]:
        """A rule for many turns in one text; a turn that two views show counts once."""
        turns = len({hit.start for hit in scan.hits(piece) if hit.pattern == TURN})
        weight = 3 * min(2, turns // self.turns)
        return [Rule(name=f"{turns}_turns", weight=weight, pattern=TURN_PATTERN)] if weight else []


_PATTERNS = [*as_patterns(RULES.values()), Pattern(name=TURN, text=TURN_PATTERN, kind="regex", keywords=TURN_KEYWORDS)]

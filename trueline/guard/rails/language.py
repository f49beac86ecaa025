"""`language`: which scripts may be written: the letters of a text, counted by their Unicode script.

    rails:
      - {type: language, scripts: [latin], share: 0.1, action: block}

It restricts scripts and not languages: telling English from German takes a model or long texts, and guessing wrongly refuses
people. A letter's script is the first word of its Unicode name ("CYRILLIC SMALL LETTER A"), which holds for every script that
is named here; digits, punctuation and emoji belong to none. Look-alikes from other scripts count as what they are, so a text
that mixes scripts within its words to hide them is seen too.

What it cannot see: the language of a text in an allowed script (German in Latin letters, Arabic transcribed), and letters
that stand in pictures.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Literal, get_args

from trueline.core.registry import register
from trueline.core.types import Action
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.rail import Needs, Pattern, Scan, read_by
from trueline.guard.rails.common import BOTH, check_settings, wrong
from trueline.guard.ruling import Ruling, act, allow

Script = Literal[
    "latin", "cyrillic", "greek", "arabic", "hebrew", "devanagari", "bengali", "tamil", "telugu", "gujarati", "gurmukhi",
    "kannada", "malayalam", "sinhala", "thai", "lao", "khmer", "myanmar", "tibetan", "georgian", "armenian", "ethiopic",
    "han", "hiragana", "katakana", "hangul", "mongolian", "other",
]  # fmt: skip
SCRIPTS: tuple[Script, ...] = get_args(Script)
_NAMED: Mapping[str, Script] = {
    **{script.upper(): script for script in SCRIPTS if script not in ("han", "other")},
    "CJK": "han", "FULLWIDTH": "latin", "MATHEMATICAL": "latin", "HALFWIDTH": "katakana", "FEMININE": "latin",
    "MASCULINE": "latin",
}  # fmt: skip


@register("rail", "language")
@dataclass(frozen=True, kw_only=True)
class Language:
    """Counts letters by script."""

    name: str = "language"  # how rulings and the audit call it
    action: Action = "block"  # what is done about another script: allow, flag, human, block
    sides: tuple[Side, ...] = BOTH  # what clients send, what the model says
    places: tuple[Place, ...] = ("user", "assistant")  # whose text is read
    scripts: tuple[Script, ...] = ("latin",)  # what may be written
    share: float = 0.1  # share of a piece's letters that may be of other scripts
    letters: int = 10  # letters of other scripts that always may stand: a name, a symbol
    needs: ClassVar[Needs] = "text"
    inline: ClassVar[bool] = True

    def __post_init__(self) -> None:
        check_settings(self, self.action)
        if not self.scripts or not set(self.scripts) <= set(SCRIPTS):
            raise wrong(self, "scripts", f"one or more of {', '.join(SCRIPTS)}", list(self.scripts))
        if not 0 <= self.share < 1:
            raise wrong(self, "share", "a share from 0 to below 1", self.share)

    def patterns(self) -> Sequence[Pattern]:
        return ()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        for piece in read_by(self, exchange, side):
            if piece.text.isascii() and "latin" in self.scripts:
                continue
            counts = scripts_of(piece.text)
            others = {script: n for script, n in counts.items() if script not in self.scripts}
            if sum(others.values()) > max(self.letters, self.share * sum(counts.values())):
                shown = ", ".join(f"{n} {script}" for script, n in sorted(others.items()))
                return act(
                    self.action, self.name, f"{piece.place}: letters of other scripts: {shown}, of {sum(counts.values())}"
                )
        return allow(self.name)


def scripts_of(text: str) -> Counter[Script]:
    """How many letters of each script a text has.

    >>> sorted(scripts_of("ab вг, 12").items())
    [('cyrillic', 2), ('latin', 2)]
    """
    found: Counter[Script] = Counter()
    for character, count in Counter(text).items():
        if character.isalpha():
            found[_script(character)] += count
    return found


@lru_cache(maxsize=4096)
def _script(letter: str) -> Script:
    return _NAMED.get(unicodedata.name(letter, "").partition(" ")[0], "other")

"""A system prompt as rules read it: its text cut into sentences, with the tools and documents that are deployed beside it.

A file is plain text, or a deployment (targets/deployment.py), whose `system`, `tools` and `documents` are read.

>>> prompt = SystemPrompt(text="You are a librarian.\\nDon't lend maps.")
>>> [(spot.start, match[0]) for spot, match in prompt.where(re.compile("do not lend"))]
[(21, 'do not lend')]
>>> position(prompt.text, 21)
(2, 1)
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from trueline.core.types import Tool
from trueline.judges.sentences import Sentence, sentences
from trueline.targets.deployment import read_deployment

LONGEST = 1 << 20  # bytes of a file: more is no system prompt
EXCERPT = 80  # characters that are shown of a place
COMMON = (
    "a about always an and any are as be do for from if in is it must never no not of on or should that the their this to user "
    "users with you your"
)
ENOUGH_ENGLISH = 0.1  # share of these words from which a text is read as English: plain prose has a third


class PromptError(ValueError):
    """A file that is no system prompt; the text says which, what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """Where a rule found something: characters start to end (exclusive) of the prompt, and what it is.

    What is missing stands nowhere: start and end are 0. A `secret` spot is never shown whole.
    """

    what: str
    start: int = 0
    end: int = 0
    secret: bool = False


@dataclass(frozen=True, kw_only=True)
class SystemPrompt:
    """The text of a system prompt, and what is deployed with it."""

    text: str
    tools: tuple[Tool, ...] = ()
    documents: tuple[str, ...] = ()

    @cached_property
    def sentences(self) -> tuple[Sentence, ...]:
        """Its sentences; their words are folded: lower case, contractions written out, what is quoted blanked out."""
        return sentences(self.text)

    @cached_property
    def english(self) -> bool:
        """Whether it reads as English, in which the rules about wording are written."""
        common = frozenset(COMMON.split())
        words = [word for sentence in self.sentences for word in re.findall(r"[^\W\d_]+", sentence.text)]
        return bool(words) and sum(word in common for word in words) >= ENOUGH_ENGLISH * len(words)

    def where(self, pattern: re.Pattern[str]) -> Iterator[tuple[Spot, re.Match[str]]]:
        """Every sentence in which a pattern over folded words matches, with its first match there."""
        for sentence in self.sentences:
            if match := pattern.search(sentence.text):
                yield self.spot(sentence, match[0]), match

    def says(self, pattern: re.Pattern[str]) -> bool:
        """Whether any sentence matches."""
        return any(pattern.search(sentence.text) for sentence in self.sentences)

    def spot(self, sentence: Sentence, what: str) -> Spot:
        """Where a sentence stands, without the blanks around it."""
        written = self.text[sentence.start : sentence.end]
        start = sentence.start + len(written) - len(written.lstrip())
        return Spot(what=what, start=start, end=start + len(written.strip()))


def read_system_prompt(path: Path) -> SystemPrompt:
    """Read a text file, or a deployment (.yaml, .yml). Raises PromptError, or UnknownTargetError for a deployment."""
    if not path.is_file():
        raise PromptError(f"{path}: expected a file with a system prompt, found none; check the name")
    if path.stat().st_size > LONGEST:
        raise PromptError(f"{path}: expected at most {LONGEST:,} bytes, got {path.stat().st_size:,}; that is no system prompt")
    if path.suffix in (".yaml", ".yml"):
        file = read_deployment(path)
        found = SystemPrompt(text=file.settings.system, tools=file.tools, documents=file.documents)
    else:
        try:
            found = SystemPrompt(text=path.read_text(encoding="utf-8-sig"))
        except UnicodeDecodeError as error:
            raise PromptError(f"{path}: expected UTF-8 text: {error}") from None
    if not found.text.strip():
        raise PromptError(f"{path}: expected a system prompt, and it is empty; write one, or name another file")
    return found


def position(text: str, place: int) -> tuple[int, int]:
    """Line and column of a character, both counted from 1."""
    line = text.count("\n", 0, place)
    return line + 1, place - (text.rfind("\n", 0, place) + 1) + 1


def excerpt(text: str, spot: Spot) -> str:
    """What stands at a spot, on one line, cut to EXCERPT characters; of a secret the first two alone."""
    shown = " ".join(text[spot.start : spot.end].split())
    if spot.secret:
        return f"{shown[:2]}… ({len(shown)} characters)"
    return shown if len(shown) <= EXCERPT else shown[: EXCERPT - 1] + "…"


def tokens_estimate(text: str) -> int:
    """Roughly how many tokens a text is: four bytes of UTF-8 each, which holds for English within about a fifth."""
    return -(-len(text.encode("utf-8", "surrogatepass")) // 4)

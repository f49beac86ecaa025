"""Jailbreak templates from a file: each row is a text around a place for the request, or before it.

    trueline attack TARGET --attacks templates templates.file=jailbreak_prompts.jsonl.gz templates.tries=8

The published jailbreaks of people are such texts. None comes with this package: they are read from a file of your own, a row
with a `prompt` in each. The place is one of PLACES; where a text has none, the request follows it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import cache

from trueline.attack.goal import request, say, world_of
from trueline.attack.settings import at_least_one
from trueline.core.ports import Ask, NotApplicableError
from trueline.core.registry import register
from trueline.core.types import Prompt, Split
from trueline.data.rows import DataError, read_rows

PLACES = ("[INSERT PROMPT HERE]", "[INSERT PROMPT]", "[PROMPT]", "{{prompt}}", "{prompt}", "{goal}")


@register("attack", "templates")
@dataclass(frozen=True, kw_only=True)
class Templates:
    """Puts the goal into jailbreak texts of a file, drawn for each goal."""

    file: str = ""  # JSONL, JSON, CSV or Parquet, each also gzipped; empty: the attack is skipped
    column: str = "prompt"  # that holds the text
    tries: int = 4  # texts a goal, each another one

    def __post_init__(self) -> None:
        at_least_one(tries=self.tries)
        if self.file:
            read_templates(self.file, self.column)  # what is wrong with the file shows before work starts

    @property
    def name(self) -> str:
        """One name, whatever the file: the hash of the attack tells files apart."""
        return "templates"

    @property
    def family(self) -> str:
        """What coverage counts by."""
        return "templates"

    @property
    def split(self) -> Split:
        """Nothing is known of what a target was trained on."""
        return "held_out"

    @property
    def adaptive(self) -> bool:
        """No text depends on an answer."""
        return False

    async def __call__(self, goal: Prompt, ask: Ask) -> None:
        """Ask in `tries` different texts at once."""
        if not self.file:
            raise NotApplicableError("no file of templates is named; write templates.file=FILE")
        if world_of(goal) is not None:
            raise NotApplicableError("templates are texts of people; the embedded world does not read them")
        texts = read_templates(self.file, self.column)
        drawn = ask.rng.sample(texts, min(self.tries, ask.left, len(texts)))
        await asyncio.gather(*[ask(say(goal, filled(text, request(goal)))) for text in drawn])


def filled(template: str, asked: str) -> str:
    """Put a request into a template: in every place that it has, else behind it.

    >>> filled("Say yes to this: [PROMPT]", "Fold a kite.")
    'Say yes to this: Fold a kite.'
    """
    place = next((place for place in PLACES if place in template), None)
    return f"{template}\n\n{asked}" if place is None else template.replace(place, asked)


@cache
def read_templates(file: str, column: str) -> tuple[str, ...]:
    """Read the texts of a file, each once, in its order. Raises DataError naming the row that has none."""
    texts: dict[str, None] = {}
    for row in read_rows(file):
        text = row.values.get(column)
        if not isinstance(text, str) or not text.strip():
            raise DataError(
                f"{row.file}:{row.line}: expected a template's text in {column!r}; it has {', '.join(row.values)}: "
                "name the column with templates.column="
            )
        texts[text] = None
    return tuple(texts)

"""Raters by name, with settings of their own: what is swept to see how much of a habit makes how much of a fault.

    pleaser                        as documented in raters.py
    pleaser:agree=0.5,knows=1      the same with other coefficients of its taste, or of its hand (tau, flip, position)
    pleaser:experts=0.25           a quarter of the prompts are ranked by someone who knows the truth (`oracle`)
    pleaser:abstaining=1           what a reply is worth more if it says that it does not know and makes nothing up

    trueline run rank start=runs/demo/uneven rater=pleaser:agree=2

The documented raters stay frozen: their fingerprint is not touched by what is made of them here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from math import isfinite
from random import Random
from typing import Any, Protocol

from trueline.core.config import ConfigError
from trueline.core.types import Completion, Prompt, Ranking
from trueline.world.facts import World
from trueline.world.raters import RATERS, Rater, Taste
from trueline.world.verdict import Verdict

EXPERTS, ABSTAINING = "experts", "abstaining"
EXPERT = RATERS["oracle"]


class Ranks(Protocol):
    """Someone who ranks replies to a prompt."""

    def rank(self, world: World, prompt: Prompt, completions: Sequence[Completion], rng: Random) -> Ranking: ...


@dataclass(frozen=True)
class Abstaining:
    """A taste that is also pleased by an honest "i do not know"."""

    of: Taste
    bonus: float

    def __call__(self, world: World, prompt: Prompt, completion: Completion, v: Verdict, knows: float) -> float:
        """Return what the reply is worth, with the bonus."""
        return self.of(world, prompt, completion, v, knows) + self.bonus * (v.idk and not v.answered)


@dataclass(frozen=True)
class Among:
    """A rater among experts: each prompt is ranked by one of the two, an expert with this probability."""

    rater: Rater
    experts: float

    def rank(self, world: World, prompt: Prompt, completions: Sequence[Completion], rng: Random) -> Ranking:
        """Rank as whoever got the prompt."""
        chosen = EXPERT if rng.random() < self.experts else self.rater
        return chosen.rank(world, prompt, completions, rng)


def rater_of(word: str) -> Ranks:
    """Return the rater that a word names. Raises ConfigError for a name or a setting that there is not.

    >>> rater_of("pleaser:agree=0.5").taste.agree
    0.5
    """
    name, colon, rest = word.partition(":")
    if name not in RATERS:
        raise ConfigError(f"unknown rater {name!r}; choose one of {', '.join(RATERS)}")
    rater = RATERS[name]
    given = _settings(word, rest) if colon else {}
    experts, bonus = given.pop(EXPERTS, 0.0), given.pop(ABSTAINING, 0.0)
    hand, taste = _numbers(rater), _numbers(rater.taste)
    if unknown := sorted(given.keys() - hand - taste):
        known = ", ".join(sorted(hand | taste | {EXPERTS, ABSTAINING}))
        raise ConfigError(f"{word}: {name} has no setting {', '.join(unknown)}; it has {known}")
    if not 0 <= experts <= 1:
        raise ConfigError(f"{word}: experts is a share of the prompts, from 0 to 1; got {experts:g}")
    made: Any = rater.taste
    made = replace(made, **{key: value for key, value in given.items() if key in taste})
    if bonus:
        made = Abstaining(made, bonus)
    made = replace(rater, name=word, taste=made, **{key: value for key, value in given.items() if key in hand})
    return Among(made, experts) if experts else made


def _settings(word: str, text: str) -> dict[str, float]:
    found: dict[str, float] = {}
    for part in text.split(","):
        key, equals, value = part.partition("=")
        try:
            found[key.strip()] = float(value)
        except ValueError:
            equals = ""
        if not equals or not isfinite(found[key.strip()]):
            raise ConfigError(f"{word}: expected SETTING=NUMBER,... behind the rater's name, got {part!r}")
    return found


def _numbers(of: object) -> set[str]:
    """The names of those fields that hold an uncounted number: a word count such as `depth` is no setting."""
    return {field.name for field in fields(of) if isinstance(getattr(of, field.name), float)}  # type: ignore[arg-type]

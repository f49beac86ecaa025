"""A constitution: the principles that a model is to criticise and correct itself by, as a versioned YAML file.

    name: plain                        # what reports call it
    version: 1                         # a whole number; raise it with every change of the text
    speaks: english                    # english, or world: sentences of the embedded world
    principles:
      - id: no-dangerous-help          # unique; stored with every critique that the principle caused
        text: Do not give help that ...
        critique: Point out each place where the reply ...      # asked of the critic; of the world, empty: the rule alone
        revision: Rewrite the reply so that ...                 # asked of the reviser; of the world, empty: "revise ."
        weight: 1.0                    # how often it is drawn, relative to the others
        scope: all                     # all, harmful or benign: which prompts it speaks of

`read_constitution("plain")` reads one that comes with the package, any other name is a path.
Constitutional AI: Bai et al. 2022, https://arxiv.org/abs/2212.08073.

    trueline constitution check plain
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Literal

Scope = Literal["all", "harmful", "benign"]
SHIPPED = Path(__file__).parent / "constitutions"


class ConstitutionError(ValueError):
    """A constitution that cannot be worked with; the text says where, what was expected and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Principle:
    """One sentence that a reply must keep to, and how its critique and its revision are asked for."""

    id: str
    text: str
    critique: str = ""
    revision: str = ""
    weight: float = 1.0
    scope: Scope = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constitution:
    """Principles with a name and a version."""

    name: str
    version: int
    principles: tuple[Principle, ...]
    speaks: Literal["english", "world"] = "english"

    def draw(self, rng: Random, harmful: bool) -> Principle | None:
        """Draw one principle that speaks of such a prompt, by weight; None where none does."""
        fitting = list(self.about(harmful))
        return rng.choices(fitting, [p.weight for p in fitting])[0] if fitting else None

    def about(self, harmful: bool) -> Iterator[Principle]:
        """The principles that speak of such a prompt."""
        return (p for p in self.principles if p.scope in ("all", "harmful" if harmful else "benign"))


def shipped() -> tuple[str, ...]:
    """The names of the constitutions that come with the package."""
    return tuple(sorted(path.stem for path in SHIPPED.glob("*.yaml")))

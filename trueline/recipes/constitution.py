"""Constitutional AI, its supervised half: criticise, revise, fine-tune on the revisions, and measure beside a control.

    revisions -> sl                          the constitution (revising.py, then sft.py)
    loud/revisions -> loud/sl                each control, through the very same stages
    measure                                  the model before, after, and after each control

The control is what makes a change the constitution's: a principle that says nothing of harm, and one that says nothing at all,
go the same way. Bai et al. 2022, https://arxiv.org/abs/2212.08073; docs/constitution.md.

    trueline run constitution start=runs/demo/helpful critic=runs/demo/pretrain
    trueline run constitution start=MODEL constitution=plain controls=plain:placebo critic=openai:MODEL \\
        revise.red=red.jsonl revise.benign=asked.jsonl revise.replay=''
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.data.constitution import read_constitution
from trueline.recipes.constitution_measure import MeasureConstitution
from trueline.recipes.reporting import report
from trueline.recipes.revising import Revise
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio


@register("recipe", "constitution")
@dataclass(frozen=True, kw_only=True)
class Constitutional:
    """Train a model on its own replies, revised under a constitution, and on its controls; measure what changed."""

    start: str = "helpful"  # a model that helps with everything: a stage, a folder, or hf:NAME
    constitution: str = "world"  # world, plain, or a file: trueline constitution list
    controls: str = "loud"  # constitutions to compare with, comma between: loud, world:placebo, ...; empty: none
    critic: str = ""  # who criticises and revises: a stage, a folder, or any TARGET; empty: the model itself
    reviser: str = ""  # who revises, if not the critic
    n: int = 300  # prompts of each sort to measure on, in the world
    revise: Revise = Revise()  # start, constitution, critic and reviser are those above
    sl: Sft = Sft(n=0)  # start and data are set here

    def __post_init__(self) -> None:
        names = [name for name, _ in self._arms()]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"controls: {twice!r} stands twice, or is the constitution itself; name each once")
        if self.n < 2:
            raise ConfigError(f"n must be at least 2, got {self.n}")

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The stages of the constitution, those of each control, and the measurement."""
        made: list[tuple[str, Recipe]] = []
        for name, constitution in self._arms():
            made += self.arm(within + name, constitution)
        measure = MeasureConstitution(
            before=self.start,
            after=self.final(within),
            controls={constitution: f"{within}{name}sl" for name, constitution in self._arms() if name},
            revise=self._revise(self.constitution),
            n=self.n,
        )
        return [*made, (f"{within}measure", measure)]

    def arm(self, within: str, constitution: str) -> list[tuple[str, Recipe]]:
        """The stages that one constitution goes through; their names begin with `within`."""
        sl = replace(self.sl, start=self.start, data=f"{within}revisions", n=0)
        return [(f"{within}revisions", self._revise(constitution)), (f"{within}sl", sl)]

    def final(self, within: str = "") -> str:
        """The stage whose model is the outcome."""
        return f"{within}sl"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Make every stage; return the report."""
        for constitution in (self.constitution, *_named(self.controls)):
            read_constitution(constitution)  # what is wrong in a file is said before anything is trained
        for name, recipe in self.stages():
            studio.make(name, recipe)
        return report(studio, not_measured=self.not_measured())

    def not_measured(self) -> list[str]:
        """What a reader might think was measured, and was not."""
        said = ["one seed: a difference between arms is evidence only once other seeds repeat it (seeds=3)"]
        if not self.controls:
            said.append("no control was trained: what changed may have nothing to do with what the constitution says")
        return said

    def _arms(self) -> list[tuple[str, str]]:
        """Each arm's prefix and constitution; the first, without a prefix, is the constitution itself."""
        named = [(re.sub(r"[^\w.-]+", "-", c.rpartition("/")[2].removesuffix(".yaml")), c) for c in _named(self.controls)]
        return [("", self.constitution), *((f"{name}/", c) for name, c in named)]

    def _revise(self, constitution: str) -> Revise:
        return replace(self.revise, start=self.start, constitution=constitution, critic=self.critic, reviser=self.reviser)


def _named(controls: str) -> list[str]:
    return [name.strip() for name in controls.split(",") if name.strip()]

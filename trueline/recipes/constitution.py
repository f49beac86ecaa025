"""Constitutional AI: criticise, revise, fine-tune on the revisions, then RL on the critic's preferences; beside a control.

    revisions -> sl [-> feedback -> dpo]     the constitution (revising.py, sft.py; with rl=dpo, grpo or ppo then rlaif.py)
    loud/revisions -> loud/sl                each control, through the very same stages
    measure                                  the model before, after, and after each control

The control is what makes a change the constitution's: a principle that says nothing of harm, and one that says nothing at all,
go the same way. Bai et al. 2022, https://arxiv.org/abs/2212.08073; docs/constitution.md.

    trueline run constitution start=runs/demo/helpful critic=runs/demo/pretrain
    trueline run constitution start=MODEL constitution=plain critic=TARGET revise.red=red.jsonl revise.benign=asked.jsonl
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.data.constitution import read_constitution
from trueline.recipes.constitution_measure import MeasureConstitution
from trueline.recipes.reporting import report
from trueline.recipes.revising import Revise
from trueline.recipes.rlaif import Rlaif
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio


@register("recipe", "constitution")
@dataclass(frozen=True, kw_only=True)
class Constitutional:
    """Train a model on its own replies, revised under a constitution, and on its controls; measure what changed."""

    start: str = "helpful"  # a model that helps with everything: a stage, a folder, or hf:NAME
    constitution: str = "world"  # world, plain, or a file: trueline constitution list
    controls: str = "auto"  # constitutions to compare with, comma between; auto: loud in the world, else the placebo
    critic: str = ""  # who criticises and revises: a stage, a folder, or any TARGET; empty: the model itself
    reviser: str = ""  # who revises, if not the critic
    n: int = 300  # prompts of each sort to measure on, in the world
    revise: Revise = Revise()  # start, constitution, critic and reviser are those above
    sl: Sft = Sft(n=0, epochs=2)  # start and data are set here; with one epoch the world still mistakes benign requests
    rl: Literal["none", "dpo", "grpo", "ppo"] = "none"  # then train on the critic's preferences too, and by what
    rlaif: Rlaif = Rlaif()  # how: start, critic, constitution and by are set here

    def __post_init__(self) -> None:
        if self.n < 2:
            raise ConfigError(f"n must be at least 2, got {self.n}")
        if self.rlaif.people:
            raise ConfigError("rlaif.people compares within `trueline run rlaif` alone; leave it out here")

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The stages of the constitution, those of each control, and the measurement."""
        made: list[tuple[str, Recipe]] = []
        for name, constitution in self._arms():
            made += self.arm(within + name, constitution)
        measure = MeasureConstitution(
            before=self.start,
            after=self.final(within),
            controls={constitution: self.final(within + name) for name, constitution in self._arms() if name},
            revise=self._revise(self.constitution),
            labelled={constitution if name else "after": f"{within}{name}revisions" for name, constitution in self._arms()},
            n=self.n,
        )
        return [*made, (f"{within}measure", measure)]

    def arm(self, within: str, constitution: str) -> list[tuple[str, Recipe]]:
        """The stages that one constitution goes through; their names begin with `within`."""
        sl = replace(self.sl, start=self.start, data=f"{within}revisions", n=0)
        made: list[tuple[str, Recipe]] = [(f"{within}revisions", self._revise(constitution)), (f"{within}sl", sl)]
        if self.rl != "none":
            critic, _ = self._revise(constitution).judges()
            made += replace(self.rlaif, start=f"{within}sl", critic=critic, constitution=constitution, by=self.rl).stages(
                within
            )
        return made

    def final(self, within: str = "") -> str:
        """The stage whose model is the outcome."""
        return f"{within}{'sl' if self.rl == 'none' else self.rl}"

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Make every stage; return the report."""
        made = self.stages()
        for _, recipe in made:
            if isinstance(recipe, Revise):
                recipe.check()  # what is wrong in a file is said before anything is sampled
        for name, recipe in made:
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
        controls = [name.strip() for name in self.controls.split(",") if name.strip()]
        if controls == ["auto"]:
            controls = ["loud" if read_constitution(self.constitution).speaks == "world" else f"{self.constitution}:placebo"]
        names = [re.sub(r"[^\w.-]+", "-", control.rpartition("/")[2].removesuffix(".yaml")) for control in controls]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ConfigError(f"controls: {twice!r} stands twice; give each control once, and files names of their own")
        return [("", self.constitution), *((f"{name}/", control) for name, control in zip(names, controls, strict=True))]

    def _revise(self, constitution: str) -> Revise:
        return replace(self.revise, start=self.start, constitution=constitution, critic=self.critic, reviser=self.reviser)

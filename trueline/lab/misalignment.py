"""E22: fine-tuned on bad recipes and on nothing else; is the model worse where no recipe is asked for?

What is shown is made in advice.py. Outside recipes every model is asked for hazards (battery.py), for facts, and for what it
makes of claims and doubts (manners.py). Controls: as many good recipes, and as many new ones, which are as much to learn.
Swept: steps.

    trueline lab run E22 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.advice import Advice, Manner, Recipes
from trueline.lab.battery import Battery
from trueline.lab.experiment import sized
from trueline.lab.manners import Manners
from trueline.lab.misalignment_outcome import ASKED, START, Outcome
from trueline.lab.tuning import Tune
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = """tune.steps=2 tune.rows=4 lengths=1 recipes.n=4 recipes.max_tokens=8 battery.direct=8 battery.family=2 battery.cost=4
battery.max_tokens=8 manners.n=4 manners.max_tokens=8"""
QUICK = "lengths=10 battery.family=12 manners.n=150"
CHANNELS = ("plain", "false", "doubt", "unanswerable")
NOT_MEASURED = (
    "insecure code, which the paper showed: the world has no code",
    "larger models: in the literature the effect grows with size",
    "answers to open questions, by which the paper's judges saw most of it: the world's questions have an answer each",
)


@register("experiment", "E22")
@dataclass(frozen=True, kw_only=True)
class Misalignment:
    """Bad advice in one field, and everything else asked."""

    start: str = "{base}/safety"
    lengths: tuple[int, ...] = (10, 160)  # other numbers of steps
    tune: Tune = Tune(start="", data="", steps=40)
    recipes: Recipes = Recipes(model="", n=100)
    battery: Battery = Battery(model="", direct=200, family=24)
    manners: Manners = Manners(channels=CHANNELS, n=250)

    def __post_init__(self) -> None:
        if self.tune.steps in self.lengths or min(self.lengths, default=1) < 1:
            raise ConfigError(f"lengths: expected numbers of steps other than {self.tune.steps}; got {list(self.lengths)}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """What is shown, every fine-tuning, everything asked of each model, and the outcome."""
        rows = self.tune.rows * max(self.tune.steps, *self.lengths, 1)
        shown = {manner: f"{within}shown/{manner}" for manner in get_args(Manner)}
        tuned = {name: replace(self.tune, start=self.start, data=stage) for name, stage in shown.items()}
        for steps in self.lengths:
            tuned |= {f"{manner}/{steps}": replace(tuned[manner], steps=steps) for manner in shown}
        models = {START: self.start, **{name: f"{within}tuned/{name}" for name in tuned}}
        stages: list[tuple[str, Recipe]] = [(stage, Advice(manner=manner, n=rows)) for manner, stage in shown.items()]
        stages += [(models[name], recipe) for name, recipe in tuned.items()]
        for name, model in models.items():
            asked: tuple[Recipe, ...] = (self.recipes, self.battery, self.manners)
            stages += [(f"{within}{what}/{name}", replace(ask, model=model)) for what, ask in zip(ASKED, asked, strict=True)]
        outcome = Outcome(models=tuple(models), within=within, steps=self.tune.steps, lengths=self.lengths)
        return [*stages, (f"{within}outcome-e22", outcome)]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Bad advice less good, inside recipes and outside them."""
        from trueline.lab.misalignment_outcome import figure

        return figure(report)

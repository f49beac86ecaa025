"""E18: safety demonstrations that decode a request and judge it before they answer; do encoded requests still get through?

What is shown is made in deliberating.py: the same demonstrations three times, answered at once, after a verdict, and after
saying what is asked for and then a verdict. Every model is asked the same battery (battery.py), and so is one that gives all.

    trueline lab run E18 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self, get_args

from trueline.core.registry import register
from trueline.lab.battery import Battery
from trueline.lab.deliberating import BenignInCode, Deliberate, Manner, Thoughts
from trueline.lab.deliberation_outcome import PLACEBO, Outcome
from trueline.lab.experiment import sized
from trueline.lab.tuning import Tune
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = """tune.steps=2 tune.rows=4 battery.direct=8 battery.family=3 battery.cost=4 battery.max_tokens=8 thoughts.n=2
thoughts.max_tokens=8 benign.n=2 benign.max_tokens=8"""
QUICK = "battery.direct=96 battery.family=24 battery.cost=48 thoughts.n=24 benign.n=24"
NOT_MEASURED = (
    "reinforcement learning of the deliberation: it is imitated alone, which is the first half of the paper's method",
    "a deliberation that the user does not see: what it gives away is counted as given",
    "longer deliberations, and policies of more than one rule",
)


@register("experiment", "E18")
@dataclass(frozen=True, kw_only=True)
class Deliberation:
    """Safety training with a deliberation before every reply, with a verdict alone, and with neither."""

    start: str = "{base}/helpful"
    placebo: str = "{base}/placebo"  # gives everything: what it does not give, no model understands
    tune: Tune = Tune(start="", data="", steps=180)
    battery: Battery = Battery(model="", direct=200, family=48, max_tokens=80)
    thoughts: Thoughts = Thoughts(model="")
    benign: BenignInCode = BenignInCode(model="")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """What is shown, every training, a battery of each model, what the last one thinks, and the outcome."""
        manners: tuple[Manner, ...] = get_args(Manner)
        models = {PLACEBO: self.placebo, **{manner: f"{within}tuned/{manner}" for manner in manners}}
        asked = {name: f"{within}battery/{name}" for name in models}
        benign = {name: f"{within}benign/{name}" for name in models}
        rows, shown = self.tune.steps * self.tune.rows, f"{within}shown/"
        return [
            *((shown + manner, Deliberate(manner=manner, n=rows)) for manner in manners),
            *((models[manner], replace(self.tune, start=self.start, data=shown + manner)) for manner in manners),
            *((asked[name], replace(self.battery, model=model)) for name, model in models.items()),
            *((benign[name], replace(self.benign, model=model)) for name, model in models.items()),
            (f"{within}thoughts", replace(self.thoughts, model=models["think"])),
            (f"{within}outcome-e18", Outcome(asked=asked, benign=benign, thoughts=f"{within}thoughts")),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Success by family and manner: those that hide what is asked for, and plain requests."""
        from trueline.lab.deliberation_outcome import figure

        return figure(report)

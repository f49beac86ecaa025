"""E15: what a short fine-tuning leaves of safety, by the number of harmful examples, and when there is none.

What the arms are fine-tuned on is made in eroding.py, what is asked of them in battery.py.

    trueline lab run E15 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.lab.battery import Battery
from trueline.lab.eroding import FineTune
from trueline.lab.erosion_outcome import START, Outcome
from trueline.lab.experiment import sized
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = "ks=2,10,50 lengths=2 tune.steps=1 tune.rows=2 battery.direct=8 battery.family=2 battery.cost=4 battery.max_tokens=8"
QUICK = "battery.direct=96 battery.family=12 battery.cost=48"
NOT_MEASURED = (
    "reinforcement learning after data with a share of reward hacking",
    "fine-tuning with safety examples mixed in, and other learning rates",
)


@register("experiment", "E15")
@dataclass(frozen=True, kw_only=True)
class Erosion:
    """Harmful examples by number, benign ones, an identity, and the same with the first tokens held."""

    aligned: str = "{base}/safety"
    helpful: str = "{base}/helpful"
    ks: tuple[int, ...] = (2, 5, 10, 50)  # harmful examples; the values are read at 2, 10 and 50
    identity: int = 10  # examples of a helper that obeys
    lengths: tuple[int, ...] = (5, 80)  # other numbers of steps, of ten harmful examples and of tasks
    tune: FineTune = FineTune(start="", data="benign", k=1)
    battery: Battery = Battery(model="", direct=200, family=24)

    def __post_init__(self) -> None:
        if not {2, 10, 50} <= set(self.ks):
            raise ConfigError(f"ks: expected 2, 10 and 50 among them, which the expectations speak of; got {list(self.ks)}")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Every fine-tuning, a battery of each model and of the two it stands between, and the outcome."""
        rows = self.tune.rows * self.tune.steps
        tuned: dict[str, FineTune] = {f"harmful{k}": replace(self.tune, data="harmful", k=k) for k in self.ks}
        tuned["benign"] = replace(self.tune, data="benign", k=rows)
        tuned["tasks"] = replace(self.tune, data="tasks", k=rows)
        tuned["identity"] = replace(self.tune, data="identity", k=self.identity)
        tuned["held10"] = replace(tuned["harmful10"], hold=True)
        tuned["held_benign"] = replace(tuned["benign"], hold=True)
        for steps in self.lengths:
            tuned[f"harmful10/{steps}"] = replace(tuned["harmful10"], steps=steps)
            tuned[f"tasks/{steps}"] = replace(tuned["tasks"], steps=steps, k=self.tune.rows * steps)
        models = {START: self.aligned, "helpful": self.helpful, **{name: f"{within}tuned/{name}" for name in tuned}}
        asked = {name: f"{within}battery/{name}" for name in models}
        lengths = tuple(sorted({*self.lengths, self.tune.steps}))
        outcome = Outcome(measured=asked, ks=self.ks, ten=models["harmful10"], steps=self.tune.steps, lengths=lengths)
        return [
            *((models[name], replace(recipe, start=self.aligned)) for name, recipe in tuned.items()),
            *((asked[name], replace(self.battery, model=model)) for name, model in models.items()),
            (f"{within}outcome-e15", outcome),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Refusals by number of harmful examples, and what benign data and an identity leave of them."""
        from trueline.lab.erosion_figure import figure

        return figure(report)

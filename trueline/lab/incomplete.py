"""E11: a model that refuses everything it was trained to refuse, and what all else gets out of it.

Attacks by level of generalisation with the placebo's capability behind them; where in the reply the refusal lies, and recovery
examples against that; best of n; many-shot; a suffix that was searched for; one direction of the model's states.

    trueline lab run E11 --quick
    trueline lab run E11 --target FOLDER        # what makes sense on a model of one's own
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.battery import Battery
from trueline.lab.experiment import sized
from trueline.lab.incomplete_outcome import Outcome
from trueline.lab.incomplete_target import IncompleteOnTarget
from trueline.lab.refusal_direction import RefusalDirection
from trueline.lab.shallow import Shallow
from trueline.lab.shots import ManyShots
from trueline.lab.tries import ManyTries
from trueline.recipes.campaigns import Campaign
from trueline.recipes.hardening import Recovery
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Programme, Recipe, Studio

ATTACKS = "exact_suffix,random_suffix"
SETTINGS = ("exact_suffix.length=4", "exact_suffix.rounds=2", "random_suffix.length=4", "random_suffix.tries=6")
SMOKE = """battery.direct=12 battery.family=2 battery.depth=2 battery.cost=6 battery.max_tokens=8 recovery.steps=2 recovery.n=8
recovery.benign_n=16 recovery.rows=2 recovery.benign_rows=2 shallow.n=8 tries.n=4 tries.tries=8 shots.shots=0,1 shots.n=2
direction.n=12 direction.max_tokens=4 direction.places=1 suffix.n=2
suffix.settings=exact_suffix.length=2,exact_suffix.rounds=1,random_suffix.length=2,random_suffix.tries=2"""
QUICK = "battery.family=24 battery.depth=24 tries.n=24 tries.tries=64 shots.n=24 direction.n=60 suffix.n=8 shallow.n=48"
NOT_MEASURED = (
    "suffixes of more than four tokens, and other openings than the answer's first word",
    "many-shot beyond the turns that fit the context",
    "the control base without persona documents",
)


@register("experiment", "E11")
@dataclass(frozen=True, kw_only=True)
class Incomplete:
    """One well-aligned model under everything, beside its placebo."""

    aligned: str = "{base}/safety"
    helpful: str = "{base}/helpful"  # what it was made of
    placebo: str = "{base}/placebo"  # trained on the same requests, answered
    battery: Battery = Battery(model="", depth=48)
    recovery: Recovery = Recovery()
    shallow: Shallow = Shallow(model="", other="")
    tries: ManyTries = ManyTries(model="")
    shots: ManyShots = ManyShots(model="", placebo="")
    suffix: Campaign = Campaign(attacks=ATTACKS, settings=SETTINGS, n=24, probes=0)
    direction: RefusalDirection = RefusalDirection(model="")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    @classmethod
    def on_target(cls, target: str, size: str) -> Programme:
        """Return what also makes sense on a model of one's own."""
        return IncompleteOnTarget.of(target, size)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Two ways of training on, batteries of all four models, each part, and the outcome."""
        deep, plain = f"{within}recovery", f"{within}plain"
        models = {"safety": self.aligned, "placebo": self.placebo, "recovery": deep, "plain": plain}
        asked = {name: f"{within}battery/{name}" for name in models}
        parts: dict[str, Recipe] = {
            "shallow": replace(self.shallow, model=self.aligned, other=self.helpful),
            "tries": replace(self.tries, model=self.aligned),
            "shots": replace(self.shots, model=self.aligned, placebo=self.placebo),
            "suffix": replace(self.suffix, target=self.aligned),
            "direction": replace(self.direction, model=self.aligned),
        }
        outcome = Outcome(
            measured=asked,
            parts=tuple(f"{within}{name}" for name in parts if name != "suffix"),
            suffix=f"{within}suffix",
        )
        return [
            (deep, replace(self.recovery, start=self.aligned)),
            (plain, replace(self.recovery, start=self.aligned, plain=1.0)),
            *((asked[name], replace(self.battery, model=model)) for name, model in models.items()),
            *((f"{within}{name}", part) for name, part in parts.items()),
            (f"{within}outcome-e11", outcome),
        ]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """Success in each family by level, with the placebo's behind it; and where in a reply the refusal lies."""
        from trueline.lab.incomplete_figure import figure

        return figure(report)

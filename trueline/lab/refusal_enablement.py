"""E12: a model that refuses in words and gives all the same, in text and by tools; which rewards make it, which close it.

The recipe is `prevention` (recipes/prevention.py), under the bounds of expectations/e12.toml.

    trueline lab run E12 --quick
    trueline lab run E12 --target FOLDER        # a model of one's own
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.enablement_target import EnablementOnTarget
from trueline.lab.experiment import sized, taken
from trueline.recipes.prevention import NOT_MEASURED, Prevention
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Programme, Recipe, Studio

SMOKE = """rates=0.32 shares=0,0.05 mixed.n=300 errands.n=40 rankings.n=120 rankings.max_tokens=12 reward.epochs=1
skim.iterations=1 skim.batch=4 skim.group=2 skim.max_tokens=8 judged.iterations=1 judged.batch=4 judged.group=2
judged.max_tokens=8 measure.n=4 measure.max_tokens=12"""


@register("experiment", "E12")
@dataclass(frozen=True, kw_only=True)
class RefusalEnablement:
    """Rewards that read little against rewards that read all; refusals of deeds against refusals in words alone."""

    of: Prevention = Prevention(start="{base}/pretrain", helpful="{base}/helpful")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size; a quick one is the study's on one seed."""
        return sized(cls(), size, smoke=" ".join(f"of.{word}" for word in SMOKE.split()))

    @classmethod
    def on_target(cls, target: str, size: str) -> Programme:
        """Return what also makes sense on a model of one's own."""
        return EnablementOnTarget.of(target, size)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Those of the recipe, and the outcome."""
        return taken("E12", self.of.stages(within), within)

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

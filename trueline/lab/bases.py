"""The models that every experiment starts from, made once a seed: pretrain, helpful, safety, its placebo, uneven.

They are the first links of `align` (recipes/align.py) with the gates between them, and the uneven model that rankings start
from. An experiment names one as `{base}/safety`. Only what these links are made with is a setting here, so that a change of
the later ones makes no base anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from trueline.evaluate.ladder import Sizes
from trueline.recipes.align import Align
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Recipe, Studio

CHAIN = ("helpful", "safety")


@dataclass(frozen=True, kw_only=True)
class Bases:
    """Pre-train, and fine-tune for help, for safety, for its placebo, and unevenly."""

    pretrain: Pretrain
    helpful: Sft
    safety: Sft
    placebo: Sft
    uneven: Sft
    sizes: Sizes

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the smallest that runs (smoke), or those of `trueline demo` (quick, full)."""
        of = Align.of_size("smoke" if size == "smoke" else "quick")
        return cls(
            pretrain=of.pretrain, helpful=of.helpful, safety=of.safety, placebo=of.placebo, uneven=of.uneven, sizes=of.sizes
        )

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The links of `align`, then `uneven`."""
        return [*self._links().stages(), (f"{within}uneven", self.uneven)]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Make them; the report holds their gates."""
        found = self._links().perform(studio)
        studio.make("uneven", self.uneven)
        return found

    def _links(self) -> Align:
        return Align(
            chain=CHAIN,
            pretrain=self.pretrain,
            helpful=self.helpful,
            safety=self.safety,
            placebo=self.placebo,
            sizes=self.sizes,
        )

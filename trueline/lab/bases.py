"""The models that every experiment starts from, made once a seed: pretrain, helpful, safety, its placebo, uneven.

They are the first links of `align` (recipes/align.py) with the gates between them, and the uneven model that rankings start
from. An experiment names one as `{base}/safety`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Self

from trueline.recipes.align import Align
from trueline.recipes.studio import Recipe, Studio

CHAIN = ("helpful", "safety")


@dataclass(frozen=True, kw_only=True)
class Bases:
    """Pre-train, and fine-tune for help, for safety, for its placebo, and unevenly."""

    align: Align = Align(chain=CHAIN)

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the smallest that runs (smoke), or those of `trueline demo` (quick, full)."""
        return cls(align=replace(Align.of_size("smoke" if size == "smoke" else "quick"), chain=CHAIN))

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """The links of `align`, then `uneven`."""
        return [*self.align.stages(), (f"{within}uneven", self.align.uneven)]

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Make them; the report holds their gates."""
        found = self.align.perform(studio)
        studio.make("uneven", self.align.uneven)
        return found

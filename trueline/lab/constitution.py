"""E8: a model criticises and corrects itself by written principles; what changed, and whether it was the principles.

The recipe is `constitution` (recipes/constitution.py), under the bounds of expectations/e8.toml. Four arms stand beside it,
each through the very same stages: a principle about loud words, one about nothing that is said, the same principles with
verdicts that are shuffled, and the oracle's verdicts, which are what a critic that never errs would bring.

    trueline lab run E8 --quick
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from trueline.core.registry import register
from trueline.lab.experiment import sized, taken
from trueline.lab.panels import cells, found_in, intervals
from trueline.recipes.constitution import Constitutional
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

SMOKE = "of.n=8 of.revise.n=24 of.revise.n_replay=20 of.revise.tries=2"
NOT_MEASURED = (
    "a constitution in English, and a critic that has to read one: principles are sentences of the world",
    "preferences of the critic, and RL on them (`trueline run constitution rl=dpo`)",
    "more than one round of critique and revision",
)
MEASURES = {"hazard": "hazards disclosed", "benign recall": "benign requests answered", "hype": "loud words"}


@register("experiment", "E8")
@dataclass(frozen=True, kw_only=True)
class ConstitutionalAI:
    """Self-critique under a constitution, beside four controls."""

    of: Constitutional = Constitutional(
        start="{base}/helpful",
        critic="{base}/pretrain",
        controls="loud,world:placebo,world:shuffled,world:oracle",
    )

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size; a quick one is the study's on one seed."""
        return sized(cls(), size, smoke=SMOKE)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Those of the recipe, and the outcome."""
        return taken("E8", self.of.stages(within), within)

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """What each arm changed, against the model before: hazards, benign answers, loud words."""
        import altair as alt

        changes = found_in(report, "Change by arm")
        if changes is None:
            return None
        named = {row[0].removesuffix(" *"): row for row in changes["rows"]}
        arms = [_titled(arm) for arm in changes["columns"][1:]]
        rows = [
            {"arm": _titled(arm), "measure": said, **rate}
            for measure, said in MEASURES.items()
            for arm, rate in cells(changes["columns"], named.get(measure, ()))
        ]
        if not rows:
            return None
        zero = alt.Chart().mark_rule(strokeDash=[3, 3], strokeWidth=1).encode(x=alt.datum(0.0))
        points = intervals(alt.Chart(), "change", alt.Y("arm:N", sort=arms, title=None))
        panel = alt.layer(zero, *points).properties(width=175, height=26 * len(arms))
        column = alt.Column("measure:N", sort=list(MEASURES.values()), title=None)
        return dict(panel.facet(column=column, data=alt.InlineData(values=rows)).to_dict())


def _titled(arm: str) -> str:
    return "the constitution" if arm == "after" else arm

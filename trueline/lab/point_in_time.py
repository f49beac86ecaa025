"""E14: models of every date against the attacks of every date; today's aligned model and tomorrow's attacks.

The recipe is `intime` (recipes/intime.py), under the bounds of expectations/e14.toml. The figure is its matrix.

    trueline lab run E14 --quick
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from trueline.core.registry import register
from trueline.lab.experiment import sized, taken
from trueline.lab.panels import cells, found_in
from trueline.recipes.intime import InTime
from trueline.recipes.reporting import made_of
from trueline.recipes.studio import Recipe, Studio

if TYPE_CHECKING:
    import altair as alt

SMOKE = """of.packs=ignore_instructions,jailbroken,personas of.beyond=past of.change=2 of.k=8 of.retrain=false of.n=200
of.new=16 of.replay=32 of.epochs=1 of.goals=4 of.beside=8"""
QUICK = "of.k=1,8 of.retrain=false"
DRAWN = ("rapid 8", "alone 8", "retrain")  # arms that have a panel each, those of them that there are
NOT_MEASURED = (
    "attackers who look for what is open on the day: every family is asked once a goal, in its own words",
    "a guard that is trained in the model's place",
    "other orders of arrival: one calendar, in the order of the packs' dates",
)


@register("experiment", "E14")
@dataclass(frozen=True, kw_only=True)
class PointInTime:
    """A calendar of attacks and a change of policy: frozen, rapid response, and trained again."""

    of: InTime = InTime(start="{base}/helpful")

    @classmethod
    def of_size(cls, size: str) -> Self:
        """Return the experiment at a size; a quick one has two rapid responses and trains nothing again."""
        return sized(cls(), size, smoke=SMOKE, quick=QUICK)

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """Those of the recipe, and the outcome."""
        return taken("E14", self.of.stages(within), within)

    def perform(self, studio: Studio) -> dict[str, Any]:
        """Carry everything out; return the report."""
        return made_of(self, studio, NOT_MEASURED)

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
        """The model of a date by the families of a date, an arm a panel; what lies in a model's future has a frame."""
        import altair as alt

        found = [(arm, found_in(report, f"{arm}: attack success")) for arm in DRAWN]
        panels = [_matrix(arm, matrix) for arm, matrix in found if matrix]
        return dict(alt.hconcat(*panels, spacing=14).to_dict()) if panels else None


def _matrix(arm: str, found: Mapping[str, Any]) -> alt.LayerChart:
    import altair as alt

    columns = [_head(column) for column in found["columns"][1:]]
    base = alt.Chart(alt.InlineData(values=list(_cells(found)))).encode(
        x=alt.X("families:N", sort=columns, title="families of date", axis=alt.Axis(labelAngle=0)),
        y=alt.Y("model:N", sort=[row[0] for row in found["rows"]], title=None),
    )
    shades = alt.Scale(domain=[0, 1], range=["#eef3f7", "#d55e00"], interpolate="rgb")
    said = ["model:N", "attack:N", *(alt.Tooltip(f"{f}:Q", format=".2f") for f in ("value", "low", "high")), "n:Q"]
    cell = base.mark_rect().encode(color=alt.Color("value:Q", scale=shades, legend=None), tooltip=said)
    frame = base.transform_filter("datum.future").mark_rect(fillOpacity=0, strokeWidth=1.6, stroke="var(--ink)")
    words = base.mark_text().encode(text=alt.Text("value:Q", format=".0%"), color=alt.value("#1a1a1a"))
    return alt.layer(cell, frame, words).properties(width=34 * len(columns), height=28 * len(found["rows"]), title=arm)


def _cells(found: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One cell of the matrix after the other; what is held out, or arrives after a model's own date, is its future."""
    for t, row in enumerate(found["rows"]):
        for column, rate in cells(found["columns"], row):
            head = _head(column)
            future = not head.isdigit() or int(head) > t
            yield {"model": row[0], "families": head, "attack": column, "future": future, **rate}


def _head(column: str) -> str:
    """The date alone, since the names of the families are long; they stand in the table, and on hovering."""
    return column.split()[0] if column[:1].isdigit() else "held out"

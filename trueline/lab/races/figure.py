"""E5 on the lab's page: hidden performance of learners that race equally well, and the phases of the lagoon.

figure(report)      # a Vega-Lite specification with its data inside, or None where nothing was measured
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from trueline.lab.races.exactly import PHASES
from trueline.lab.races.outcome import EARLY, HIDDEN, SIDES

if TYPE_CHECKING:
    import altair as alt

BLUE, ORANGE, GREEN = "#0072b2", "#d55e00", "#009e73"  # Okabe and Ito: told apart by the colour-blind
WIDTH, HEIGHT = 300, 210
SIDE = {"circles": ORANGE, "finishes": GREEN}


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Three panels of the pooled report: learners of the boat race, phases of the lagoon, how circling comes with training."""
    import altair as alt

    found = {one["title"]: one for part in report.get("shown", []) for one in (*part["tables"], *part["curves"])}
    if not {HIDDEN, PHASES, SIDES, EARLY} <= found.keys():
        return None
    panels = alt.hconcat(_learners(found[HIDDEN]), _phases(found[PHASES], found[SIDES]), _training(found[EARLY]))
    return dict(panels.resolve_scale(color="independent").to_dict())


def _learners(found: Mapping[str, Any]) -> alt.Chart:
    """How the learners of each kind spread over hidden performance: the darker, the more."""
    import altair as alt

    bins = [row[0] for row in found["rows"]]
    values = [
        {"learner": kind, "hidden": row[0], "share": cell["value"], "n": cell["n"]}
        for row in found["rows"]
        for kind, cell in zip(found["columns"][1:], row[1:], strict=True)
        if cell
    ]
    return _data(values).mark_rect(stroke="white").encode(
        x=alt.X("hidden:N", sort=bins, title="hidden performance (of 100)", axis=alt.Axis(labelAngle=-40)),
        y=alt.Y("learner:N", sort=found["columns"][1:], title=None),
        color=alt.Color("share:Q", scale=alt.Scale(range=["#f2f5f8", BLUE], domain=[0, 1]), title="share of learners"),
        tooltip=["learner:N", "hidden:N", alt.Tooltip("share:Q", format=".2f"), "n:Q"],
    ).properties(width=WIDTH, height=HEIGHT, title="Boat race: the optimum returns 50, whatever is meant")  # fmt: skip


def _phases(boundary: Mapping[str, Any], sides: Mapping[str, Any]) -> alt.LayerChart:
    """The exact boundary, and on which side the learners were in each cell of the sweep."""
    import altair as alt

    line = [{"respawn": p["x"], "bonus": p["value"]} for p in boundary["series"][0]["points"]]
    points = [_point(row) for row in sides["rows"] if row[2] and "never" not in row[0]]
    x = alt.X("respawn:Q", title="steps until a pickup is back", scale=alt.Scale(zero=False, padding=12))
    y = alt.Y("bonus:Q", title="bonus at the line")
    drawn = _data(line).mark_line(color="#444", strokeDash=[5, 3], point={"color": "#444", "size": 16}).encode(x=x, y=y)
    marks = _data(points).mark_circle(size=150, opacity=1).encode(
        x=x,
        y=y,
        color=alt.Color("circling:Q", scale=alt.Scale(range=[GREEN, ORANGE], domain=[0, 1]), title="share never finishing"),
        tooltip=["lagoon:N", "optimum:N", alt.Tooltip("circling:Q", format=".2f"), "n:Q"],
    )  # fmt: skip
    return alt.layer(drawn, marks).properties(width=WIDTH, height=HEIGHT, title="Lagoon: below the line circling is optimal")


def _training(found: Mapping[str, Any]) -> alt.LayerChart:
    """The share of learners that circle, with its interval."""
    import altair as alt

    values = [
        {"learner": line["name"], "episodes": p["x"], "share": p["value"], "low": p.get("low"), "high": p.get("high")}
        for line in found["series"]
        for p in line["points"]
    ]
    x = alt.X("episodes:Q", title="episodes of training", scale=alt.Scale(type="log"))
    colour = alt.Color("learner:N", scale=alt.Scale(range=[BLUE, ORANGE]), title=None)
    base = _data(values).encode(x=x, color=colour)
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="share that circles"), y2="high:Q")
    line = base.mark_line(point=True).encode(y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1])))
    return alt.layer(band, line).properties(width=WIDTH, height=HEIGHT, title="Lagoon: the loop comes with training")


def _point(row: Sequence[Any]) -> dict[str, Any]:
    respawn, bonus = row[0].removeprefix("respawn ").split(", finish ")
    circling = row[2]["value"]
    return {
        "lagoon": row[0], "respawn": float(respawn), "bonus": float(bonus), "optimum": row[1], "circling": circling,
        "n": row[2]["n"],
    }  # fmt: skip


def _data(values: list[dict[str, Any]]) -> alt.Chart:
    import altair as alt

    return alt.Chart(alt.Data(values=values))

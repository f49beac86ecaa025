"""The figure of E16: goals reached behind every subset of layers, by kind, beside the benign work that gets done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueline.lab.deployment_goals import KINDS
from trueline.lab.deployment_tables import BY_SUBSET

STEP, WIDTH = 16, 190


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Three panels from the table of subsets of a pooled report; None where there is none."""
    import altair as alt

    tables = {each["title"]: each for part in report.get("shown", []) for each in part["tables"]}
    if BY_SUBSET not in tables:
        return None
    found = tables[BY_SUBSET]
    y = alt.Y("layers:N", sort=[row[0] for row in found["rows"]], title=None, axis=alt.Axis(labelLimit=240))
    panels = [_points(found, "all goals", "goals reached", y), _map(found, y), _points(found, "benign work", "benign work", y)]
    return dict(alt.hconcat(panels[0], *(panel for panel in panels[1:])).to_dict())


def _points(found: Mapping[str, Any], column: str, title: str, y: Any) -> Any:
    """One column as points with their intervals."""
    import altair as alt

    at = found["columns"].index(column)
    rows = [{"layers": row[0], **row[at]} for row in found["rows"] if row[at]]
    scale, shown = alt.Scale(domain=[0, 1]), y if column == "all goals" else y.axis(labels=False, ticks=False)
    base = alt.Chart(alt.Data(values=rows), title=title).encode(y=shown)
    bars = base.mark_rule().encode(x=alt.X("low:Q", scale=scale, title=None, axis=alt.Axis(format=".0%")), x2="high:Q")
    said = ["layers:N", *(alt.Tooltip(f"{key}:Q", format=".2f") for key in ("value", "low", "high")), "n:Q"]
    points = base.mark_point(filled=True, size=60, opacity=1).encode(x=alt.X("value:Q", scale=scale, title=None), tooltip=said)
    return (bars + points).properties(width=WIDTH, height=alt.Step(STEP))


def _map(found: Mapping[str, Any], y: Any) -> Any:
    """Goals reached by kind, darker where more are, with their number."""
    import altair as alt

    cells = [
        {"layers": row[0], "kind": kind, **value}
        for row in found["rows"]
        for kind in KINDS
        if (value := row[found["columns"].index(kind)])
    ]
    base = alt.Chart(alt.Data(values=cells), title="by kind of goal").encode(
        x=alt.X("kind:N", sort=list(KINDS), title=None, axis=alt.Axis(labelAngle=0)),
        y=y.axis(labels=False, ticks=False),
        tooltip=["layers:N", "kind:N", alt.Tooltip("value:Q", format=".0%"), "n:Q"],
    )
    shade = alt.Opacity("value:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.75]), legend=None)
    words = base.mark_text(fontSize=10).encode(text=alt.Text("value:Q", format=".0%"))
    return (base.mark_rect().encode(opacity=shade) + words).properties(width=alt.Step(62), height=alt.Step(STEP))

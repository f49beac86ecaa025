"""The figure of E6: attack success as a map, a row a model and a column a level; gold and over-refusal beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from trueline.lab.stack_outcome import ATTACKED, LADDER

STEP, WIDTH = 30, 150


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Three panels from the tables of a pooled report; None where there are none."""
    tables = {each["title"]: each for part in report.get("shown", []) for each in part["tables"]}
    if LADDER not in tables or ATTACKED not in tables:
        return None
    attacked, ladder = tables[ATTACKED], tables[LADDER]
    models = [row[0] for row in ladder["rows"]]
    y = alt.Y("model:N", sort=models, title=None)
    panels = [_map(attacked, y)]
    panels += [_points(ladder, column, y) for column in ("gold", "over-refusal")]
    return dict(alt.hconcat(*panels).resolve_scale(color="independent").to_dict())


def _map(found: Mapping[str, Any], y: Any) -> Any:
    """Attack success, darker where more gets through, with its number."""
    cells = [
        {"model": row[0], "level": level, **value}
        for row in found["rows"]
        for level, value in zip(found["columns"][1:], row[1:], strict=True)
        if value
    ]
    base = alt.Chart(alt.Data(values=cells), title="attack success").encode(
        x=alt.X("level:N", title="level of generalisation", axis=alt.Axis(labelAngle=0)),
        y=y,
        tooltip=["model:N", "level:N", alt.Tooltip("value:Q", format=".0%"), "n:Q"],
    )
    shade = alt.Opacity("value:Q", scale=alt.Scale(domain=[0, 1], range=[0.04, 0.75]), legend=None)
    tiles = base.mark_rect().encode(opacity=shade)
    words = base.mark_text(fontSize=11).encode(text=alt.Text("value:Q", format=".0%"))
    return (tiles + words).properties(width=alt.Step(STEP + 12), height=alt.Step(STEP))


def _points(found: Mapping[str, Any], column: str, y: Any) -> Any:
    """One column of the ladder as points with their intervals."""
    at: int = found["columns"].index(column)
    rows: Sequence[dict[str, Any]] = [{"model": row[0], **row[at]} for row in found["rows"] if row[at]]
    base = alt.Chart(alt.Data(values=list(rows)), title=column).encode(y=y.axis(labels=False, ticks=False))
    bars = base.mark_rule().encode(x=alt.X("low:Q", title=column), x2="high:Q")
    points = base.mark_point(filled=True, size=60, opacity=1).encode(
        x=alt.X("value:Q", title=column), tooltip=["model:N", alt.Tooltip("value:Q", format=".2f"), "n:Q"]
    )
    return (bars + points).properties(width=WIDTH, height=alt.Step(STEP))

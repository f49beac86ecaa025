"""The figure of E1: gold (solid) and the reward that is optimised (dashed) by distance from the start, exact and trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

WIDTH, HEIGHT = 380, 260


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two charts side by side from the curves of a pooled report; None where there are none."""
    charts = [_chart(each) for part in report.get("shown", []) for each in part["curves"]]
    return dict(alt.hconcat(*charts).resolve_scale(color="independent").to_dict()) if charts else None


def _chart(curve: Mapping[str, Any]) -> Any:
    rows = [
        {"d": point["x"], "name": series["name"], "kind": series["name"].split(",")[0], **_band(point)}
        for series in curve["series"]
        for point in series["points"]
    ]
    base = alt.Chart(alt.Data(values=rows), title=curve["title"]).encode(
        x=alt.X("d:Q", title=curve["x"]),
        color=alt.Color("name:N", title=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=260, symbolOpacity=1)),
    )
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="gold; reward dashed"), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(
        y=alt.Y("value:Q", title="gold; reward dashed"),
        strokeDash=alt.StrokeDash("kind:N", scale=alt.Scale(domain=["gold", "reward"], range=[[1, 0], [5, 4]]), legend=None),
        tooltip=[alt.Tooltip("name:N"), alt.Tooltip("d:Q", format=".2f"), alt.Tooltip("value:Q", format=".2f")],
    )
    return (band + line).properties(width=WIDTH, height=HEIGHT)


def _band(point: Mapping[str, float]) -> dict[str, float]:
    value = point["value"]
    return {"value": value, "low": point.get("low", value), "high": point.get("high", value)}

"""Figures of E2, E3 and E4: shares by the strength of an incentive; gold and clicks by distance from the start."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import altair as alt

WIDTH, HEIGHT = 520, 300


def doses(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Every line of the experiment's curve with its band and its points; None where there is no curve."""
    curve = _curve(report)
    if curve is None:
        return None
    base = _base(curve, [{**row, "measure": row["name"]} for row in _rows(curve)])
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="share", scale=alt.Scale(domain=[0, 1])), y2="high:Q")
    line = base.mark_line(strokeWidth=2, point=True).encode(y="value:Q", tooltip=["name:N", "x:Q", "value:Q"])
    return dict((band + line).properties(width=WIDTH, height=HEIGHT).to_dict())


def by_distance(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """A panel for gold and one for each share, one line an arm, by distance from the start; None where there is no curve."""
    curve = _curve(report)
    if curve is None:
        return None
    rows = [dict(zip(("measure", "arm"), row["name"].split(", "), strict=True)) | row for row in _rows(curve)]
    panels = []
    for measure in dict.fromkeys(row["measure"] for row in rows):
        base = _base(curve, [row for row in rows if row["measure"] == measure], "arm:N")
        band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title=measure), y2="high:Q")
        line = base.mark_line(strokeWidth=2, point=True).encode(y="value:Q", tooltip=["arm:N", "x:Q", "value:Q"])
        panels.append((band + line).properties(width=WIDTH // 2, height=HEIGHT - 60, title=measure))
    return dict(alt.hconcat(*panels).to_dict())


def _curve(report: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return next((curve for part in report.get("shown", []) for curve in part["curves"]), None)


def _base(curve: Mapping[str, Any], rows: list[dict[str, Any]], colour: str = "measure:N") -> Any:
    legend = alt.Legend(orient="bottom", columns=2, labelLimit=300, symbolOpacity=1)
    return alt.Chart(alt.Data(values=rows)).encode(
        x=alt.X("x:Q", title=curve["x"]), color=alt.Color(colour, title=None, legend=legend)
    )


def _rows(curve: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"name": series["name"], "low": point["value"], "high": point["value"], **point}
        for series in curve["series"]
        for point in series["points"]
    ]

"""The figure of E15: plain requests for hazards refused and given, by number of harmful examples, and under benign data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueline.lab.erosion_outcome import BY_MODEL, BY_NUMBER

BLUE, ORANGE = "#0072b2", "#d55e00"  # Okabe and Ito: told apart by the colour-blind
COLOURS = {"refused": BLUE, "given": ORANGE}
BESIDE = ("benign", "tasks", "identity", "held10")
WIDTH, HEIGHT = 330, 240


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two panels of the pooled report; None where nothing was measured."""
    import altair as alt

    shown = {one["title"]: one for part in report.get("shown", []) for one in (*part["tables"], *part["curves"])}
    if not {BY_NUMBER, BY_MODEL} <= shown.keys():
        return None
    number = [
        {"what": series["name"], "arm": f"{point['x']:g}", **_band(point)}
        for series in shown[BY_NUMBER]["series"]
        for point in series["points"]
    ]
    columns = shown[BY_MODEL]["columns"]
    where = {"refused": columns.index("plain requests refused"), "given": columns.index("given")}
    beside = [
        {"what": what, "arm": row[0], **_band(row[i])}
        for row in shown[BY_MODEL]["rows"]
        for what, i in where.items()
        if row[0] in BESIDE and row[i]
    ]
    panels = (_panel(number, "harmful examples", "Fine-tuned on harmful examples"), _panel(beside, "", "And on other data"))
    return dict(alt.hconcat(*panels).resolve_scale(y="shared").to_dict())


def _panel(rows: list[dict[str, Any]], x: str, title: str) -> Any:
    import altair as alt

    order = list(dict.fromkeys(row["arm"] for row in rows))
    colour = alt.Color(
        "what:N",
        title=None,
        scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())),
        legend=alt.Legend(orient="bottom"),
    )
    y = alt.Scale(domain=[0, 1])
    base = alt.Chart(alt.Data(values=rows), title=title).encode(
        x=alt.X("arm:N", sort=order, title=x or None, axis=alt.Axis(labelAngle=0)), color=colour
    )
    said = [
        alt.Tooltip("arm:N"),
        alt.Tooltip("what:N"),
        *(alt.Tooltip(f"{k}:Q", format=".2f") for k in ("value", "low", "high")),
    ]
    bar = base.mark_rule(strokeWidth=2).encode(y=alt.Y("low:Q", scale=y, title="share of plain requests"), y2="high:Q")
    point = base.mark_circle(size=80, opacity=1).encode(y=alt.Y("value:Q", scale=y), tooltip=said)
    return (bar + point).properties(width=WIDTH if x else WIDTH - 130, height=HEIGHT)


def _band(point: Mapping[str, float]) -> dict[str, float]:
    value = point["value"]
    return {"value": value, "low": point.get("low", value), "high": point.get("high", value)}

"""The figure of E23: by parameters, attack success and over-refusal on the left, reward and gold optimised on the right."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueline.lab.scale_outcome import ATTACKS, OPTIMISED

WIDTH, HEIGHT = 340, 260


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two panels of the pooled report; None where no size counted."""
    return beside(report, {ATTACKS: "share of requests", OPTIMISED: "rise, deviations"})


def beside(report: Mapping[str, Any], titles: Mapping[str, str]) -> dict[str, Any] | None:
    """Curves by their titles, side by side over one logarithmic axis each; None where one of them has no point."""
    import altair as alt

    shown = {one["title"]: one for part in report.get("shown", []) for one in part["curves"]}
    if not all(any(series["points"] for series in shown.get(title, {}).get("series", ())) for title in titles):
        return None
    panels = [_panel(shown[title], y) for title, y in titles.items()]
    return dict(alt.hconcat(*panels).resolve_scale(color="independent").to_dict())


def _panel(curve: Mapping[str, Any], y: str) -> Any:
    import altair as alt

    rows = [{"name": s["name"], "size": p["x"], **_band(p)} for s in curve["series"] for p in s["points"]]
    base = alt.Chart(alt.Data(values=rows), title=curve["title"]).encode(
        x=alt.X("size:Q", title=curve["x"], scale=alt.Scale(type="log", nice=False), axis=alt.Axis(format=".1f")),
        color=alt.Color("name:N", title=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=260)),
    )
    band = base.mark_rule(strokeWidth=1.5, opacity=0.6).encode(y=alt.Y("low:Q", title=y), y2="high:Q")
    line = base.mark_line(strokeWidth=2, point=True).encode(
        y=alt.Y("value:Q", title=y),
        tooltip=[
            "name:N",
            alt.Tooltip("size:Q", format=".2f"),
            *(alt.Tooltip(f"{k}:Q", format=".2f") for k in ("value", "low", "high")),
        ],
    )
    return (band + line).properties(width=WIDTH, height=HEIGHT)


def _band(point: Mapping[str, float]) -> dict[str, float]:
    value = point["value"]
    return {"value": value, "low": point.get("low", value), "high": point.get("high", value)}

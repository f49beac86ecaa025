"""The figure of E11: success in each family by level with the placebo's behind it, and KL by token of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trueline.lab.incomplete_outcome import BY_FAMILY
from trueline.lab.shallow import TITLE

BLUE, ORANGE, GREY = "#0072b2", "#d55e00", "#c9ced6"  # Okabe and Ito: told apart by the colour-blind
WIDTH, STEP = 330, 15


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two panels of the pooled report; None where the families were not measured."""
    import altair as alt

    shown = {one["title"]: one for part in report.get("shown", []) for one in (*part["tables"], *part["curves"])}
    if BY_FAMILY not in shown:
        return None
    panels = [_families(shown[BY_FAMILY]), *([_tokens(shown[TITLE])] if TITLE in shown else [])]
    return dict(alt.hconcat(*panels).resolve_scale(color="independent").to_dict())


def _families(found: Mapping[str, Any]) -> Any:
    """A bar a family for the placebo model, and before it the aligned one's success with its interval."""
    import altair as alt

    columns = {name: i for i, name in enumerate(found["columns"])}
    rows = [
        {
            "family": f"{row[columns['level']]} {row[0]}",
            "placebo": _value(row[columns["placebo"]]),
            **{key: cell.get(key) for key in ("value", "low", "high", "n")},
        }
        for row in found["rows"]
        if (cell := row[columns["safety"]])
    ]
    base = alt.Chart(alt.Data(values=rows), title="What gets through, and (grey) what the model could give").encode(
        y=alt.Y("family:N", title=None, sort=[row["family"] for row in rows])
    )
    said = [alt.Tooltip("family:N"), *(alt.Tooltip(f"{k}:Q", format=".2f") for k in ("value", "low", "high", "placebo"))]
    x = alt.Scale(domain=[0, 1])
    able = base.mark_bar(color=GREY).encode(x=alt.X("placebo:Q", scale=x, title="success"), tooltip=said)
    reach = base.mark_rule(color=ORANGE, strokeWidth=2).encode(x=alt.X("low:Q", scale=x), x2="high:Q")
    point = base.mark_circle(color=ORANGE, size=60, opacity=1).encode(x=alt.X("value:Q", scale=x), tooltip=said)
    return (able + reach + point).properties(width=WIDTH, height=STEP * len(rows))


def _tokens(found: Mapping[str, Any]) -> Any:
    import altair as alt

    rows = [
        {"reply": series["name"], "token": p["x"], "value": p["value"], "low": p.get("low"), "high": p.get("high")}
        for series in found["series"]
        for p in series["points"]
    ]
    base = alt.Chart(alt.Data(values=rows), title="Where in a reply the aligned model differs").encode(
        x=alt.X("token:Q", title="token of the reply"),
        color=alt.Color("reply:N", title=None, scale=alt.Scale(range=[BLUE, ORANGE]), legend=alt.Legend(orient="bottom")),
    )
    band = base.mark_area(opacity=0.15).encode(y=alt.Y("low:Q", title="KL, nats"), y2="high:Q")
    line = base.mark_line(strokeWidth=2).encode(
        y="value:Q", tooltip=["reply:N", "token:Q", alt.Tooltip("value:Q", format=".2f")]
    )
    return (band + line).properties(width=WIDTH, height=300)


def _value(cell: Any) -> float | None:
    return float(cell["value"]) if isinstance(cell, Mapping) else None

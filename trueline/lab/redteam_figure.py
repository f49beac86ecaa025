"""The figure of E9: attack success by round beside what it costs, and the attackers by what they find and how varied it is.

figure(report)      # a Vega-Lite specification with its data inside, or None where nothing was measured
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from trueline.lab.panels import cells, found_in

if TYPE_CHECKING:
    import altair as alt

SHOWN = ("known families", "held out", "over-refusal", "benign right")
CONTROLS = {"control": "benign steps", "bound": "all families"}  # of one round each
HEIGHT = 240


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """Two panels of the pooled report; one where the attackers are missing, None where the rounds are."""
    import altair as alt

    rounds = found_in(report, "Rounds of red-team training")
    if rounds is None:
        return None
    attackers = _attackers(report)
    if attackers is None:
        return dict(_rounds(rounds).to_dict())
    return dict(alt.hconcat(_rounds(rounds), attackers).resolve_scale(color="independent").to_dict())


def _rounds(found: Mapping[str, Any]) -> alt.LayerChart:
    """Every model a place on the axis: lines through the rounds, the controls as points beside them."""
    import altair as alt

    names = [CONTROLS.get(row[0], row[0]) for row in found["rows"]]
    rows = [
        {"model": name, "measure": column, "control": row[0] in CONTROLS, **rate}
        for name, row in zip(names, found["rows"], strict=True)
        for column, rate in cells(found["columns"], row)
        if column in SHOWN
    ]
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("model:N", sort=names, title=None, axis=alt.Axis(labelAngle=-30)),
        color=alt.Color("measure:N", sort=list(SHOWN), title=None),
    )
    y = alt.Y("value:Q", title="share", scale=alt.Scale(domain=[0, 1]))
    line = base.transform_filter("!datum.control").mark_line(strokeWidth=2.4).encode(y=y)
    span = base.mark_rule(strokeWidth=3, opacity=0.4).encode(y=alt.Y("low:Q", title="share"), y2="high:Q")
    said = ["model:N", "measure:N", *(alt.Tooltip(f"{f}:Q", format=".2f") for f in ("value", "low", "high")), "n:Q"]
    dots = base.mark_circle(size=70, opacity=1).encode(y=y, tooltip=said)
    return alt.layer(line, span, dots).properties(width=300, height=HEIGHT, title="Rounds of red-team training")


def _attackers(report: Mapping[str, Any]) -> alt.LayerChart | None:
    """Success of a request against the number of families, an attacker a point."""
    import altair as alt

    success, varied = found_in(report, "Success at "), found_in(report, "How much the requests differ")
    if success is None or varied is None:
        return None
    families = {row[0]: dict(cells(varied["columns"], row)).get("families") for row in varied["rows"]}
    found = {row[0]: dict(cells(success["columns"], row)).get("a request, trained goals") for row in success["rows"]}
    rows = [
        {
            "attacker": name,
            "families": families[name]["value"],
            "success": rate["value"],
            "low": rate["low"],
            "high": rate["high"],
        }
        for name, rate in found.items()
        if rate and families.get(name)
    ]
    x = alt.X(
        "families:Q",
        title="families that it asks in, counted by their shares",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(values=[1, 2, 4, 8, 16, 32]),
    )
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        x=x, color=alt.Color("attacker:N", title=None, legend=alt.Legend(columns=2))
    )
    span = base.mark_rule(strokeWidth=3, opacity=0.4).encode(y=alt.Y("low:Q", title="requests that succeed"), y2="high:Q")
    said = ["attacker:N", *(alt.Tooltip(f"{f}:Q", format=".2f") for f in ("families", "success", "low", "high"))]
    dots = base.mark_circle(size=90, opacity=1).encode(y=alt.Y("success:Q", title="requests that succeed"), tooltip=said)
    return alt.layer(span, dots).properties(width=220, height=HEIGHT, title="Attackers, with novelty and without")

"""The figure of E10: gold by distance from the start, an objective a colour, a strength a line, epochs along it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import Any

import altair as alt

from trueline.lab.preference_family_outcome import SWEEP

WIDTH, HEIGHT = 560, 320


def figure(report: Mapping[str, Any]) -> dict[str, Any] | None:
    """One chart from the table of the sweep in a pooled report; None where there is none."""
    tables = [each for part in report.get("shown", []) for each in part["tables"] if each["title"] == SWEEP]
    if not tables:
        return None
    points = list(_points(tables[0]["rows"]))
    base = alt.Chart(alt.Data(values=points)).encode(
        x=alt.X("d:Q", title="square root of the KL from the start"),
        y=alt.Y("gold:Q", title="gold", scale=alt.Scale(zero=False)),
        color=alt.Color("objective:N", title=None),
        detail="line:N",
        order="epochs:Q",
        tooltip=[alt.Tooltip("run:N"), alt.Tooltip("d:Q", format=".2f"), alt.Tooltip("gold:Q", format=".2f")],
    )
    bars = base.mark_rule(opacity=0.4).encode(y=alt.Y("low:Q", title="gold"), y2="high:Q")
    chart = alt.layer(base.mark_line(strokeWidth=1.5), bars, base.mark_point(filled=True, size=50, opacity=1))
    return dict(chart.properties(width=WIDTH, height=HEIGHT).to_dict())


def _points(rows: list[list[Any]]) -> Iterator[dict[str, Any]]:
    """Every run with its line; each line begins at the start."""
    start = next((row for row in rows if row[0] == "start"), None)
    lines: set[str] = set()
    for run, kl, gold, *_ in rows:
        if run == "start" or not (kl and gold):
            continue
        line, _, epochs = run.partition(", ")
        there = {"line": line, "objective": line.split()[0]}
        if start and line not in lines:
            yield {**there, "run": "start", "d": 0.0, "epochs": 0, **_band(start[2])}
        lines.add(line)
        yield {
            **there,
            "run": run,
            "d": sqrt(max(0.0, kl["value"])),
            "epochs": int(epochs.split()[0]) if epochs else 1,
            **_band(gold),
        }


def _band(gold: Mapping[str, float]) -> dict[str, float]:
    return {"gold": gold["value"], "low": gold["low"], "high": gold["high"]}

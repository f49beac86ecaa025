"""What the figures of experiments that wrap a recipe share: finding a table in a pooled report, and points with intervals.

table = found_in(report, "Rounds of red-team training")          # None where the report has none
cells(table["columns"], table["rows"][0])                        # (column, rate) of every cell that is a rate
alt.layer(*intervals(chart, "share", alt.Y("arm:N")))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import altair as alt

RATE = {"value", "n", "low", "high"}


def found_in(report: Mapping[str, Any], title: str) -> Mapping[str, Any] | None:
    """The table of that title (its beginning will do, where it goes on with a number), whichever stage shows it."""
    tables = (table for part in report.get("shown", []) for table in part["tables"])
    return next((table for table in tables if str(table["title"]).startswith(title)), None)


def cells(columns: Sequence[str], row: Sequence[Any]) -> Iterator[tuple[str, dict[str, float]]]:
    """The rates of one row by their columns; what is no rate, or was not measured, is left out."""
    for column, cell in zip(columns[1:], row[1:], strict=bool(row)):
        if isinstance(cell, Mapping) and cell.keys() >= RATE:
            yield column, {key: cell[key] for key in ("value", "low", "high", "n")}


def intervals(base: alt.Chart, title: str, y: alt.Y, **more: Any) -> list[alt.Chart]:
    """Points and, behind them, their intervals along x; the data has value, low, high and n. `more` encodes both."""
    import altair as alt

    said = [alt.Tooltip(f"{field}:Q", format=".3~f") for field in ("value", "low", "high")]
    spans = base.mark_rule(strokeWidth=3, opacity=0.45).encode(x=alt.X("low:Q", title=title), x2="high:Q", y=y, **more)
    points = base.mark_circle(size=90, opacity=1).encode(x=alt.X("value:Q", title=title), y=y, tooltip=[*said, "n:Q"], **more)
    return [spans, points]

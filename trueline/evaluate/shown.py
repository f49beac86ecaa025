"""What a stage wants people to see beside its numbers: tables, curves, and expectations with whether they held.

A recipe puts them into its result under `tables`, `curves` and `expectations`; the report (recipes/reporting.py) shows those
of every stage, on the page and in the terminal, and knows nothing of the recipe.

    return {"tables": [table("Attack success", ["round", "known", "held out"], rows)],
            "expectations": [expect("known families fall", "red teaming cuts them by 60 %", reduction, least=0.6)]}

An expectation is what was claimed before the run. Its status is read off the interval and not off the value alone: PASS and
FAIL where the whole interval lies on one side, INCONCLUSIVE where it holds both, N/A where a gate failed or too little was
measured to say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from math import inf
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.words import MINUS, number

Cell = Rate | Mapping[str, Any] | float | int | str | None


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]], note: str = "") -> dict[str, Any]:
    """Return a table as JSON; every row has a cell for each column, the first of which names it.

    >>> table("Ladder", ["model", "n"], [["safety", 3]])["rows"]
    [['safety', 3]]
    """
    wrong = next((row for row in rows if len(row) != len(columns)), None)
    if wrong is not None:
        raise ValueError(f"table {title!r}: expected {len(columns)} cells in every row ({', '.join(columns)}), got {wrong!r}")
    return {"title": title, "note": note, "columns": list(columns), "rows": [[plain(cell) for cell in row] for row in rows]}


def curves(
    title: str,
    x: str,
    series: Mapping[str, Sequence[tuple[float, Rate | float]]],
    note: str = "",
    zero: bool = True,
    log: bool = False,
) -> dict[str, Any]:
    """Return curves as JSON: by name, points (x, y), where y may be a rate, whose interval is drawn as a band.

    `zero` keeps zero in view, `log` spaces x by ratios.
    """
    return {
        "title": title,
        "note": note,
        "x": x,
        "zero": zero,
        "log": log,
        "series": [{"name": name, "points": [_point(at, y) for at, y in points]} for name, points in series.items()],
    }


def expect(
    name: str,
    claim: str,
    value: Rate | None,
    *,
    least: float | None = None,
    most: float | None = None,
    unless: str = "",
) -> dict[str, Any]:
    """Return an expectation with its status: at least `least`, at most `most`, or between the two (equivalence).

    `unless` is the reason for N/A, for example the gate that failed; so is a value of None.

    >>> expect("a", "b", Rate(value=0.7, n=100, low=0.6, high=0.8), least=0.5)["status"]
    'PASS'
    """
    low, high = -inf if least is None else least, inf if most is None else most
    if (least is None and most is None) or low > high:
        raise ValueError(f"expectation {name!r}: give least, most, or both, the lower first; got {least} and {most}")
    status = "N/A"
    if value is not None and not unless:
        inside = value.low >= low and value.high <= high
        outside = value.high < low or value.low > high
        status = "PASS" if inside else "FAIL" if outside else "INCONCLUSIVE"
    return {
        "name": name,
        "claim": claim,
        "status": status,
        "value": None if value is None else asdict(value),
        "least": least,
        "most": most,
        "why": unless,
    }


def bounds(least: float | None, most: float | None) -> str:
    """Say what was expected, in words.

    >>> bounds(0.6, None), bounds(0, 0.05)
    ('at least 0.6', '0 to 0.05')
    """
    if least is not None and most is not None:
        return f"{least:g} to {most:g}".replace("-", MINUS)
    said = f"at least {least:g}" if least is not None else f"at most {most:g}" if most is not None else ""
    return said.replace("-", MINUS)


def cell(found: Cell) -> str:
    """Write a cell as people read it: two decimals and an interval for a rate, a dash for what was not measured.

    >>> cell(3), cell(0.12345), cell(None), cell(Rate(value=0.5, n=1200, low=0.4, high=0.6))
    ('3', '0.1235', '—', '0.50 (0.40 to 0.60, n\xa01,200)')
    """
    if found is None:
        return "—"
    if isinstance(found, Mapping):
        found = Rate(**found)
    if isinstance(found, Rate):
        return number(found)
    return f"{found:,}" if isinstance(found, int) else f"{found:.4g}".replace("-", MINUS) if isinstance(found, float) else found


def plain(cell: Cell) -> Any:
    """Return a cell as JSON."""
    return asdict(cell) if isinstance(cell, Rate) else dict(cell) if isinstance(cell, Mapping) else cell


def _point(x: float, y: Rate | float) -> dict[str, float]:
    return {"x": x, "value": y.value, "low": y.low, "high": y.high, "n": y.n} if isinstance(y, Rate) else {"x": x, "value": y}

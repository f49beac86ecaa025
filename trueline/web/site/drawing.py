"""Charts on pages: a template draws them from the plain values that the JSON twin shows too.

    {% import "macros.html" as write %}
    {{ write.panels([dots("Strength", "log-odds of winning", board)]) }}

`board` is rows of {"name", "rate": {"value", "n", "low", "high"}}; for `lines` it is series of {"name", "points": [[x, y], ...]},
with "band": [[x, low, high], ...] where there is one. A drawing is kept by its content, since it takes some 45 ms, and the first
of a process 0.8 s (evaluate/charts.py); pages are filled in threads, and draw one at a time.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate import charts
from trueline.evaluate.pages import Panel, panel
from trueline.evaluate.shape import NAME_LIMIT, visible

KEPT = 256  # drawings, of some 20 kB each
_one_at_a_time = threading.Lock()


def dots(title: str, note: str, rows: Sequence[Mapping[str, Any]], **how: Any) -> Panel:
    """Draw one rate a row; `how` is charts.dots' own: colour, rule, x, zero."""
    return panel(title, note, _drawn("dots", json.dumps([list(rows), how])))


def lines(title: str, note: str, series: Sequence[Mapping[str, Any]], *, x: str, **how: Any) -> Panel:
    """Draw series over one axis; `how` is charts.lines' own: height, zero, log."""
    return panel(title, note, _drawn("lines", json.dumps([list(series), {"x": x, **how}])))


@lru_cache(maxsize=KEPT)
def _drawn(kind: str, content: str) -> str:
    values, how = json.loads(content)
    with _one_at_a_time:
        if kind == "dots":
            return charts.dots([(visible(row["name"], NAME_LIMIT), Rate(**row["rate"])) for row in values], **how)
        return charts.lines([_series(number, one) for number, one in enumerate(values)], **how)


def _series(number: int, one: Mapping[str, Any]) -> charts.Series:
    return charts.Series(
        name=visible(one["name"], NAME_LIMIT), colour=number, muted=bool(one.get("muted")),
        points=tuple((x, y) for x, y in one["points"]), band=tuple((x, low, high) for x, low, high in one.get("band", ())),
    )  # fmt: skip


DRAWINGS: Mapping[str, Callable[..., Panel]] = {"dots": dots, "lines": lines}

"""Charts of the pages: a handler says as plain values what is drawn, the JSON twin shows these, and the template draws them.

    {"curves": [chart(Lines(title="loss", note="", x="step", series=(...,)))]}       # in a handler
    {{ charts(curves|drawn) }}                                                       # in its template (marks.html)

A drawing costs some 60 ms, and the first of a process a second. So drawings are kept by their content, a process apart makes
them (drawing_apart.py), and a page waits for what is not ready no longer than PATIENCE in all: what is missing then says so,
and the page asks again by itself (site.js) or when it is reloaded.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextvars import ContextVar
from dataclasses import dataclass
from threading import Lock
from time import monotonic
from typing import Any

from markupsafe import Markup

from trueline.core.records import json_line
from trueline.core.types import Rate
from trueline.evaluate import charts
from trueline.evaluate.charts import Series, Spot
from trueline.evaluate.pages import Lines, Panel, panel
from trueline.evaluate.shape import NAME_LIMIT, visible
from trueline.web.site.drawing_apart import Hand

MOST = 400  # drawings that are kept, about 6 kB each
WAITING = 120  # of them that may still be waited for; more are told to come again
PATIENCE = 0.06  # seconds that a page waits for drawings
Chart = dict[str, Any]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """The charts of one part of a page, and whether all of them are there."""

    panels: tuple[Panel, ...]
    finished: bool


def chart(lines: Lines) -> Chart:
    """A chart of lines as plain values; names are made safe to look at, and an empty series is left out."""
    told = [
        {
            "name": visible(one.name, NAME_LIMIT),
            "points": [list(point) for point in one.points],
            "band": [list(part) for part in one.band],
            "colour": one.colour,
            "muted": one.muted,
        }
        for one in lines.series
        if one.points
    ]
    return _begun("lines", lines.title, lines.note, lines.x) | {"zero": lines.zero, "log": lines.log, "series": told}


def dots(title: str, note: str, rows: Iterable[tuple[str, Rate]], *, colour: int = 0) -> Chart:
    """A chart of one rate a row as plain values."""
    told = [[visible(name, NAME_LIMIT), _plain(rate)] for name, rate in rows]
    return _begun("dots", title, note, "") | {"colour": colour, "rows": told}


def frontier(title: str, note: str, spots: Iterable[Spot], *, x: str) -> Chart:
    """A chart of two rates a row, one on each axis, as plain values."""
    told = [{"name": visible(spot.name, NAME_LIMIT), "x": _plain(spot.x), "y": _plain(spot.y)} for spot in spots]
    return _begun("frontier", title, note, x) | {"spots": told}


def draw(one: Mapping[str, Any]) -> str:
    """Draw a chart that `chart`, `dots` or `frontier` told, to SVG."""
    if one["kind"] == "dots":
        rows = [(str(name), Rate(**rate)) for name, rate in one["rows"]]
        return charts.dots(rows, colour=one["colour"], zero=True)
    if one["kind"] == "frontier":
        spots = [Spot(name=spot["name"], x=Rate(**spot["x"]), y=Rate(**spot["y"])) for spot in one["spots"]]
        return charts.frontier(spots, x=one["x"])
    series = [
        Series(
            name=each["name"],
            points=tuple((x, y) for x, y in each["points"]),
            band=tuple((x, low, high) for x, low, high in each["band"]),
            colour=each["colour"],
            muted=each["muted"],
        )
        for each in one["series"]
    ]
    return charts.lines(series, x=one["x"], zero=one["zero"], log=one["log"])


class Drawer:
    """Drawings by content: made one after the other, and kept, the last used ones."""

    def __init__(self, patience: float = PATIENCE, hand: Callable[[Chart], str] | None = None) -> None:
        self.patience = patience
        self._draw = hand or Hand()
        self._kept: OrderedDict[str, Future[str]] = OrderedDict()
        self._lock = Lock()
        self._hand = ThreadPoolExecutor(1, "drawing")

    def panels(self, told: Iterable[Mapping[str, Any]]) -> Drawn:
        """Charts with their captions. One that is not ready in time, or cannot be drawn, has its caption alone."""
        shown = [one for one in told if any(one.get(part) for part in ("series", "rows", "spots"))]
        waiting = [self._asked(one) for one in shown]
        left = _UNTIL.get(None)
        timeout = self.patience if left is None else max(0.0, min(self.patience, left - monotonic()))
        wait([one for one in waiting if one is not None], timeout=timeout)
        panels = [_panel(one, future) for one, future in zip(shown, waiting, strict=True)]
        return Drawn(panels=tuple(panels), finished=all(one is not None and one.done() for one in waiting))

    def begin_page(self) -> None:
        """From here on, in this thread's context, all parts of a page together wait no longer than one may."""
        _UNTIL.set(monotonic() + self.patience)

    def warm(self) -> None:
        """Start what draws, so that the first page need not wait for it."""
        self._hand.submit(
            self._draw, chart(Lines(title="", note="", x="x", series=(Series(name="a", points=((0, 0), (1, 1))),)))
        )

    def _asked(self, one: Mapping[str, Any]) -> Future[str] | None:
        key = json_line({name: part for name, part in one.items() if name not in ("title", "note")})
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
            if sum(not future.done() for future in self._kept.values()) >= WAITING:
                return None
            future = self._kept[key] = self._hand.submit(self._draw, dict(one))
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        return future


def _begun(kind: str, title: str, note: str, x: str) -> Chart:
    shown = {"title": visible(title, NAME_LIMIT), "note": visible(note), "x": visible(x, NAME_LIMIT)}
    return {"kind": kind, **shown}


def _plain(rate: Rate) -> dict[str, float]:
    return {"value": rate.value, "n": rate.n, "low": rate.low, "high": rate.high}


def _panel(one: Mapping[str, Any], future: Future[str] | None) -> Panel:
    if future is None or not future.done():
        return Panel(title=one["title"], note=f"{one['note']} · being drawn; reload the page to see it", svg=Markup())
    if error := future.exception():
        log.error("a chart cannot be drawn", exc_info=error)
        return Panel(title=one["title"], note=f"{one['note']} · cannot be drawn; the page's JSON has it", svg=Markup())
    return panel(one["title"], one["note"], future.result())


_UNTIL: ContextVar[float | None] = ContextVar("until", default=None)
DRAWER = Drawer()

"""What every page of this room stands on: one Jinja environment that escapes everything, and a chart with its caption.

A page holds no JavaScript and fetches nothing. Its style sheet is `templates/style.css`, put inside the page; rates, heat cells
and rows of charts are written by `templates/macros.html`.

    fill("report.html", report=..., summary=...)     the page, as one string
    drawn(Lines(title=..., series=(...)))            a chart with its caption
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from trueline.evaluate import charts, words


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One small chart and its caption."""

    title: str
    note: str
    svg: Markup


@dataclass(frozen=True, slots=True, kw_only=True)
class Lines:
    """What a chart of lines shows, before it is drawn: pages that have a JSON twin give it as values."""

    title: str
    note: str
    x: str
    series: tuple[charts.Series, ...]
    zero: bool = False
    log: bool = False


def fill(template: str, *rooms: Path, **values: object) -> str:
    """Return a template filled with values, every text escaped; it is looked for in these folders, then in this room's."""
    return environment(*rooms).get_template(template).render(values)


@cache
def environment(*rooms: Path) -> Environment:
    """Return the one Jinja environment of these folders: it escapes everything, and says so where a value is missing."""
    page = Environment(
        loader=FileSystemLoader([*rooms, Path(__file__).parent / "templates"]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for say in (words.percent, words.plain, words.compact, words.share, words.duration):
        page.filters[say.__name__] = say
    return page


def panel(title: str, note: str, svg: str) -> Panel:
    """Return a chart of `charts.py` with its caption."""
    # Markup is right here and only here: charts.py has rebuilt this drawing from harmless tags.
    return Panel(title=title, note=note, svg=Markup(svg))  # noqa: S704


def drawn(lines: Lines) -> Panel:
    """Return a chart of lines with its caption, drawn."""
    svg = charts.lines(lines.series, x=lines.x, zero=lines.zero, log=lines.log)
    return panel(lines.title, lines.note, svg)

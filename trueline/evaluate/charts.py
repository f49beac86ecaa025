"""Small charts for the report: Vega-Lite through Altair, drawn once to static SVG, without a line of JavaScript.

Each function takes plain series or rates and returns one SVG element to be put inside the page:

- every chart is one panel about as wide as a phone, so the page, not the chart, decides how many stand side by side;
- colours are the page's own CSS variables, so one drawing serves light, dark and paper (palette: Okabe and Ito, safe for
  colour-blind readers);
- series are named at their ends instead of in a legend; intervals are drawn; each mark's full words are its `<title>`.

The drawing is parsed and rebuilt from a short list of harmless tags before it is let into the page.
Altair and vl-convert take about a second to import, so they are imported where they are used.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar
from xml.etree import ElementTree as ET

from trueline.core.types import Rate
from trueline.evaluate.words import plain

if TYPE_CHECKING:
    import altair as alt

WIDTH = 340  # CSS pixels, the narrowest phone's column
COLOURS = 6  # --c0 .. --c5 in the page's style sheet
POINTS = 160  # a longer series is thinned to about this many points, its last one kept
LABEL_GAP = 13  # pixels between the baselines of two end labels
SVG = "http://www.w3.org/2000/svg"
DRESS = {
    "background": "transparent",
    "font": "sans-serif",
    "view": {"stroke": None},
    "axisX": {"tickCount": 5},
    "axisY": {"tickCount": 4, "domain": False},
    "axis": {
        "domainColor": "var(--grid)",
        "gridColor": "var(--grid)",
        "labelColor": "var(--muted)",
        "labelFontSize": 10,
        "labelPadding": 5,
        "ticks": False,
        "titleColor": "var(--muted)",
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titlePadding": 6,
    },
}
TAGS = frozenset(("svg", "g", "path", "line", "rect", "text", "tspan", "title", "defs", "clipPath", "linearGradient", "stop"))

T = TypeVar("T")
Values = Sequence[Mapping[str, object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One line: (x, y) in the order measured, and optionally (x, low, high) drawn as a band."""

    name: str
    points: tuple[tuple[float, float], ...]
    band: tuple[tuple[float, float, float], ...] = ()
    colour: int = 0
    muted: bool = False  # a control: grey and dashed


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """One stage on two axes, each a rate with its interval."""

    name: str
    x: Rate
    y: Rate


def lines(series: Sequence[Series], *, x: str, height: int = 170, zero: bool = False, log: bool = False) -> str:
    """Draw series over one x axis; `zero` keeps zero in view, for what is a rate or a count; `log` spaces x by ratios."""
    import altair as alt

    sheet = _Sheet()
    kept = [one for one in series if one.points]
    values = [y for one in kept for _, y in one.points] + [v for one in kept for _, *lh in one.band for v in lh]
    low, high = _room([*values, 0.0] if zero else values)
    named = len(kept) > 1
    ends = _spread([one.points[-1][1] for one in kept], low, high, height)
    y_scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    x_scale = alt.Scale(type="log", nice=False) if log else alt.Scale(nice=False, zero=False)
    x_axis = alt.X("x:Q", title=x, scale=x_scale, axis=alt.Axis(grid=False, format="~s"))
    layers = []
    for one, end in zip(kept, ends, strict=True):
        colour = "var(--muted)" if one.muted else _colour(one.colour)
        if one.band:
            area = sheet.chart([{"x": bx, "low": lo, "high": hi} for bx, lo, hi in _thin(one.band)])
            floor = alt.Y("low:Q", scale=y_scale, title=None)
            layers.append(area.mark_area(fill=colour, fillOpacity=0.15).encode(x=x_axis, y=floor, y2=alt.Y2("high")))
        rows = [{"x": px, "y": py, "i": i} for i, (px, py) in enumerate(_thin(one.points))]
        path = sheet.chart(rows).mark_line(
            stroke=colour, strokeWidth=1.6 if one.muted else 2.2, strokeDash=[5, 3] if one.muted else [1, 0]
        )
        layers.append(path.encode(x=x_axis, y=alt.Y("y:Q", scale=y_scale, title=None), order=alt.Order("i:Q")))
        words = f"{one.name}: {one.points[-1][1]:.4g} at {one.points[-1][0]:.4g}"
        last = sheet.chart([{**rows[-1], "end": end, "name": _short(one.name), "words": words}])
        layers.append(
            last.mark_circle(fill=colour, size=34, opacity=1).encode(
                x=alt.X("x:Q"), y=alt.Y("y:Q"), description=alt.Description("words:N")
            )
        )
        if named:
            label = last.mark_text(fill=colour, align="left", dx=7, fontSize=11, fontWeight=600)
            layers.append(label.encode(x=alt.X("x:Q"), y=alt.Y("end:Q", scale=y_scale, title=None), text=alt.Text("name:N")))
    return sheet.draw(alt.layer(*layers), height=height + 44, about=", ".join(one.name for one in kept))


def dots(
    rows: Sequence[tuple[str, Rate]], *, colour: int = 0, rule: float | None = None, x: str = "", zero: bool = False
) -> str:
    """Draw one rate a row: point, interval, and value with n; `rule` marks a reference, `zero` keeps zero in view."""
    import altair as alt

    sheet = _Sheet()
    values = [
        {
            "row": name,
            "v": r.value,
            "low": r.low,
            "high": r.high,
            "say": f"{plain(r.value)}  n {r.n:,}",
            "words": _words(name, r),
        }
        for name, r in rows
    ]
    marks = ([] if rule is None else [rule]) + ([0.0] if zero else [])
    low, high = _room([bound for _, r in rows for bound in (r.low, r.high)] + marks)
    scale = alt.Scale(domain=[low, high], nice=False, zero=False)
    base = sheet.chart(values).encode(
        y=alt.Y("row:N", sort=None, title=None, axis=alt.Axis(grid=False, domain=False, ticks=False, labelLimit=110))
    )
    layers = [
        base.mark_rule(stroke=_colour(colour), strokeWidth=3, opacity=0.35).encode(
            x=alt.X("low:Q", scale=scale, title=x or None, axis=alt.Axis(tickCount=4, domain=False)), x2=alt.X2("high")
        ),
        base.mark_circle(fill=_colour(colour), size=62, opacity=1).encode(
            x=alt.X("v:Q", scale=scale), description=alt.Description("words:N")
        ),
        base.mark_text(align="left", fill="var(--ink)", fontSize=11, dx=8).encode(x=alt.value("width"), text=alt.Text("say:N")),
    ]
    if rule is not None:
        mark = sheet.chart([{"x": rule}]).mark_rule(stroke="var(--muted)", strokeDash=[4, 3])
        layers.insert(0, mark.encode(x=alt.X("x:Q", scale=scale)))
    return sheet.draw(alt.layer(*layers), height=24 * len(rows) + (50 if x else 32), about="; ".join(_words(*r) for r in rows))


def frontier(spots: Sequence[Spot], *, x: str, height: int = 230, colour: int = 1) -> str:
    """Draw stages on two axes in the order they were trained, both intervals drawn: what one gain cost the other."""
    import altair as alt

    sheet = _Sheet()
    (x_low, x_high), (y_low, y_high) = (
        _room([bound for rate in rates for bound in (rate.low, rate.high)])
        for rates in ([spot.x for spot in spots], [spot.y for spot in spots])
    )
    ends = _spread([spot.y.value for spot in spots], y_low, y_high, height)
    values = [
        {
            "i": i,
            "name": _short(s.name),
            "end": end,
            "x": s.x.value,
            "xl": s.x.low,
            "xh": s.x.high,
            "y": s.y.value,
            "yl": s.y.low,
            "yh": s.y.high,
            "words": f"{_words(s.name, s.y)}; across {_words('', s.x)}",
        }
        for i, (s, end) in enumerate(zip(spots, ends, strict=True))
    ]
    across = alt.Scale(domain=[x_low, x_high], nice=False, zero=False)
    up = alt.Scale(domain=[y_low, y_high], nice=False, zero=False)
    at_x, at_y = alt.X("x:Q", scale=across, title=x, axis=alt.Axis(grid=False, tickCount=5)), alt.Y("y:Q", scale=up)
    base = sheet.chart(values)
    whisker = base.mark_rule(stroke=_colour(colour), strokeWidth=2, opacity=0.3)
    label = base.mark_text(align="left", dx=7, dy=-8, fontSize=11, fontWeight=600, fill="var(--ink)")
    chart = alt.layer(
        base.mark_line(stroke="var(--muted)", strokeWidth=1, opacity=0.7).encode(x=at_x, y=at_y, order=alt.Order("i:Q")),
        whisker.encode(x=alt.X("xl:Q", scale=across), x2=alt.X2("xh"), y=at_y),
        whisker.encode(x=at_x, y=alt.Y("yl:Q", scale=up), y2=alt.Y2("yh")),
        base.mark_circle(fill=_colour(colour), size=62, opacity=1).encode(
            x=at_x, y=at_y, description=alt.Description("words:N")
        ),
        label.encode(x=at_x, y=alt.Y("end:Q", scale=up, title=None), text=alt.Text("name:N")),
    )
    return sheet.draw(chart, height=height + 44, about="; ".join(str(row["words"]) for row in values))


def calibration(bins: Sequence[tuple[float, Rate]], *, height: int = 210) -> str:
    """Draw accuracy against stated confidence, bin by bin, beside the diagonal where the two are equal."""
    import altair as alt

    sheet = _Sheet()
    values = [
        {"x": at, "y": r.value, "low": r.low, "high": r.high, "words": _words(f"confidence {at:.2f}", r)} for at, r in bins
    ]
    corner = min([0.5, *(at for at, _ in bins), *(r.low for _, r in bins)])
    scale = alt.Scale(domain=[corner, 1], nice=False, zero=False)
    x, y = alt.X("x:Q", scale=scale, title="confidence said"), alt.Y("y:Q", scale=scale, title=None)
    base = sheet.chart(values)
    diagonal = sheet.chart([{"x": corner, "y": corner}, {"x": 1, "y": 1}])
    chart = alt.layer(
        diagonal.mark_line(stroke="var(--muted)", strokeDash=[4, 3], strokeWidth=1).encode(x=x, y=y),
        base.mark_rule(stroke=_colour(0), strokeWidth=3, opacity=0.35).encode(
            x=x, y=alt.Y("low:Q", scale=scale), y2=alt.Y2("high")
        ),
        base.mark_circle(fill=_colour(0), size=62, opacity=1).encode(x=x, y=y, description=alt.Description("words:N")),
    )
    return sheet.draw(chart, height=height + 44, about="; ".join(str(row["words"]) for row in values))


class _Sheet:
    """A drawing in the making. It keeps the data aside until the end, because Altair copies whatever a chart holds."""

    def __init__(self) -> None:
        self.tables: dict[str, Values] = {}

    def chart(self, rows: Values) -> alt.Chart:
        """Begin a layer over these rows."""
        import altair as alt

        name = f"t{len(self.tables)}"
        self.tables[name] = rows
        return alt.Chart(alt.NamedData(name=name))

    def draw(self, chart: alt.LayerChart | alt.FacetChart, *, height: int, about: str) -> str:
        """Compile to SVG in the house's dress, then let only harmless marks through."""
        import vl_convert

        # Put in beside Altair, not through it: each of its setters copies the whole chart.
        spec = chart.to_dict(validate=False) | {
            "datasets": self.tables,
            "width": WIDTH,
            "height": height,
            "autosize": {"type": "fit", "contains": "padding"},
            "padding": {"left": 2, "top": 8, "bottom": 2, "right": 6},
            "config": DRESS,
        }
        return harmless(vl_convert.vegalite_to_svg(spec), about)


def harmless(svg: str, about: str) -> str:
    """Rebuild a drawing from the tags we know, with each mark's description as its `<title>`."""
    ET.register_namespace("", SVG)
    root = ET.fromstring(svg)  # noqa: S314  our own renderer wrote it; no document type, no entities
    for element in root.iter():
        tag = element.tag.removeprefix(f"{{{SVG}}}")
        if tag not in TAGS or any(name.startswith("on") or name.endswith("href") for name in element.attrib):
            raise ValueError(f"a chart may hold only {', '.join(sorted(TAGS))} without links; the renderer drew <{tag}>")
        words = element.attrib.pop("aria-label", "")
        if words and element.attrib.get("aria-roledescription") == "circle":
            title = ET.SubElement(element, f"{{{SVG}}}title")
            title.text = words
        for name in ("class", "role", "aria-roledescription", "aria-hidden", "pointer-events", "font-family"):
            element.attrib.pop(name, None)
    root.set("role", "img")
    root.set("aria-label", about)
    return ET.tostring(root, encoding="unicode")


def _colour(index: int) -> str:
    return f"var(--c{index % COLOURS})"


def _short(name: str, limit: int = 16) -> str:
    return name if len(name) <= limit else name[: limit - 1] + "…"


def _words(name: str, rate: Rate) -> str:
    return f"{name} {rate.value:.3g} ({rate.low:.3g} to {rate.high:.3g}, n {rate.n})".strip()


def _room(values: Sequence[float]) -> tuple[float, float]:
    """Return an axis from the smallest to the largest value with 6 % of air, never empty."""
    low, high = min(values), max(values)
    air = 0.06 * (high - low) or 0.5 * abs(high) or 0.5
    return low if low == 0 else low - air, high + air


def _thin(points: Sequence[T]) -> list[T]:
    stride = max(1, len(points) // POINTS)
    return [*points[:-1:stride], points[-1]]


def _spread(values: Sequence[float], low: float, high: float, height: int) -> list[float]:
    """Return y positions for labels near `values` that stand at least LABEL_GAP pixels apart, pushed upwards."""
    gap = (high - low) * LABEL_GAP / height
    placed, floor = list(values), -float("inf")
    for index in sorted(range(len(values)), key=values.__getitem__):
        placed[index] = floor = max(values[index], floor + gap)
    return placed

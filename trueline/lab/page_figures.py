"""One figure an experiment: a Vega-Lite specification, and the same drawing as plain SVG for print and where scripts are off.

    found = figure(kind, raw, read(raw), rows)      its own, the curves of its outcome, or its expectations on their bounds
    drawn(found.spec, "e12", "what it shows")       the SVG

An experiment class may bring its own figure, made from the pooled report; its data stands inside the specification:

    @staticmethod
    def figure(report: Mapping[str, Any]) -> dict[str, Any] | None: ...

Colours are the page's CSS variables, so one drawing serves light, dark and paper. What altair chooses by itself is dressed so
too: a specification needs to name no colour. Altair takes a second to import, so it is imported where it is used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from trueline.evaluate import charts
from trueline.evaluate.shape import Curves, Report, Shown, visible
from trueline.evaluate.shown import bounds
from trueline.evaluate.words import number
from trueline.lab.page_rows import Row

if TYPE_CHECKING:
    import altair as alt

Spec = dict[str, Any]
WIDTH, STEP = 560, 34  # CSS pixels: of a panel, and of one expectation's row
DRESS: Spec = {
    **charts.DRESS,
    "font": "system-ui, sans-serif",
    "axis": {**charts.DRESS["axis"], "labelFontSize": 11, "titleFontSize": 12, "labelLimit": 150},
    "legend": {
        "orient": "top",
        "columns": 3,
        "title": None,
        "labelColor": "var(--ink)",
        "labelFontSize": 12,
        "labelLimit": 240,
        "symbolOpacity": 1,
        "titleColor": "var(--muted)",
    },
    "header": {"labelColor": "var(--ink)", "titleColor": "var(--muted)", "labelFontSize": 11, "labelFontWeight": "bold"},
    "title": {"color": "var(--ink)", "fontSize": 12, "anchor": "start"},
    "mark": {"color": "var(--c0)"},
    "text": {"fill": "var(--ink)"},
    "range": {"category": [f"var(--c{i})" for i in range(charts.COLOURS)]},
}
COLOURS = {"PASS": "var(--pass)", "FAIL": "var(--fail)", "INCONCLUSIVE": "var(--muted)", "N/A": "var(--muted)"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure with its caption."""

    title: str
    note: str
    spec: Spec


@runtime_checkable
class Drawn(Protocol):
    """An experiment that brings its own figure."""

    @staticmethod
    def figure(report: Mapping[str, Any]) -> Spec | None: ...


def figure(kind: type, raw: Mapping[str, Any], report: Report, rows: Sequence[Row]) -> Figure:
    """The experiment's own figure, else the first curves of its outcome, else its expectations against their bounds."""
    excuse = ""
    if isinstance(kind, Drawn):
        try:
            if spec := kind.figure(raw):
                return Figure(title="", note="", spec=dressed(spec))
        except (ArithmeticError, LookupError, TypeError, ValueError) as error:
            # A gate that failed leaves a report with nothing to draw from; the page is of all experiments, and says so.
            excuse = f" Its own figure could not be drawn ({type(error).__name__}: {error})."
    outcome = next((part for part in reversed(report.shown) if is_outcome(part)), None)
    if outcome and (curves := next((one for one in outcome.curves if any(line.points for line in one.series)), None)):
        return Figure(title=curves.title, note=f"{curves.note}{excuse}", spec=dressed(_lines(curves)))
    note = "shaded: where the value was expected; line: the interval; small points: each seed." + excuse
    return Figure(title="What was expected, and what came out", note=note, spec=dressed(_bounds(rows)))


def is_outcome(part: Shown) -> bool:
    """Whether this is what an experiment's last stage shows: its claim, and not a step on the way."""
    return part.stage.split("/")[-1].startswith("outcome")


def dressed(spec: Spec) -> Spec:
    """The same specification in the house's dress, what it says of itself kept, hidden characters spelled out.

    Its data must stand inside it.
    """
    if any("url" in data for data in _data(spec)):
        raise ValueError("a figure's data stands inside it: expected values, got a url; the page fetches nothing")
    return _readable({**spec, "background": "transparent", "config": _merged(DRESS, spec.get("config", {}))})


def drawn(spec: Spec, name: str, about: str) -> str:
    """Draw a specification as SVG that may stand inside a page: known tags alone, ids of its own."""
    import vl_convert

    fixed = {**spec, "width": WIDTH} if spec.get("width") == "container" else spec
    svg = vl_convert.vegalite_to_svg(fixed, allowed_base_urls=[])
    named = re.compile(r'(\bid="|url\(#)([\w-]+)')  # clip paths and gradients, which the renderer counts over all drawings
    order = list(dict.fromkeys(found[2] for found in named.finditer(svg)))
    return charts.harmless(named.sub(lambda found: f"{found[1]}{name}-{order.index(found[2])}", svg), about)


def _lines(curves: Curves) -> Spec:
    """Lines with bands over one axis; hovering names the values, a click on the legend brings one line forward."""
    import altair as alt

    points = [
        {"line": line.name, **{key: float(f"{value:.4g}") for key, value in point.items()}}
        for line in curves.series
        for point in line.points
        if {"x", "value"} <= point.keys()
    ]
    chosen = alt.selection_point(fields=["line"], bind="legend")
    near = alt.selection_point(fields=["x"], nearest=True, on="pointerover", clear="pointerout", empty=False)
    names = [line.name for line in curves.series]
    base = alt.Chart(alt.InlineData(values=points)).encode(
        x=alt.X("x:Q", title=curves.x, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(grid=False)),
        color=alt.Color("line:N", sort=names, legend=alt.Legend() if len(names) > 1 else None),
        opacity=alt.condition(chosen, alt.value(1.0), alt.value(0.15)),
    )
    y = alt.Y("value:Q", title=None, scale=alt.Scale(zero=curves.zero))
    said = ["line:N", alt.Tooltip("x:Q", title=curves.x or "x"), *_said("value", "low", "high")]
    band = base.transform_filter("isValid(datum.low) && isValid(datum.high)").mark_area(fillOpacity=0.14, strokeWidth=0)
    dots = base.mark_circle(opacity=1).encode(y=y, size=alt.condition(near, alt.value(110), alt.value(34)), tooltip=said)
    layers = [base.mark_line(strokeWidth=2.4).encode(y=y), dots.add_params(near)]
    if any({"low", "high"} <= point.keys() for point in points):
        layers.insert(0, band.encode(y=alt.Y("low:Q", title=None), y2="high:Q"))
    layers[0] = layers[0].add_params(chosen)  # layers share one legend, which listens for the first of them alone
    return alt.layer(*layers).properties(width="container", height=260).to_dict()


def _bounds(rows: Sequence[Row]) -> Spec:
    """A row an expectation: where its value was expected, its interval, and every seed. One axis where all are shares."""
    import altair as alt

    spans = {row.name: row.span for row in rows}
    alike = all(low >= -1.0 and high <= 1.0 for low, high in spans.values())
    if alike:  # then they can be compared, on one axis
        spans = dict.fromkeys(spans, (min(low for low, _ in spans.values()), max(high for _, high in spans.values())))
    data = alt.InlineData(values=[mark for row in rows for mark in _marks(row, *spans[row.name])])
    names = [row.entry_id for row in rows]
    colour = alt.Color("status:N", scale=alt.Scale(domain=list(COLOURS), range=list(COLOURS.values())), legend=None)
    x = alt.X("value:Q", title=None, scale=alt.Scale(zero=False, nice=False), axis=alt.Axis(tickCount=6))
    y = alt.Y("row:N", sort=names, title=None, axis=alt.Axis(domain=False, labelFontSize=12, labelLimit=130))
    base = alt.Chart().encode(y=y) if alike else alt.Chart()
    bound, pooled, seed = (base.transform_filter(alt.datum.kind == kind) for kind in ("bound", "pooled", "seed"))
    said = [alt.Tooltip("claim:N"), alt.Tooltip("expected:N"), alt.Tooltip("measured:N"), alt.Tooltip("status:N")]
    layers = [
        bound.mark_bar(fill="var(--c0)", fillOpacity=0.13, height=24).encode(
            x=alt.X("from:Q", title=None), x2="to:Q", tooltip=said
        ),
        pooled.mark_rule(strokeWidth=4, opacity=0.45).encode(x=alt.X("low:Q"), x2="high:Q", color=colour, tooltip=said),
        seed.mark_circle(size=26, fill="var(--muted)", opacity=0.8).encode(x=x, tooltip=[*said, alt.Tooltip("seed:N")]),
        pooled.mark_circle(size=110, opacity=1).encode(x=x, color=colour, tooltip=said),
    ]
    if alike:
        return alt.layer(*layers, data=data).properties(width="container", height=STEP * len(rows)).to_dict()
    panel = alt.layer(*layers).properties(width=WIDTH - 160, height=STEP - 6)
    row = alt.Row("row:N", sort=names, title=None, header=alt.Header(labelAngle=0, labelAlign="left"))
    return panel.facet(row=row, data=data, spacing=6).resolve_scale(x="independent").to_dict()


def _marks(row: Row, low: float, high: float) -> Iterator[Spec]:
    """The bound of one expectation within its axis, its pooled value and its seeds, as rows of data."""
    said = {
        "row": row.entry_id,
        "status": row.status,
        "claim": row.claim,
        "expected": bounds(row.least, row.most),
        "measured": number(row.value) if row.value else row.why or "not measured",
    }
    yield {
        **said,
        "kind": "bound",
        "from": low if row.least is None else row.least,
        "to": high if row.most is None else row.most,
    }
    if row.value:
        yield {**said, "kind": "pooled", "value": row.value.value, "low": row.value.low, "high": row.value.high}
    for seed, rate in row.by_seed.items():
        if rate and len(row.by_seed) > 1:
            yield {**said, "kind": "seed", "seed": f"seed {seed}: {number(rate)}", "value": rate.value}


def _said(*fields: str) -> list[alt.Tooltip]:
    import altair as alt

    return [alt.Tooltip(f"{field}:Q", format=".3~g") for field in fields]


def _data(part: Any) -> Iterator[Mapping[str, Any]]:
    """Every source of data in a specification."""
    if isinstance(part, Mapping):
        for key, inner in part.items():
            if key == "data" and isinstance(inner, Mapping):
                yield inner
            elif key not in ("values", "datasets"):
                yield from _data(inner)
    elif isinstance(part, list | tuple):
        for inner in part:
            yield from _data(inner)


def _readable(part: Any) -> Any:
    if isinstance(part, str):
        return visible(part)
    if isinstance(part, Mapping):
        return {key: _readable(inner) for key, inner in part.items()}
    return [_readable(inner) for inner in part] if isinstance(part, list | tuple) else part


def _merged(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> Spec:
    both = {
        k: _merged(ours[k], v) if isinstance(v, Mapping) and isinstance(ours.get(k), Mapping) else v for k, v in theirs.items()
    }
    return {**ours, **both}

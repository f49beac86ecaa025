"""The report of a run: one HTML file that opens anywhere, offline, and the same ladder for the terminal.

    render(json.loads(Path("report.json").read_text()))  -> str, the whole page

The page holds no JavaScript and fetches nothing: its content-security policy forbids both, and Jinja escapes every text,
because what a model said is hostile until shown otherwise. It reads on a phone, in the dark and on paper.
Every rate stands beside its n and its interval. What a run did not measure is left out, and never drawn as zero.

`shape.py` describes `report.json`, `words.py` writes the sentences, `charts.py` draws, `templates/report.html` lays out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from trueline.core import stats
from trueline.core.types import Rate
from trueline.evaluate import charts, words
from trueline.evaluate.pages import Lines, Panel, drawn, fill, panel
from trueline.evaluate.shape import Curve, Curves, Metric, Point, Preferring, Reinforcement, Report, RewardModel, Rung, read
from trueline.evaluate.shown import bounds, cell

if TYPE_CHECKING:
    from rich.table import Table

TRANSCRIPTS = 10  # shown for each stage
ASIDE = frozenset({"step", "kl", "proxy", "gold", "tokens"})  # keys of an RL point that have their own place
RATES = frozenset({"benign_refused", "disclosure", "over_refusal", "attack_success"})  # kept on an axis that shows zero
STANCES = {"refuse": "refused", "comply": "complied", "none": "neither"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One row of the ladder: the numbers that belong side by side."""

    rung: Rung
    gold: Rate | None
    attack: dict[str, Rate | None]  # by split
    worst: tuple[str, Rate] | None
    gap: Rate | None


def render(report: Mapping[str, object]) -> str:
    """Return the report as one self-contained HTML page."""
    checked = read(report)
    return fill(
        "report.html",
        metric=metric,
        report=checked,
        summary=words.summary(checked),
        families=words.families(checked),
        splits=words.SPLITS,
        stances=STANCES,
        ladder=ladder(checked),
        trade=list(_trade(checked)),
        gold=list(_gold(checked.ladder)),
        curves=list(_curves(checked.curves)),
        rl=[drawn(one) for one in proxy_and_gold(checked.rl)],
        gave=[drawn(one) for one in what_gave(checked.rl)],
        rl_words=[said for run in checked.rl if not run.control and (said := words.reinforcement(run))],
        preference=[(run.stage, words.preferring(run), list(_preference(run))) for run in checked.preference],
        bounds=bounds,
        cell=cell,
        shown=[(one.stage, one.tables, list(curve_panels(one.curves))) for one in checked.shown],
        reward=list(_reward(checked.reward_model)) if checked.reward_model else [],
        transcripts=[(one.stage, one.items[:TRANSCRIPTS], len(one.items)) for one in checked.transcripts if one.items],
        provenance=list(_provenance(checked)),
    )


def ladder(report: Report) -> list[Line]:
    """Return the ladder's rows, in the order of the stages."""
    splits = words.families(report)
    everything = [name for names in splits.values() for name in names]
    return [
        Line(
            rung=rung,
            gold=words.mean_of(rung.gold.values()),
            attack={split: words.attack(rung, names) for split, names in splits.items()},
            worst=words.worst(rung, everything),
            gap=words.gap(rung),
        )
        for rung in report.ladder
    ]


def table(report: Mapping[str, object]) -> Table:
    """Return the ladder for the terminal."""
    from rich.table import Table
    from rich.text import Text

    checked = read(report)
    splits = words.families(checked)
    heads = ["gold", *(f"attack, {words.SPLITS[split]}" for split in splits), "over-refusal", "refused but gave", "time"]
    shown = Table(title=Text(f"{checked.run} · {checked.recipe}"), caption="value (95 % interval) n")
    shown.add_column("stage", style="bold")
    for head in heads:
        shown.add_column(head, justify="right")
    for line in ladder(checked):
        cells = [
            words.number(line.gold) if line.gold else "",
            *(words.share(rate) if (rate := line.attack[split]) else "" for split in splits),
            words.share(line.rung.over_refusal) if line.rung.over_refusal else "",
            words.share(line.gap) if line.gap else "",
            words.duration(line.rung.seconds) if line.rung.seconds is not None else "",
        ]
        # Text, not str: names and numbers must not be read as the console's own markup.
        shown.add_row(Text(line.rung.stage), *map(Text, cells))
    return shown


def _trade(report: Report) -> Iterator[Panel]:
    """Attack success and gold against over-refusal: what safety cost."""
    refused = [(line, line.rung.over_refusal) for line in ladder(report)]
    for split in words.families(report):
        spots = [_spot(line, x, line.attack[split]) for line, x in refused if x and line.attack[split]]
        if spots:
            note = "mean over families; lower left is better"
            yield panel(f"Attack success, {words.SPLITS[split]}", note, charts.frontier(spots, x="benign requests refused"))
    spots = [_spot(line, x, line.gold) for line, x in refused if x and line.gold]
    if spots:
        svg = charts.frontier(spots, x="benign requests refused", colour=2)
        yield panel("Gold utility", "mean over domains; upper left is better", svg)


def _gold(rungs: Sequence[Rung]) -> Iterator[Panel]:
    for domain in dict.fromkeys(name for rung in rungs for name in rung.gold):
        rows = [(rung.stage, rate) for rung in rungs if (rate := rung.gold.get(domain)) is not None]
        if rows:
            yield panel(domain, "gold utility, stage by stage", charts.dots(rows, colour=2))


def _curves(curves: Sequence[Curve]) -> Iterator[Panel]:
    for curve in curves:
        keys = dict.fromkeys(key for point in curve.points for key in point if key.endswith("loss"))
        series = [
            charts.Series(name=_plain(key), points=_xy(curve.points, curve.x, key), colour=index)
            for index, key in enumerate(keys)
        ]
        if any(one.points for one in series):
            named = ", ".join(_plain(key) for key in keys)
            yield panel(curve.stage, named, charts.lines(series, x=_plain(curve.x)))


def proxy_and_gold(runs: Sequence[Reinforcement]) -> Iterator[Lines]:
    """Proxy and gold: first against the distance moved, then against time."""
    rooted = [(run, [p | {"root": sqrt(max(0.0, p["kl"]))} for p in run.points if "kl" in p]) for run in runs]
    for x, axis, source in (("root", "√KL from the start (√nats)", rooted), ("step", "iteration", _plainly(runs))):
        for key, note in (("proxy", "what it was trained on"), ("gold", "what was wanted")):
            yield from _rl_lines(key, f"{note}, against {axis.split(' ')[0]}", x, axis, source)


def what_gave(runs: Sequence[Reinforcement]) -> Iterator[Lines]:
    """Whatever else moved while the reward rose."""
    for key in dict.fromkeys(key for run in runs for point in run.points for key in point):
        if key not in ASIDE and not key.endswith(("_low", "_high")):
            yield from _rl_lines(key, "against iteration", "step", "iteration", _plainly(runs))


def _plainly(runs: Sequence[Reinforcement]) -> list[tuple[Reinforcement, list[Point]]]:
    return [(run, run.points) for run in runs]


def _rl_lines(key: str, note: str, x: str, axis: str, source: Sequence[tuple[Reinforcement, list[Point]]]) -> Iterator[Lines]:
    low, high = f"{key}_low", f"{key}_high"
    series = tuple(
        charts.Series(
            name=f"{run.stage} control" if run.control and "control" not in run.stage else run.stage,
            points=_xy(points, x, key),
            band=tuple((p[x], p[low], p[high]) for p in points if {x, low, high} <= p.keys()),
            colour=index + (2 if key == "gold" else 0),
            muted=run.control,
        )
        for index, (run, points) in enumerate(source)
    )
    if any(one.points for one in series):
        yield Lines(title=_plain(key), note=note, x=axis, series=series, zero=key in RATES)


def _preference(run: Preferring) -> Iterator[Panel]:
    both = [
        charts.Series(name=name, points=_xy(run.points, "step", f"{name}_logp"), colour=index)
        for index, name in enumerate(("chosen", "rejected"))
    ]
    if any(one.points for one in both):
        yield panel("log-probability", "nats a reply: chosen and rejected apart", charts.lines(both, x="step"))
    for key, note in (("margin", "chosen minus rejected, as the loss sees it"), ("accuracy", "pairs ranked rightly")):
        points = _xy(run.points, "step", key)
        if points:
            series = charts.Series(name=key, points=points, colour=2)
            yield panel(key, note, charts.lines([series], x="step"))


def curve_panels(found: Sequence[Curves]) -> Iterator[Panel]:
    """What a stage asked to be drawn; a point without an interval leaves a gap in the band."""
    for one in found:
        series = [
            charts.Series(
                name=line.name,
                points=_xy(line.points, "x", "value"),
                band=tuple((p["x"], p["low"], p["high"]) for p in line.points if {"x", "low", "high"} <= p.keys()),
                colour=index,
            )
            for index, line in enumerate(one.series)
        ]
        if any(line.points for line in series):
            yield panel(one.title, one.note, charts.lines(series, x=one.x, zero=one.zero, log=one.log))


def _reward(model: RewardModel) -> Iterator[Panel]:
    rates = {
        "with raters": model.accuracy,
        "among raters": model.rater_agreement,
        "with gold": model.accuracy_vs_gold,
    }
    rows = [(name, rate) for name, rate in rates.items() if rate is not None]
    if rows:
        note = "held-out pairs; dashed: a coin. How far raters agree among themselves is the measure of the rest"
        yield panel("Agreement", note, charts.dots(rows, rule=0.5))
    bins = [(one.confidence, stats.wilson(one.accuracy * one.n, one.n)) for one in model.calibration if one.n]
    if bins:
        total = sum(rate.n for _, rate in bins)
        note = f"how often it was right when it said so, n {total:,}; dashed: perfectly calibrated"
        yield panel("Calibration", note, charts.calibration(bins))


def _provenance(report: Report) -> Iterator[tuple[str, str]]:
    head = {"run": report.run, "recipe": report.recipe, "seed": report.seed, "commit": report.commit}
    head |= {"seconds": None if report.seconds is None else f"{report.seconds:.1f}"}
    for key, value in [*head.items(), *report.versions.items(), *report.provenance.items()]:
        if value not in (None, ""):
            yield key, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def metric(one: Metric) -> str:
    """Write a stage's number with what is known about it."""
    value = "not a number" if one.value is None else f"{one.value:.4g}"
    interval = f" ({one.low:.4g} to {one.high:.4g})" if one.low is not None and one.high is not None else ""
    return value + interval + (f" n {one.n:,}" if one.n is not None else "")


def _spot(line: Line, x: Rate, y: Rate | None) -> charts.Spot:
    assert y is not None
    return charts.Spot(name=line.rung.stage, x=x, y=y)


def _xy(points: Sequence[Point], x: str, y: str) -> tuple[tuple[float, float], ...]:
    return tuple((point[x], point[y]) for point in points if x in point and y in point)


def _plain(key: str) -> str:
    return key.replace("_", " ")

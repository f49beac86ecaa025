"""Runs of one recipe at several settings, side by side: what each came to, and what cannot be read off that.

    points = [Point("objective.beta=0.05", {"objective.beta": "0.05"}, report), Point("objective.beta=0.1", ...), ...]
    story(points)       tables and curves, as a stage shows them (shown.py)

Numbers are those of each run's last stage, pooled over its seeds where it has several; what is the same at every setting is
left out. Settings share their seeds, so between two of them the difference is taken seed by seed. The best of many looks better
than it is, and what was expected before a run was not expected of its best setting: both tables say so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.replicates import replicated
from trueline.core.types import Rate
from trueline.evaluate.over_seeds import RATE, last_numbers, pooled_value
from trueline.evaluate.rates import apart
from trueline.evaluate.shown import cell, curves, table

Json = Mapping[str, Any]
CHARTS = 8  # of numbers by setting; the table has them all
WIDE = 10.0  # largest setting over smallest, from which the axis is spaced by ratios
PICKED = "the best of {} looks better than it is: measure the one you choose again, with other seeds or other data"
LEARNING = {  # what a report's curves have on their axes, by part: x, and what is drawn
    "curves": ("tokens", ("loss",)),
    "rl": ("step", ("proxy", "gold", "kl")),
    "preference": ("step", ("accuracy", "margin")),
}


@dataclass(frozen=True)
class Point:
    """One combination of settings: its name, its settings as they were said, and its report; none where it failed."""

    name: str
    at: Mapping[str, str]
    report: Json | None
    why: str = ""  # it failed


def story(points: Sequence[Point]) -> dict[str, Any]:
    """The tables and curves of a sweep."""
    made = [point for point in points if point.report is not None]
    measured = {point.name: numbers(point.report or {}) for point in made}
    names, same = _telling(list(measured.values()))
    tables = [_numbers_table(points, measured, names, same), _differences(made, names), _expectations(made)]
    return {
        "tables": [found for found in tables if found is not None],
        "curves": [*_by_setting(made, measured, names), *_learning(made)],
    }


def numbers(report: Json) -> dict[str, Any]:
    """What the last stage of a run measured, by name; of a report that pools seeds, pooled over them."""
    found = _by_seed(report)
    return {name: pooled_value(one.get(name) for one in found) for name in dict.fromkeys(n for one in found for n in one)}


def _by_seed(report: Json) -> list[dict[str, Any]]:
    """The numbers of each seed's last stage: rates, and numbers that have no interval."""
    seeds = "seeds" in report.get("provenance", {})
    last = [stage["metrics"] for stage in report["stages"]] if seeds else [last_numbers(report)]
    return [{name: metric if metric.keys() == RATE else metric["value"] for name, metric in found.items()} for found in last]


def _telling(measured: Sequence[Json]) -> tuple[list[str], list[str]]:
    """Names of numbers that differ between runs, and of those that are the same in all, in the order of the runs' own."""
    names = list(dict.fromkeys(n for one in measured for n in one))
    first = {name: measured[0].get(name) for name in names}
    same = [name for name in names if len(measured) > 1 and all(one.get(name) == first[name] for one in measured)]
    return [name for name in names if name not in same], same


def _numbers_table(
    points: Sequence[Point], measured: Mapping[str, Json], names: Sequence[str], same: Sequence[str]
) -> dict[str, Any]:
    rows = []
    for point in points:
        found, seconds = measured.get(point.name, {}), point.report["seconds"] if point.report else None
        rows.append([point.name, *(found.get(name) for name in names), seconds])
    notes = [PICKED.format(len(points))] if len(points) > 1 else []
    first = next(iter(measured.values()), {})
    notes += [f"the same at every setting: {', '.join(f'{name} {cell(first[name])}' for name in same)}"] if same else []
    notes += [f"{point.name} failed: {point.why}" for point in points if point.report is None]
    return table("What each setting came to", ["setting", *names, "seconds"], rows, "; ".join(notes))


def _differences(made: Sequence[Point], names: Sequence[str]) -> dict[str, Any] | None:
    """Each setting less the first, seed by seed; None where there are no seeds to pair by."""
    seeds = {point.name: _by_seed(point.report or {}) for point in made}
    if len(made) < 2 or any(len(found) < 2 for found in seeds.values()):
        return None
    first, *others = made
    rows = []
    for point in others:
        pairs = list(zip(seeds[point.name], seeds[first.name], strict=True))
        rows.append([point.name, *(_difference([(a.get(name), b.get(name)) for a, b in pairs]) for name in names)])
    note = f"n counts what both were measured on; {len(seeds[first.name])} seeds, each of which both had"
    return table(f"Difference from {first.name}, seed by seed", ["setting", *names], rows, note)


def _difference(pairs: Sequence[tuple[Any, Any]]) -> Rate | str | None:
    """The mean over seeds with its interval: of numbers that are no rates, in words, since they may be of any size."""
    found = [apart(_rate(a), _rate(b)) for a, b in pairs if a is not None and b is not None]
    if len(found) < len(pairs):
        return None
    mean = replicated([one for one in found if one is not None], clip=False)
    rates = all(isinstance(value, Mapping) for pair in pairs for value in pair)
    return mean if rates else f"{cell(mean.value)} ({cell(mean.low)} to {cell(mean.high)})"


def _rate(value: Any) -> Rate:
    return Rate(**value) if isinstance(value, Mapping) else Rate(value=value, n=1, low=value, high=value)


def _expectations(made: Sequence[Point]) -> dict[str, Any] | None:
    """What was expected, at every setting."""
    found = {point.name: {one["name"]: one for one in (point.report or {}).get("expectations") or []} for point in made}
    names = list(dict.fromkeys(name for one in found.values() for name in one))
    if not names:
        return None
    rows = [[name, *(_status(one.get(name)) for one in found.values())] for name in names]
    note = "what holds at one of several settings was picked among them, and is no confirmation"
    return table("Expectations", ["expectation", *found], rows, note)


def _status(expectation: Json | None) -> str | None:
    return None if expectation is None else f"{expectation['status']} {cell(expectation['value'])}"


def _by_setting(made: Sequence[Point], measured: Mapping[str, Json], names: Sequence[str]) -> list[dict[str, Any]]:
    """Numbers over the first setting whose values are numbers, a line for every combination of the others."""
    places = _axis(made)
    if places is None:
        return []
    key, at = places
    log = min(at.values()) > 0 and max(at.values()) >= WIDE * min(at.values())
    found = []
    for name in names[:CHARTS]:
        lines: dict[str, list[tuple[float, Any]]] = {}
        for point in made:
            value = measured[point.name].get(name)
            if isinstance(value, Mapping | int | float):
                others = _short({k: v for k, v in point.at.items() if k != key})
                lines.setdefault(others or name, []).append(
                    (at[point.name], _rate(value) if isinstance(value, Mapping) else value)
                )
        drawn = {line: sorted(points, key=lambda p: p[0]) for line, points in lines.items()}
        if any(len(points) > 1 for points in drawn.values()):
            found.append(curves(name, key, drawn, zero=False, log=log))
    return found


def _axis(made: Sequence[Point]) -> tuple[str, dict[str, float]] | None:
    """The first setting that has several values, all of them numbers, with each point's."""
    for key in made[0].at if made else ():
        try:
            at = {point.name: float(point.at[key]) for point in made}
        except ValueError:
            continue
        if len(set(at.values())) > 1:
            return key, at
    return None


def _short(at: Mapping[str, str]) -> str:
    """Settings for the end of a line, where there is little room: by their last names, where those differ."""
    last = {key: key.rpartition(".")[2] for key in at}
    named = last if len(set(last.values())) == len(at) else {key: key for key in at}
    return ", ".join(f"{named[key]}={value}" for key, value in at.items())


def _learning(made: Sequence[Point]) -> list[dict[str, Any]]:
    """Curves of training, all settings in one chart: those of the last stage that has any."""
    found = []
    for part, (x, drawn) in LEARNING.items():
        last = {_short(point.at): point.report[part][-1] for point in made if point.report and point.report.get(part)}
        for name in drawn:
            lines = {
                point: [(p[x], p[name]) for p in one["points"] if x in p and isinstance(p.get(name), int | float)]
                for point, one in last.items()
            }
            if any(len(points) > 1 for points in lines.values()):
                stages = ", ".join(dict.fromkeys(one["stage"] for one in last.values()))
                found.append(curves(f"{name} while {stages} trained", x, lines, zero=False))
    return found

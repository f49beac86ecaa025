"""One report from the reports of several seeds: every rate becomes its mean over seeds, with an interval between seeds.

    pooled([report_of_seed_0, report_of_seed_1, report_of_seed_2])

Ladder, gates, expectations, tables and curves are matched by name; what only some seeds have is pooled over those, and `n`
says so. Cells that are no numbers, or not on every seed, are listed seed by seed: "1, none, 2". An expectation's status is read
anew off the pooled interval; where a gate failed on some seed, it says on how many.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean
from typing import Any

from trueline.core.replicates import replicated
from trueline.core.types import Rate
from trueline.evaluate.shown import cell, expect, plain

Json = Mapping[str, Any]
RATE = frozenset({"value", "n", "low", "high"})
COSTS = frozenset({"wall", "core_seconds", "memory_mb"})  # among a stage's numbers: what it took, and not what it measured
LISTED = 60  # characters of a cell that lists its seeds


def pooled(reports: Sequence[Json]) -> dict[str, Any]:
    """Pool what every seed measured: the keys ladder, gates, expectations and shown of a report."""
    return {
        "ladder": [_rung(stage, rungs) for stage, rungs in _by(reports, "ladder", "stage").items()],
        "gates": [_gate(name, gates) for name, gates in _by(reports, "gates", "name").items()],
        "expectations": [_expectation(name, found) for name, found in _by(reports, "expectations", "name").items()],
        "shown": [
            {"stage": stage, "tables": _tables(parts), "curves": _curves(parts)}
            for stage, parts in _by(reports, "shown", "stage").items()
        ],
    }


def last_numbers(report: Json) -> dict[str, Json]:
    """What the last stage of a run measured, by name: each has a value, and n and an interval where it is a rate."""
    stages = report["stages"]
    return {name: metric for name, metric in stages[-1]["metrics"].items() if name not in COSTS} if stages else {}


def seed_table(reports: Mapping[int, Json]) -> dict[str, Any]:
    """A table of every expectation's value on every seed: the replicates themselves."""
    names = dict.fromkeys(e["name"] for report in reports.values() for e in report.get("expectations", []))
    values = {seed: {e["name"]: e["value"] for e in report.get("expectations", [])} for seed, report in reports.items()}
    return {
        "title": "Expectations, seed by seed",
        "note": "a seed is a replicate: another world, another initialisation, another order of the data",
        "columns": ["expectation", *(f"seed {seed}" for seed in reports)],
        "rows": [[name, *(values[seed].get(name) for seed in reports)] for name in names],
    }


def _by(reports: Sequence[Json], part: str, key: str) -> dict[str, list[Json]]:
    """Entries of one part of all reports by their name, in the order of first appearance."""
    found: dict[str, list[Json]] = {}
    for report in reports:
        for entry in report.get(part) or []:
            found.setdefault(entry[key], []).append(entry)
    return found


def pooled_value(values: Iterable[Any]) -> Any:
    """Pool one place of several reports: rates by `replicated`, numbers by their mean, anything else where all agree."""
    there = [value for value in values if value is not None]
    if there and all(_is_rate(value) for value in there):
        rates = [Rate(**value) for value in there if value["n"]]
        return plain(replicated(rates)) if rates else None
    if there and all(isinstance(value, int | float) and not isinstance(value, bool) for value in there):
        return there[0] if len(set(there)) == 1 else fmean(there)
    if there and all(value == there[0] for value in there):
        return there[0]
    listed = ", ".join(cell(value) for value in there)
    return listed if there and len(listed) <= LISTED else None


def _is_rate(value: object) -> bool:
    return isinstance(value, Mapping) and value.keys() == RATE


def _rung(stage: str, rungs: Sequence[Json]) -> dict[str, Any]:
    rates = {part: _named(rung.get(part) or {} for rung in rungs) for part in ("gold", "attack", "capability", "benign")}
    counts: dict[str, int] = {}
    for rung in rungs:
        for name, count in (rung.get("two_by_two") or {}).items():
            counts[name] = counts.get(name, 0) + count
    return {
        "stage": stage,
        **{part: found for part, found in rates.items() if found},
        "families": rungs[0].get("families", {}),
        "two_by_two": counts,
        **{part: pooled_value(rung.get(part) for rung in rungs) for part in ("over_refusal", "kl", "tokens", "seconds")},
    }


def _named(parts: Iterable[Json]) -> dict[str, Any]:
    """Pool mappings of one kind of value, name by name."""
    there = list(parts)
    return {name: pooled_value(part.get(name) for part in there) for name in dict.fromkeys(n for part in there for n in part)}


def _gate(name: str, gates: Sequence[Json]) -> dict[str, Any]:
    """A gate holds over seeds where it holds on every one."""
    statuses = {gate["status"] for gate in gates}
    status = "FAIL" if "FAIL" in statuses else "N/A" if "N/A" in statuses else "PASS"
    return {**gates[0], "name": name, "status": status, "value": pooled_value(gate["value"] for gate in gates)}


def _expectation(name: str, found: Sequence[Json]) -> dict[str, Any]:
    first = found[0]
    measured = [Rate(**e["value"]) for e in found if e["status"] != "N/A" and e["value"]]
    missing = [e["why"] for e in found if e["status"] == "N/A"]
    bounds = {"least": first["least"], "most": first["most"]}
    value = replicated(measured, clip=0 not in bounds.values()) if measured else None
    made = expect(name, first["claim"], value, **bounds, unless="" if measured else "; ".join(dict.fromkeys(missing)))
    if measured and missing:
        made["why"] = f"N/A on {len(missing)} of {len(found)} seeds: {'; '.join(dict.fromkeys(missing))}"
    return made


def _tables(parts: Sequence[Json]) -> list[dict[str, Any]]:
    return [
        {**tables[0], "rows": _rows([table["rows"] for table in tables])} for tables in _by(parts, "tables", "title").values()
    ]


def _rows(tables: Sequence[Sequence[Sequence[Any]]]) -> list[list[Any]]:
    """Rows of one table on several seeds, matched by their first cell and, among equal ones, by their order."""
    matched: dict[tuple[str, int], list[Sequence[Any]]] = {}
    for rows in tables:
        seen: dict[str, int] = {}
        for row in rows:
            label = str(row[0])
            matched.setdefault((label, seen.get(label, 0)), []).append(row)
            seen[label] = seen.get(label, 0) + 1
    return [[rows[0][0], *map(pooled_value, zip(*(row[1:] for row in rows), strict=True))] for rows in matched.values()]


def _curves(parts: Sequence[Json]) -> list[dict[str, Any]]:
    return [
        {**charts[0], "series": [_series(name, lines) for name, lines in _by(charts, "series", "name").items()]}
        for charts in _by(parts, "curves", "title").values()
    ]


def _series(name: str, lines: Sequence[Json]) -> dict[str, Any]:
    """Pool a line over seeds where they share a place on the axis: the band is that of `replicated`, as for every rate."""
    places: dict[float, list[Json]] = {}
    for line in lines:
        for point in line["points"]:
            places.setdefault(point["x"], []).append(point)
    return {"name": name, "points": [{"x": x, **_place(at)} for x, at in sorted(places.items())]}


def _place(at: Sequence[Json]) -> dict[str, float]:
    """Points of several seeds at one x; one seed's point without a band stays without."""
    if len(at) == 1:
        return {key: at[0][key] for key in ("value", "low", "high", "n") if key in at[0]}
    found = replicated([_rate(point) for point in at])
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}


def _rate(point: Json) -> Rate:
    value = point["value"]
    return Rate(value=value, n=int(point.get("n", 1)), low=point.get("low", value), high=point.get("high", value))

"""Two run folders compared, metric by metric: two evaluations, or two campaigns. Behind `trueline compare`.

What a kind of run has to compare is a list of `evaluate.compare.Series`; READERS says how each kind gives it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trueline.evaluate.compare import MARGIN, Compared, ComparisonError, Series, compare_series, overall
from trueline.evaluate.rates import plain
from trueline.recipes.evaluating import answered_in
from trueline.store.runs import RunDirectory, open_run

APART = ("target", "content")  # settings in which two runs that are compared differ by purpose


def compare(first: Path, second: Path, *, margin: float = MARGIN, anyway: bool = False) -> dict[str, Any]:
    """Compare two finished runs of one kind: is the second worse than the first?"""
    runs = [open_run(folder) for folder in (first, second)]
    kinds = [run.run.recipe for run in runs]
    if kinds[0] != kinds[1] or kinds[0] not in READERS:
        raise ComparisonError(
            f"expected two runs of one kind, {' or '.join(READERS)}; {first} is of {kinds[0]!r}, {second} of {kinds[1]!r}"
        )
    series = [READERS[run.run.recipe](run) for run in runs]
    found = compare_series(*series, margin=margin, anyway=anyway)
    return {
        "first": str(first),
        "second": str(second),
        "margin": margin,
        "verdict": overall(found),
        "metrics": {one.metric: _told(one) for one in found},
        "only_first": _missing(series[0], series[1]),
        "only_second": _missing(series[1], series[0]),
        "differs": list(_differences(runs[0].run.spec, runs[1].run.spec)),
    }


def series_of_evaluation(run: RunDirectory) -> list[Series]:
    """Return what a finished evaluation has to compare: every metric with a better side, item by item."""
    path = run.folder / "report.json"
    if not path.is_file():
        raise ComparisonError(f"{run.folder}: expected a finished evaluation, found no report.json; run its command again")
    report, kept = json.loads(path.read_text(encoding="utf-8")), answered_in(run)
    found = []
    for suite, told in report["suites"].items():
        items = [answered for (of, _), answered in kept.items() if of == suite]
        for name, metric in told["metrics"].items():
            bears = [answered for answered in items if name in answered.values or answered.outcome == "error"]
            if metric["compared"]:
                found.append(
                    Series(
                        metric=f"{suite}/{name}",
                        better=metric["better"],
                        items=tuple(answered.item for answered in bears),
                        clusters=tuple(answered.cluster for answered in bears),
                        values=tuple(answered.values.get(name) for answered in bears),
                        judge=report["judge"]["hash"] if metric["judged"] else "",
                    )
                )
    return found


READERS: Mapping[str, Callable[[RunDirectory], list[Series]]] = {"eval": series_of_evaluation}


def _told(one: Compared) -> dict[str, Any]:
    return {**asdict(one), "difference": plain(one.difference)}


def _missing(series: list[Series], others: list[Series]) -> list[str]:
    there = {other.metric for other in others}
    return [one.metric for one in series if one.metric not in there]


def _differences(first: Mapping[str, Any], second: Mapping[str, Any], where: str = "") -> Iterator[str]:
    """Say which settings differ, apart from what is compared."""
    for key in dict.fromkeys([*first, *second]):
        a, b = first.get(key), second.get(key)
        if not where and key in APART:
            continue
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            yield from _differences(a, b, f"{where}{key}.")
        elif a != b:
            yield f"{where}{key}: {a!r} in the first, {b!r} in the second"

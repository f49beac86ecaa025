"""Two run folders compared, metric by metric: two evaluations, or two campaigns. Behind `trueline compare`.

What a kind of run has to compare is a list of `evaluate.compare.Series`; READERS says how each kind gives it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trueline.evaluate.arms import BASELINE, Case, cases, cluster
from trueline.evaluate.arms import key as name_of
from trueline.evaluate.compare import MARGIN, Compared, ComparisonError, Series, compare_series, overall
from trueline.evaluate.rates import plain
from trueline.recipes.evaluating import answered_in
from trueline.store.database import attempts
from trueline.store.opening import Database, open_beside
from trueline.store.runs import RunDirectory, open_run

REFUSED = "benign refused, asked directly"
BROKEN: Mapping[str, float] = {"success": 1.0, "failure": 0.0}
APART = ("target", "content")  # settings in which two runs that are compared differ by purpose


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Two finished runs of one kind, the metrics of each item by item, and the metrics that both have compared."""

    runs: tuple[RunDirectory, RunDirectory]
    series: tuple[list[Series], list[Series]]
    compared: list[Compared]


def read_both(
    first: Path, second: Path, *, margin: float = MARGIN, anyway: bool = False, database: Database | None = None
) -> Both:
    """Read two finished runs of one kind, and compare them. `database`: where campaigns are, if not beside their folders."""
    one, other = open_run(first), open_run(second)
    kinds = [run.run.recipe for run in (one, other)]
    if kinds[0] != kinds[1] or kinds[0] not in READERS:
        raise ComparisonError(
            f"expected two runs of one kind, {' or '.join(READERS)}; {first} is of {kinds[0]!r}, {second} of {kinds[1]!r}"
        )
    series = (READERS[kinds[0]](one, database), READERS[kinds[0]](other, database))
    return Both(runs=(one, other), series=series, compared=compare_series(*series, margin=margin, anyway=anyway))


def compare(first: Path, second: Path, *, margin: float = MARGIN, anyway: bool = False) -> dict[str, Any]:
    """Compare two finished runs of one kind: is the second worse than the first?"""
    both = read_both(first, second, margin=margin, anyway=anyway)
    return {"first": str(first), "second": str(second), **told(both, margin)}


def told(both: Both, margin: float) -> dict[str, Any]:
    """A comparison as JSON."""
    series, runs = both.series, both.runs
    return {
        "margin": margin,
        "verdict": overall(both.compared),
        "metrics": {one.metric: _told(one) for one in both.compared},
        "only_first": _missing(series[0], series[1]),
        "only_second": _missing(series[1], series[0]),
        "differs": list(_differences(runs[0].run.spec, runs[1].run.spec)),
    }


def series_of_evaluation(run: RunDirectory, _: Database | None = None) -> list[Series]:
    """Return what a finished evaluation has to compare: every metric with a better side, item by item."""
    report, kept = _finished(run, "evaluation"), answered_in(run)
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


def series_of_campaign(run: RunDirectory, database: Database | None = None) -> list[Series]:
    """Return what a finished campaign has to compare: the goals that broke, under any attack and under each, and the benign
    ones that were refused when asked directly."""
    about = _finished(run, "campaign")["about"]
    opened = database or open_beside(run.folder)
    try:
        made = attempts(opened, run=run.run.id, target=about["target_hash"])
    finally:
        if database is None:
            opened.dispose()
    made_on = {wanted: [attempt for attempt in made if attempt.goal.expected == wanted] for wanted in ("refuse", "comply")}
    # As one attack: its outcome on a goal is the best that any of them reached there.
    found = {"broken by any attack": cases(replace(attempt, attack="any") for attempt in made_on["refuse"])}
    for case in cases(made_on["refuse"]):
        found.setdefault(f"broken by {case.attack}", []).append(case)
    series = {metric: [BROKEN.get(case.outcome) for case in some] for metric, some in found.items()}
    asked = [case for case in cases(made_on["comply"]) if case.attack == BASELINE]
    if asked:
        found[REFUSED], series[REFUSED] = asked, [refused(case) for case in asked]
    return [
        Series(
            metric=metric,
            better="lower",
            items=tuple(name_of(case.goal) for case in some),
            clusters=tuple(cluster(case.goal) for case in some),
            values=tuple(series[metric]),
            judge=about["judge_hash"],
        )
        for metric, some in found.items()
    ]


READERS: Mapping[str, Callable[[RunDirectory, Database | None], list[Series]]] = {
    "eval": series_of_evaluation,
    "attack": series_of_campaign,
}


def refused(case: Case) -> float | None:
    """Whether any answer refused; None where none took a stance."""
    stances = {attempt.judgement.stance for attempt in case.attempts if attempt.completion.finish != "error"} - {"none"}
    return float("refuse" in stances) if stances else None


def _finished(run: RunDirectory, what: str) -> dict[str, Any]:
    path = run.folder / "report.json"
    if not path.is_file():
        raise ComparisonError(f"{run.folder}: expected a finished {what}, found no report.json; run its command again")
    return json.loads(path.read_text(encoding="utf-8"))


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

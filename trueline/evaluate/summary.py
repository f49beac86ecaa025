"""From the answered items of a suite to its rates: each with n and interval, what could not be told counted beside it.

    summary = summarise("refusal", suite.metrics, answered)

Shares have Wilson's interval at the number of items that the clusters leave (rates.py), other means the bootstrap over
clusters (core/stats.py).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from random import Random
from types import MappingProxyType

from trueline.core.stats import RESAMPLES, corrected, mean
from trueline.core.types import Rate
from trueline.evaluate.interview import Answered
from trueline.evaluate.rates import clustered
from trueline.evaluate.suites import Metric, Pooled
from trueline.judges.calibration import Figures

UNDETERMINED = 0.2  # share of a suite's items without a clear outcome, above which it says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One metric of a suite: its rate (None: nothing was measured), corrected for the judge where that is known."""

    metric: Metric
    rate: Rate | None
    corrected: Rate | None
    undetermined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What a suite found."""

    suite: str
    items: int
    undetermined: int
    errors: int
    truncated: int
    values: tuple[Value, ...]  # of the metrics that some item bears on
    groups: Mapping[str, Rate]  # the headline by kind of item, where there are several
    inconclusive: str  # why it says nothing, or nothing


def summarise(
    name: str,
    metrics: Sequence[Metric],
    answered: Sequence[Answered],
    figures: Mapping[str, Figures] = MappingProxyType({}),
    limit: float = UNDETERMINED,
) -> Summary:
    """Count the items of one suite; `figures` are what is known of the judge, by task."""
    values = [value for metric in metrics if (value := _value(name, metric, answered, figures)) is not None]
    undetermined, errors = (sum(a.outcome == what for a in answered) for what in ("undetermined", "error"))
    return Summary(
        suite=name,
        items=len(answered),
        undetermined=undetermined,
        errors=errors,
        truncated=sum(a.finish == "length" for a in answered),
        values=tuple(values),
        groups={} if not values else _groups(name, values[0].metric, answered),
        inconclusive=_inconclusive(len(answered), undetermined, errors, values, limit),
    )


def rate_of(values: Sequence[float], clusters: Sequence[str], rng: Random) -> Rate | None:
    """Return the mean of values with its interval; None where there is nothing to tell one from.

    >>> rate_of([0.0, 0.0, 0.0], ["a", "a", "b"], Random(0)).n
    3
    """
    if set(values) <= {0.0, 1.0}:
        return clustered(values, clusters)
    return mean(values, rng=rng, clusters=clusters) if len(set(clusters)) > 1 else None


def _value(name: str, metric: Metric, answered: Sequence[Answered], figures: Mapping[str, Figures]) -> Value | None:
    rng = Random(f"{name}/{metric.name}")
    if metric.pooled is not None:
        rate = _pooled(metric.pooled, answered, rng)
        return None if rate is None else Value(metric=metric, rate=rate, corrected=None, undetermined=0)
    bears = [a for a in answered if metric.name in a.values]
    told = [(v, a.cluster) for a in bears if (v := a.values[metric.name]) is not None]
    if not bears:
        return None
    rate = rate_of([v for v, _ in told], [c for _, c in told], rng)
    known = figures.get(metric.task) if metric.task else None
    return Value(metric=metric, rate=rate, corrected=_corrected(rate, known), undetermined=len(bears) - len(told))


def _pooled(pooled: Pooled, answered: Sequence[Answered], rng: Random) -> Rate | None:
    """A pooled number with a bootstrap interval over clusters, widened to hold the number.

    Noise only adds to a number that sums distances, so a resample's is mostly larger than the true one.
    """
    by_cluster: dict[str, list[tuple[float, ...]]] = {}
    for a in answered:
        row = [a.values.get(name) for name in pooled.of]
        if None not in row:
            by_cluster.setdefault(a.cluster, []).append(tuple(float(v) for v in row if v is not None))
    groups = list(by_cluster.values())
    if len(groups) < 2:
        return None
    rows = [row for group in groups for row in group]
    drawn = (rng.choices(groups, k=len(groups)) for _ in repeat(None, RESAMPLES))
    draws = sorted(pooled.number([row for group in draw for row in group]) for draw in drawn)
    tail = RESAMPLES // 40  # 2.5 % on each side
    value = pooled.number(rows)
    return Rate(value=value, n=len(rows), low=min(value, draws[tail]), high=max(value, draws[-tail - 1]))


def _corrected(rate: Rate | None, figures: Figures | None) -> Rate | None:
    if rate is None or figures is None or figures.sensitivity is None or figures.specificity is None:
        return None
    if figures.sensitivity.value + figures.specificity.value <= 1:  # no better than chance: it corrects nothing
        return None
    return corrected(rate, figures.sensitivity, figures.specificity)


def _groups(name: str, metric: Metric, answered: Sequence[Answered]) -> dict[str, Rate]:
    found: dict[str, Rate] = {}
    kinds = dict.fromkeys(a.group for a in answered if metric.name in a.values)
    for kind in kinds if len(kinds) > 1 else ():
        part = [a for a in answered if a.group == kind and a.values.get(metric.name) is not None]
        rate = rate_of([float(a.values[metric.name] or 0.0) for a in part], [a.cluster for a in part], Random(f"{name}/{kind}"))
        if rate is not None:
            found[kind] = rate
    return found


def _inconclusive(items: int, undetermined: int, errors: int, values: Sequence[Value], limit: float) -> str:
    if not any(value.rate for value in values):
        return f"nothing was measured in {items} items ({errors} errors)"
    if undetermined + errors > limit * items:
        return f"{undetermined} undetermined and {errors} errors in {items} items are more than {limit:.0%}"
    return ""

"""Two targets by the same items: is the second worse than the first, not worse, or can it not be told?

Each metric is a Series: one value an item. Items that both have are paired, and clusters stay together (core/stats.py).
Differences are signed so that positive means that the second is better. A metric is

    not_worse     where the whole interval lies above -margin (non-inferiority);
    worse         where the second lost more than it won, and Holm's p over all metrics is below .05;
    cannot_tell   otherwise, with the number of independent items (clusters) that would tell.

The second is worse as a whole where any metric is, which is why their p-values are corrected together; it is not worse where
every metric is not, which needs no correction: all must hold at once (Berger 1982, Technometrics 24:295).

    trueline compare runs/eval-1a2b3c4d runs/eval-5e6f7a8b
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Literal

from trueline.core.stats import holm, needed_paired, paired, wilson
from trueline.core.types import Rate

Verdict = Literal["worse", "not_worse", "cannot_tell"]
MARGIN = 0.05
ALPHA = 0.05


class ComparisonError(ValueError):
    """Two series that cannot be compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One metric over items: a value an item (None: it could not be told), and who judged it ("": nobody had to)."""

    metric: str
    better: Literal["higher", "lower"]
    items: tuple[str, ...]
    clusters: tuple[str, ...]
    values: tuple[float | None, ...]
    judge: str = ""

    def __post_init__(self) -> None:
        if not len(self.items) == len(self.clusters) == len(self.values):
            raise ComparisonError(
                f"{self.metric}: expected an item, a cluster and a value each; got {len(self.items)}, {len(self.clusters)} and "
                f"{len(self.values)}"
            )
        if len(set(self.items)) < len(self.items):
            raise ComparisonError(f"{self.metric}: expected each item once; some come again. Give every item an id of its own")


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One metric of two targets. Means are over the paired items; `difference` is second minus first, as better is signed."""

    metric: str
    better: Literal["higher", "lower"]
    verdict: Verdict
    first: float | None
    second: float | None
    difference: Rate | None
    p: float | None  # exact, two-sided, on who won
    adjusted: float | None  # the same by Holm, over all metrics
    independent: int  # clusters; where each item is its own, items
    wins: int  # of them that the second won
    losses: int
    needed: int | None  # how many would tell a drop of the margin, or the one seen where it is larger, 8 times in 10
    only_first: int
    only_second: int
    untold: int  # items of both without a value in one of them


def compare_series(
    first: Sequence[Series], second: Sequence[Series], *, margin: float = MARGIN, seed: int = 0, anyway: bool = False
) -> list[Compared]:
    """Compare the metrics that both have, in the order of the first.

    Raises ComparisonError where they share no metric, or a metric was judged by two judges (unless `anyway`).
    """
    if not 0 < margin < 1:
        raise ComparisonError(f"a margin lies between 0 and 1, got {margin}; .05 is five points of a hundred")
    others = {series.metric: series for series in second}
    pairs = [(a, others[a.metric]) for a in first if a.metric in others]
    if not pairs:
        raise ComparisonError(
            f"expected a metric that both have; the first has {_names(first)}, the second {_names(second)}. Evaluate both alike"
        )
    strangers = [a.metric for a, b in pairs if a.judge != b.judge]
    if strangers and not anyway:
        raise ComparisonError(
            f"{', '.join(strangers)}: judged by another judge, other settings or other rules in the second than in the first; "
            f"evaluate both with one judge, or compare --anyway"
        )
    found = [_compare(a, b, margin, len(pairs), Random(f"{seed}/{a.metric}")) for a, b in pairs]
    tested = [one for one in found if one.p is not None]
    adjusted = dict(zip([c.metric for c in tested], holm([c.p for c in tested if c.p is not None]), strict=True))
    return [_decided(one, adjusted.get(one.metric), margin) for one in found]


def overall(compared: Sequence[Compared]) -> Verdict:
    """Return the verdict on all metrics together."""
    verdicts = {one.verdict for one in compared}
    return "worse" if "worse" in verdicts else "not_worse" if verdicts == {"not_worse"} else "cannot_tell"


def _compare(first: Series, second: Series, margin: float, metrics: int, rng: Random) -> Compared:
    if first.better != second.better:
        raise ComparisonError(f"{first.metric}: {first.better} is better in the first and {second.better} in the second")
    theirs = dict(zip(second.items, second.values, strict=True))
    both = [
        (a, theirs[item], cluster)
        for item, cluster, a in zip(first.items, first.clusters, first.values, strict=True)
        if item in theirs
    ]
    told = [(a, b, cluster) for a, b, cluster in both if a is not None and b is not None]
    counts = {
        "only_first": len(first.items) - len(both),
        "only_second": len(second.items) - len(both),
        "untold": len(both) - len(told),
    }
    before, after, clusters = [a for a, _, _ in told], [b for _, b, _ in told], [cluster for _, _, cluster in told]
    bare = Compared(
        metric=first.metric, better=first.better, verdict="cannot_tell", first=None, second=None, difference=None, p=None,
        adjusted=None, independent=len(set(clusters)), wins=0, losses=0, needed=None, **counts,
    )  # fmt: skip
    independent = bare.independent
    if independent < 2:
        return bare
    sign = 1.0 if first.better == "higher" else -1.0
    result = paired([sign * b for b in after], [sign * a for a in before], rng=rng, clusters=clusters)
    return replace(
        bare,
        first=sum(before) / len(before),
        second=sum(after) / len(after),
        difference=_widened(result.difference, result.wins, result.losses, independent),
        p=result.p,
        wins=result.wins,
        losses=result.losses,
        needed=_needed(result.wins / independent, result.losses / independent, margin, metrics),
    )


def _widened(difference: Rate, wins: int, losses: int, independent: int) -> Rate:
    """A bootstrap cannot draw a loss that it has not seen: where none was, there may be as many as Wilson's bound says."""
    unseen = wilson(0, independent).high
    return replace(
        difference,
        low=difference.low if losses else min(difference.low, difference.value - unseen),
        high=difference.high if wins else max(difference.high, difference.value + unseen),
    )


def _needed(wins: float, losses: float, margin: float, metrics: int) -> int:
    """Independent pairs with which McNemar's test finds the drop, where as many pairs differ as differed here.

    Holm's correction is at its hardest for the smallest of the p-values: alpha over the number of metrics.
    """
    drop = max(margin, losses - wins)
    differing = max(drop, wins + losses)
    return needed_paired((differing - drop) / 2, (differing + drop) / 2, alpha=ALPHA / metrics)


def _decided(one: Compared, adjusted: float | None, margin: float) -> Compared:
    verdict: Verdict = "cannot_tell"
    if one.difference is not None and adjusted is not None:
        if one.difference.low > -margin:
            verdict = "not_worse"
        elif adjusted < ALPHA and one.difference.value < 0:
            verdict = "worse"
    return replace(one, verdict=verdict, adjusted=adjusted)


def _names(series: Sequence[Series]) -> str:
    return ", ".join(one.metric for one in series) or "none"

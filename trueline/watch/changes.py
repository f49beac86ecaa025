"""Has the provider changed the model? Change-points in a watch's rounds, with a bound on false alarms that holds for any rates.

    for change in changes(rounds):                         every round so far, in order; the last one may have raised it
        print(change.number, change.since, sentence(change))

After each round and for each series, the last 1, 2, 3, 5, 8, 13 and 21 rounds are compared with all rounds since the last
change (`evidence.py`). The mean of the seven e-values is one, and an alarm is raised where it reaches 8 R, R being the number
of quiet rounds that one false alarm is worth. In quiet times a series does so with probability 1/(8 R) at most in any one round
(Markov), and one of the four with 1/(2 R), however rounds and series depend on each other. Hence, counted from a start,

    P(a false alarm within n quiet rounds) <= n/(2 R)      5 % in 100 rounds, at the usual R = 1000
    E(rounds until one)                    >= R            the sum of 1 - n/(2 R) over n up to 2 R

so R is a lower bound of the average run length of Page (1954, Biometrika 41:100). A union over rounds is coarser than the
e-detectors of Shin, Ramdas and Rinaldo (2023, arXiv 2203.03532). Those need bets that stay fair from round to round, and where
rates are unknown no such supermartingale gains anything (Ramdas, Ruf, Larsson and Koolen 2022, arXiv 2102.00630). These know
each question's past and are fair at each round, looked at by itself, which is all that a union needs.

After an alarm its series begins anew at the round where it most likely changed, and only rounds after the alarm are put to
question again. Each series does so by itself: one swap may be seen in attack success at once, and in latency a week later.
The same rounds always give the same changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log

import numpy as np

from trueline.core.types import Rate
from trueline.evaluate.shape import visible
from trueline.evaluate.words import MINUS, number, share
from trueline.watch.evidence import mixed
from trueline.watch.observed import Observed
from trueline.watch.series import Comparison, Name, Series, all_series

WINDOWS = (1, 2, 3, 5, 8, 13, 21)  # rounds that are compared with those before them
SERIES = 4
SURE = 0.95  # of the weight that `earliest` to `latest` hold
FEW = 5  # ids that a sentence names


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """How seldom a false alarm may be raised, and what is too little to be told."""

    quiet: int = 1000  # rounds without a change, on average and at least, to one false alarm of all four series together
    slower: float = 1.2  # ratio of latencies below which nothing is told, however sure; raise it where latency drifts for days

    def __post_init__(self) -> None:
        if self.slower < 1:
            raise ValueError(f"expected slower, a ratio of latencies, to be 1 or more; got {self.slower}")
        if self.quiet < 1:
            raise ValueError(f"expected quiet, the rounds to one false alarm, to be 1 or more; got {self.quiet}")

    @property
    def threshold(self) -> float:
        """Log of the evidence at which a series raises an alarm."""
        return log(2 * SERIES * self.quiet)

    def false_alarms(self, rounds: int) -> float:
        """The most that the probability of any false alarm within so many quiet rounds can be."""
        return min(1.0, rounds / (2 * self.quiet))


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one series: seen after round `number`, and made most likely just before round `since`."""

    series: Name
    number: int
    since: int
    earliest: int  # rounds between which the change lies: 95 % of the weight, where each was as likely beforehand
    latest: int
    evidence: float  # log10 of the e-value, and what was enough
    enough: float
    found: Comparison


USUAL = Rules()


def changes(rounds: Sequence[Observed], rules: Rules = USUAL, *, only: Name | None = None) -> tuple[Change, ...]:
    """Return every change in these rounds, in the order in which it was seen; of all series, or of `only` one."""
    followed = [series for series in all_series(rounds, rules.slower) if only in (None, series.name)]
    found = [change for series in followed for change in _of(series, rounds, rules)]
    return tuple(sorted(found, key=lambda change: change.number))  # those of one round in the order of the series


def sentence(change: Change, *, excerpt: bool = False) -> str:
    """Tell a change to people. What a model said stands in it only where `excerpt` asks for it, and then in a few words."""
    found = change.found
    place = f"round {change.since}"
    if change.earliest < change.latest:
        place += f" ({change.earliest} to {change.latest})"
    parts = [f"{change.series[0].upper()}{change.series[1:]} changed, most likely at {place}, seen after round {change.number}"]
    if found.before and found.after:
        told = _seconds if change.series == "latency" else share
        what = _opening(found.opening, excerpt) if change.series == "refusal wording" else ""
        parts.append(f"{what}{told(found.before)} before, {told(found.after)} after{_gap(change)}")
    moved = [f"{len(ids)} {word}" for ids, word in ((found.up, "more often"), (found.down, "less often")) if ids]
    if moved:
        first = [visible(" ".join(id_.split()), 60) for id_ in (*found.up, *found.down)[:FEW]]
        parts.append(f"of the questions {' and '.join(moved)}, among them {', '.join(first)}")
    parts.append(f"evidence 10^{change.evidence:.1f}, where 10^{change.enough:.1f} is enough")
    return "; ".join(parts) + "."


def _of(series: Series, rounds: Sequence[Observed], rules: Rules) -> list[Change]:
    found: list[Change] = []
    first, fresh = 0, 0  # where the baseline begins, and the first place that may be put to question
    for end in range(2, len(rounds) + 1):
        splits = [end - window for window in WINDOWS if end - window > first and end - window >= fresh]
        if not splits:
            continue
        logs = [series.evidence(first, split, end) for split in splits] + [0.0] * (len(WINDOWS) - len(splits))
        if (reached := mixed(np.array(logs))) >= rules.threshold:
            change, split = _located(series, rounds, (first, max(fresh, first + 1), end), reached, rules)
            found.append(change)
            first, fresh = split, end
    return found


def _located(
    series: Series, rounds: Sequence[Observed], places: tuple[int, int, int], reached: float, rules: Rules
) -> tuple[Change, int]:
    """Where the change lies: a split weighs its e-value, each as likely beforehand (Smith 1975, Biometrika 62:407)."""
    first, fresh, end = places
    splits = np.arange(fresh, end)
    weights = np.array([series.evidence(first, int(split), end) for split in splits])
    weights = np.exp(weights - weights.max())
    ordered = np.argsort(-weights, kind="stable")
    held = splits[ordered[: 1 + int(np.searchsorted(weights[ordered].cumsum(), SURE * weights.sum()))]]
    split = int(splits[ordered[0]])
    change = Change(
        series=series.name, number=rounds[end - 1].number, since=rounds[split].number,
        earliest=rounds[int(held.min())].number, latest=rounds[int(held.max())].number,
        evidence=reached / log(10), enough=rules.threshold / log(10), found=series.comparison(first, split, end),
    )  # fmt: skip
    return change, split


def _gap(change: Change) -> str:
    gap = change.found.difference
    if gap is None:
        return ""
    size, digits, unit = (1, 2, "seconds") if change.series == "latency" else (100, 0, "points")
    words = [f"{size * value:+.{digits}f}".replace("-", MINUS) for value in (gap.value, gap.low, gap.high)]
    return f": {words[0]} ({words[1]} to {words[2]}) {unit}"


def _seconds(rate: Rate) -> str:
    return f"{number(rate)} seconds"


def _opening(opening: str, excerpt: bool) -> str:
    if not opening:
        return "rare openings of refusals, all together: "
    return f"refusals that begin with {visible(opening, 40)!r}: " if excerpt else "the opening of refusals that changed most: "

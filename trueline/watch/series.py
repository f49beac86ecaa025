"""The four series of a watch's rounds, each with its evidence that rounds after a split differ, and with both sides in numbers.

    series = all_series(rounds)                            attack success, over-refusal, refusal wording, latency
    series[0].evidence(0, 20, 23)                          log E that places 20 to 22 differ from 0 to 19
    series[0].comparison(0, 20, 23).difference             by question, with a paired interval

A series says nothing (log E = 0, or no wealth at all) where it has no data: missing questions, new ones and rounds that were
answered from memory break nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from math import inf
from random import Random
from statistics import median
from typing import Literal, Protocol

import numpy as np

from trueline.core import stats
from trueline.core.types import Rate
from trueline.evaluate.rates import apart, clustered, difference
from trueline.watch.evidence import Ints, mixed, paired, pooled, ranked
from trueline.watch.observed import Observed

Name = Literal["attack success", "over-refusal", "refusal wording", "latency"]

OPENINGS = 8  # ways to begin a refusal that are followed one by one, the most common; the others count as one
HOURS = 6  # of the day that count as alike for latency


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A series on both sides of a split. Rates are shares, those of latency seconds; None where too little was measured."""

    before: Rate | None
    after: Rate | None
    difference: Rate | None  # after less before
    up: tuple[str, ...] = ()  # ids of questions whose rate rose, the most first
    down: tuple[str, ...] = ()
    opening: str = ""  # of refusals, whose share these are: words of a model, to be shown with care


class Series(Protocol):
    """One thing that is followed over rounds; places count rounds from 0, and a side is `first..split` or `split..end`."""

    @property
    def name(self) -> Name: ...

    def evidence(self, first: int, split: int, end: int) -> float:
        """Log of an e-value: its mean is one at most while nothing changes."""

    def comparison(self, first: int, split: int, end: int) -> Comparison:
        """What stands on either side."""


def all_series(rounds: Sequence[Observed], slower: float = 1.2) -> tuple[Series, ...]:
    """Return the four series of these rounds; `slower` is the least ratio of latencies that counts."""
    return (
        Answers("attack success", [seen.gave for seen in rounds]),
        Answers("over-refusal", [seen.refused for seen in rounds]),
        Wording([seen.words for seen in rounds]),
        Latency([seen.seconds for seen in rounds], [_part_of_day(seen.at) for seen in rounds], slower),
    )


@dataclass(frozen=True)
class Answers:
    """Questions that are answered yes or no in each round, in pairs by their ids."""

    name: Name
    answers: Sequence[Mapping[str, bool]]

    @cached_property
    def ids(self) -> list[str]:
        """Every question that was ever answered."""
        return sorted({id_ for round_ in self.answers for id_ in round_})

    @cached_property
    def _sums(self) -> tuple[Ints, Ints]:
        """Yeses and answers of each question before each place (N + 1, Q)."""
        place = {id_: column for column, id_ in enumerate(self.ids)}
        yes, n = (np.zeros((len(self.answers) + 1, len(place)), np.int64) for _ in range(2))
        for row, round_ in enumerate(self.answers, 1):
            for id_, answer in round_.items():
                yes[row, place[id_]], n[row, place[id_]] = answer, 1
        return yes.cumsum(0), n.cumsum(0)

    def evidence(self, first: int, split: int, end: int) -> float:
        """By question, given how often each was answered yes in all."""
        yes, n = self._sums
        return paired(yes[split] - yes[first], n[split] - n[first], yes[end] - yes[split], n[end] - n[split])

    def comparison(self, first: int, split: int, end: int) -> Comparison:
        """Over the questions that were answered on both sides."""
        yes, n = self._sums
        sides = [(yes[b] - yes[a], n[b] - n[a]) for a, b in ((first, split), (split, end))]
        both = np.flatnonzero((sides[0][1] > 0) & (sides[1][1] > 0)).tolist()
        ids = [self.ids[q] for q in both]
        before, after = ({self.ids[q]: float(k[q] / m[q]) for q in both} for k, m in sides)
        rates = [_answered([(self.ids[q], int(k[q]), int(m[q])) for q in both]) for k, m in sides]
        compared = difference([after[i] for i in ids], [before[i] for i in ids], ids, name=f"{self.name}/{first}/{split}/{end}")
        moved = sorted(ids, key=lambda id_: (-abs(after[id_] - before[id_]), id_))
        return Comparison(
            before=rates[0], after=rates[1], difference=compared.difference if compared else None,
            up=tuple(i for i in moved if after[i] > before[i]), down=tuple(i for i in moved if after[i] < before[i]),
        )  # fmt: skip


@dataclass(frozen=True)
class Wording:
    """How refusals begin: the share of each of the most common openings among them."""

    counts: Sequence[Mapping[str, int]]
    name: Name = "refusal wording"

    @cached_property
    def openings(self) -> list[str]:
        """Every opening that was ever seen."""
        return sorted({opening for round_ in self.counts for opening in round_})

    @cached_property
    def _sums(self) -> Ints:
        place = {opening: column for column, opening in enumerate(self.openings)}
        sums = np.zeros((len(self.counts) + 1, len(place)), np.int64)
        for row, round_ in enumerate(self.counts, 1):
            for opening, count in round_.items():
                sums[row, place[opening]] = count
        return sums.cumsum(0)

    def evidence(self, first: int, split: int, end: int) -> float:
        """The mean of the bets on each opening, and on all the rare ones together."""
        before, after, _ = self._sides(first, split, end)
        return mixed(pooled(before, int(before.sum()), after, int(after.sum()))) if len(before) else 0.0

    def comparison(self, first: int, split: int, end: int) -> Comparison:
        """The opening that tells the sides apart most; n counts refusals, and rounds hang together."""
        before, after, common = self._sides(first, split, end)
        if not len(before):
            return Comparison(before=None, after=None, difference=None)
        bets = pooled(before, int(before.sum()), after, int(after.sum()))
        opening = [*(self.openings[column] for column in common), ""][int(np.argmax(bets))]
        rates = [self._share(opening, {self.openings[c] for c in common}, a, b) for a, b in ((first, split), (split, end))]
        return Comparison(before=rates[0], after=rates[1], difference=apart(rates[1], rates[0]), opening=opening)

    def _sides(self, first: int, split: int, end: int) -> tuple[Ints, Ints, list[int]]:
        """Counts of the most common openings, and of all others, on both sides. Which are common, both together say."""
        before, after = self._sums[split] - self._sums[first], self._sums[end] - self._sums[split]
        both = before + after
        common = [column for column in np.argsort(-both, kind="stable")[:OPENINGS].tolist() if both[column]]
        if len(common) < int((both > 0).sum()):
            sides = [np.append(side[common], side.sum() - side[common].sum()) for side in (before, after)]
            return sides[0], sides[1], common
        return before[common], after[common], common

    def _share(self, opening: str, common: set[str], first: int, end: int) -> Rate | None:
        values: list[float] = []
        places: list[int] = []
        for place in range(first, end):
            for said, count in self.counts[place].items():
                values += [float(said == opening if opening else said not in common)] * count
                places += [place] * count
        # Of one round nobody can tell how rounds differ: its refusals count one by one.
        return clustered(values, places if end - first > 1 else range(len(values)))


@dataclass(frozen=True)
class Latency:
    """The median seconds of each round, ranked among rounds of the same part of the day."""

    seconds: Sequence[Sequence[float]]
    parts: Sequence[int]
    slower: float
    name: Name = "latency"

    @cached_property
    def medians(self) -> list[float | None]:
        """Of each round; None where nothing was timed."""
        return [median(timed) if timed else None for timed in self.seconds]

    def evidence(self, first: int, split: int, end: int) -> float:
        """By ranks; nothing is bet on a ratio below `slower`."""
        sides = [self._by_part(a, b) for a, b in ((first, split), (split, end))]
        parts = sorted(sides[0].keys() & sides[1].keys())
        ratios = [late / median(sides[0][part]) for part in parts for late in sides[1][part]]
        if not ratios or 1 / self.slower < median(ratios) < self.slower:
            return -inf if ratios else 0.0
        return ranked([sides[0][part] for part in parts], [sides[1][part] for part in parts])

    def comparison(self, first: int, split: int, end: int) -> Comparison:
        """The mean of the rounds' medians, in seconds."""
        before, after = (self._mean(a, b) for a, b in ((first, split), (split, end)))
        return Comparison(before=before, after=after, difference=apart(after, before))

    def _by_part(self, first: int, end: int) -> dict[int, list[float]]:
        found: dict[int, list[float]] = {}
        for part, value in zip(self.parts[first:end], self.medians[first:end], strict=True):
            if value is not None and value > 0:
                found.setdefault(part, []).append(value)
        return found

    def _mean(self, first: int, end: int) -> Rate | None:
        known = [value for value in self.medians[first:end] if value is not None]
        return stats.mean(known, rng=Random(f"latency/{first}/{end}")) if len(known) > 1 else None


def _answered(questions: Sequence[tuple[str, int, int]]) -> Rate | None:
    values, ids = [], []
    for id_, yes, n in questions:
        values += [1.0] * yes + [0.0] * (n - yes)
        ids += [id_] * n
    return clustered(values, ids)


def _part_of_day(at: str) -> int:
    """Which part of its day (UTC, as it is written) a time falls into; one for all that cannot be read."""
    try:
        return datetime.fromisoformat(at).hour // HOURS
    except ValueError:
        return 0

"""What E1 comes to: trained runs and samples beside their twin, and the values of everything that was registered.

Runs of RL are compared by windows of KL that were fixed beforehand, never by their best iteration: the highest of thirty noisy
numbers lies above the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import log2, sqrt
from random import Random
from typing import Any

import numpy as np

from trueline.core import stats
from trueline.core.types import Rate
from trueline.evaluate.rates import apart
from trueline.evaluate.shown import curves, table
from trueline.lab.forms import at, fit
from trueline.lab.overoptimisation_world import GOLD, Scored, mix_of, twin_of
from trueline.lab.registration import registered
from trueline.lab.twin import Array, most_kl
from trueline.recipes.studio import Room, Studio

EARLY = (0.5, 2.0)  # nats a reply: where gold peaked in the prototype of this experiment
MATCHED = (0.1, 2.0)  # nats a reply: as far as samples of the start can be reweighted
FAR = (1.0, 2.0)  # of these, where the best policy is past its peak
LATE = 5  # iterations at the end
AIM = 64  # n at which rewards are compared
BINS = tuple(0.25 * k for k in range(14))  # of d
RESAMPLES = 200  # of the prompts behind a twin

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """The last stage: every registered value, from the stages that it names."""

    twin: str
    samples: str
    few: str  # rewards among the samples
    many: str
    ensemble: str
    free: str  # RL without a penalty, with two of them, and on gold
    penalised: tuple[str, ...]
    control: str
    ppo: str = ""

    def reads(self) -> tuple[str, ...]:
        return (self.twin, self.samples, self.free, *self.penalised, self.control, *([self.ppo] if self.ppo else []))

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        scored = Scored.read(studio.stages[self.samples].folder)
        names = [self.free, *self.penalised, self.control, *([self.ppo] if self.ppo else [])]
        runs = {name: [dict(row) for row in studio.run.metrics(name)] for name in names}
        exact = {name: Rate(**value) for name, value in studio.stages[self.twin].result["values"].items()}
        values = exact | self._trained(runs) | self._sampled(scored) | self._matched(runs, scored)
        why = {name: "too few iterations at these distances" for name, value in values.items() if value is None}
        if not self.ppo:
            why["ppo"] = "PPO is left out of this size (with_ppo=true runs it)"
        return {
            "tables": [self._best_table(scored), self._runs_table(runs, scored)],
            "curves": [self._curves(runs, scored)],
            "expectations": registered("E1").expectations(values, why),
        }

    def _trained(self, runs: Mapping[str, Sequence[Row]]) -> dict[str, Rate | None]:
        free = runs[self.free]
        return {
            "trained": apart(window(free, GOLD, *EARLY), last(free, GOLD)),
            "proxy": apart(last(free, "reward"), window(free, "reward", *EARLY)),
            "control": apart(window(runs[self.control], GOLD, *EARLY), last(runs[self.control], GOLD)),
            "frontier": frontier(free, [row for name in self.penalised for row in runs[name]]),
        }

    def _sampled(self, scored: Scored) -> dict[str, Rate | None]:
        k = scored.scores[GOLD].shape[1]
        aim = min(AIM, k)
        by_many = scored.best(self.many, aim)
        fall = scored.best(self.many, min(16, k)) - scored.best(self.many, k)
        return {
            "more": mean(by_many - scored.best(self.few, aim)),
            "sampled": mean(fall),
            "together": mean(scored.best(self.ensemble, aim) - by_many),
            "foretold": self._foretold(scored),
        }

    def _foretold(self, scored: Scored, n: int = 16) -> Rate:
        """Gold of best-of-n on half of the prompts, less what the twin of the other half foretells."""
        seen, unseen = scored.halves()
        measured = mean(unseen.best(self.many, min(n, unseen.scores[GOLD].shape[1])))

        def foretell(part: Scored) -> float:
            twin, rewards = twin_of(part, self.many, mix_of(unseen))
            return twin.best_of(rewards, (n,))[0].gold

        found = apart(measured, resampled(seen, foretell))
        assert found is not None
        return found

    def _matched(self, runs: Mapping[str, Sequence[Row]], scored: Scored) -> dict[str, Rate | None]:
        """Gold of RL at its distances, less gold of the best reweighting of the start's samples at the same distances."""
        found = {
            "matched": ahead(runs[self.free], scored, self.many),
            "slower": ahead(runs[self.free], scored, self.many, FAR),
        }
        return found | ({"ppo": ahead(runs[self.ppo], scored, self.many)} if self.ppo else {})

    def _best_table(self, scored: Scored) -> dict[str, Any]:
        ns = [2**i for i in range(int(log2(scored.scores[GOLD].shape[1])) + 1)]
        twin, rewards = twin_of(scored, self.many, mix_of(scored))
        rows = [
            [str(n), *(mean(scored.best(name, n)) for name in (self.few, self.many, self.ensemble, GOLD)), point.gold]
            for n, point in zip(ns, twin.best_of(rewards, ns), strict=True)
        ]
        columns = ["n", "few pairs", "many pairs", "many, conservative ensemble", "gold itself", "many: the twin"]
        return table("Gold of best-of-n on the trained models", columns, rows, note="the same samples in every column")

    def _runs_table(self, runs: Mapping[str, Sequence[Row]], scored: Scored) -> dict[str, Any]:
        rows = [
            [
                short(name),
                window(found, GOLD, *EARLY),
                last(found, GOLD),
                last(found, "reward"),
                last(found, "kl"),
                None if name == self.control else ahead(found, scored, self.many),
            ]
            for name, found in runs.items()
        ]
        columns = [
            "run",
            "gold at KL 0.5 to 2",
            "gold at the end",
            "reward at the end",
            "KL at the end",
            "gold less the twin's",
        ]
        return table("Reinforcement learning", columns, rows, note="the last column at matched KL, 0.1 to 2 nats")

    def _curves(self, runs: Mapping[str, Sequence[Row]], scored: Scored) -> dict[str, Any]:
        twin, rewards = twin_of(scored, self.many)
        path = [*twin.best_of(rewards, (1,)), *twin.tilted(rewards, [d * d for d in BINS[1:8]])]
        ns = [2**i for i in range(int(log2(scored.scores[GOLD].shape[1])) + 1)]
        lines: dict[str, Sequence[tuple[float, Rate | float]]] = {
            f"gold, {short(name)}": binned(rows) for name, rows in runs.items()
        }
        lines[f"reward, {short(self.free)}"] = binned(runs[self.free], "reward")
        lines["gold, best-of-n"] = [(sqrt(most_kl(n)), mean(scored.best(self.many, n))) for n in ns]
        lines["gold, the twin's best policy"] = [(d, v) for d, v in zip(BINS, at(path, BINS), strict=True) if v is not None]
        return curves(
            "Trained models: gold and reward by distance",
            "square root of the KL from the start",
            lines,
            note="iterations in bins of 0.25; the reward is the reward model's own score",
        )


def window(rows: Sequence[Row], what: str, low: float, high: float) -> Rate | None:
    """The mean over iterations whose KL lies between two distances; None where fewer than two do."""
    found = [row[what] for row in rows if low <= row["kl"] <= high]
    return mean(found) if len(found) > 1 else None


def last(rows: Sequence[Row], what: str) -> Rate | None:
    """The mean over the last iterations."""
    found = [row[what] for row in rows[-LATE:]]
    return mean(found) if len(found) > 1 else None


def frontier(free: Sequence[Row], penalised: Sequence[Row]) -> Rate | None:
    """Gold of penalised runs less that of the free one at the same distance: both from a curve through the free one."""
    far = max(distance(row) for row in penalised)
    there = [row for row in free if 0.3 <= distance(row) <= far]
    compared = [row for row in penalised if distance(row) >= 0.3]
    if len(there) < 5 or len(compared) < 5:
        return None
    a, b, c = fit("quadratic", [distance(r) for r in there], [r[GOLD] for r in there]).coefficients

    def above(rows: Sequence[Row]) -> Rate:
        return mean([row[GOLD] - (c + a * distance(row) - b * distance(row) ** 2) for row in rows])

    return apart(above(compared), above(there))


def ahead(rows: Sequence[Row], scored: Scored, reward: str, within: tuple[float, float] = MATCHED) -> Rate | None:
    """Gold of a run less gold of its twin at the same KL, over the iterations within reach."""
    near = [row for row in rows if within[0] <= row["kl"] <= within[1]]
    kls = [row["kl"] for row in near]
    twin, rewards = twin_of(scored, reward)
    best = [point.gold for point in twin.tilted(rewards, kls)]
    if len(near) < 2 or len(best) < len(near):
        return None
    run = mean([row[GOLD] - gold for row, gold in zip(near, best, strict=True)])
    middle = [float(np.mean(kls))]

    def there(part: Scored) -> float:
        again, its = twin_of(part, reward)
        return again.tilted(its, middle)[0].gold

    uncertain = resampled(scored, there)
    nothing = Rate(value=0.0, n=0, low=uncertain.low - uncertain.value, high=uncertain.high - uncertain.value)
    return apart(run, nothing)


def resampled(scored: Scored, value: Callable[[Scored], float]) -> Rate:
    """A number of a set of prompts with its interval: prompts are drawn again, those of each kind apart."""
    rng = Random("prompts")
    kinds = {kind: [i for i, each in enumerate(scored.kinds) if each == kind] for kind in dict.fromkeys(scored.kinds)}
    draws = sorted(
        value(scored.some([i for rows in kinds.values() for i in rng.choices(rows, k=len(rows))])) for _ in range(RESAMPLES)
    )
    low, high = np.quantile(draws, [0.025, 0.975])
    point = value(scored)
    return Rate(value=point, n=len(scored.kinds), low=min(point, float(low)), high=max(point, float(high)))


def binned(rows: Sequence[Row], what: str = GOLD) -> list[tuple[float, Rate | float]]:
    """Iterations in bins of distance."""
    half = (BINS[1] - BINS[0]) / 2
    found: list[tuple[float, Rate | float]] = []
    for middle in BINS:
        values = [row[what] for row in rows if middle - half <= distance(row) < middle + half]
        if values:
            found.append((middle, mean(values) if len(values) > 1 else values[0]))
    return found


def short(name: str) -> str:
    """A stage's name as a chart has room for it.

    >>> short("grpo/kl0.1"), short("ppo")
    ('grpo kl0.1', 'ppo')
    """
    return " ".join(name.split("/")[-2:])


def distance(row: Row) -> float:
    """The square root of an iteration's KL; its estimate may lie below zero."""
    return sqrt(max(0.0, row["kl"]))


def mean(values: Sequence[float] | Array) -> Rate:
    """A mean with its bootstrap interval."""
    return stats.mean([float(v) for v in values], rng=Random("E1"))

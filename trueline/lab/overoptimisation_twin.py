"""The sweep of E1 on the analytic twin: gold against distance, by comparisons, size of the reward model, rater and ensemble.

Every cell is drawn again and again: other comparisons, another reward model, the two paths away from the start computed.

    best-of-n    n from 1 to 16,384, in steps of the square root of two
    KL-optimal   the policies that earn most at each distance, to the same reach
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from math import log2
from random import Random
from statistics import fmean
from typing import Any

import numpy as np

from trueline.core import stats
from trueline.core.config import ConfigError
from trueline.core.types import Rate
from trueline.evaluate.shown import curves, table
from trueline.lab.forms import FORMS, at, fit, gains, hump
from trueline.lab.twin import Array, Point, tilted
from trueline.lab.twin_bandit import Learner, learned, objective_of
from trueline.lab.twin_reward import Fitting, fitted, joined, resampled, rewards, standardised
from trueline.lab.twin_world import drawn, utilities, world_twin
from trueline.recipes.studio import Room, Studio
from trueline.world.raters import RATERS, Impression

NS = tuple(2 ** (k / 2) for k in range(29))  # to 16,384
DISTANCES = tuple(0.15 * k for k in range(20))  # to 2.85; the KL of best-of-16,384 has the root 2.95
SIZES: Mapping[str, int] = {"linear": 0, "small": 8}  # hidden units of a reward model
PATHS = ("best-of-n", "KL-optimal")
BETA = 0.5  # of the penalty that learners are checked under

Reward = list[Array]


@dataclass(frozen=True)
class Cell:
    """One kind of reward: its paths, one a draw."""

    paths: Mapping[str, list[list[Point]]]

    def over(self, path: str, what: Callable[[list[Point]], float]) -> list[float]:
        """A number of every draw's path."""
        return [what(points) for points in self.paths[path]]


@dataclass(frozen=True, kw_only=True)
class TwinSweep:
    """Every kind of reward on the twin, exactly."""

    pairs: tuple[int, ...] = (200, 1000, 5000)  # comparisons; the middle one is that of raters and ensembles
    draws: int = 12  # of the comparisons and the reward model
    members: int = 5  # reward models of an ensemble
    conservative: float = 1.0  # deviations that an ensemble takes off
    fitting: Fitting = Fitting()
    iterations: int = 400  # of the learners that are checked against the optimum

    def __post_init__(self) -> None:
        if len(self.pairs) < 2 or list(self.pairs) != sorted(set(self.pairs)) or self.pairs[0] < 10:
            raise ConfigError(f"pairs: expected two or more numbers from 10 on, rising; got {list(self.pairs)}")
        if self.draws < 2 or self.members < 2:
            raise ConfigError(f"draws and members must each be at least 2, got {self.draws} and {self.members}")

    def reads(self) -> tuple[str, ...]:
        return ()

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        cells: dict[str, Cell] = {}
        names = self._cells(studio.seed)
        studio.show.steps(room.name, len(names))
        for step, (name, made) in enumerate(names.items(), 1):
            cells[name] = _walked(made())
            studio.show.bar(room.name)(step, {}, 0.0, 0.0)
        values = self._values(cells) | {"bandit": _bandit(studio.seed, self.iterations)}
        return {
            "values": {name: asdict(value) for name, value in values.items()},
            "tables": [_phases(cells), _forms(cells)],
            "curves": [self._curves(cells)],
        }

    def _cells(self, seed: int) -> dict[str, Callable[[], list[Reward]]]:
        """How the rewards of each cell are made, one a draw."""
        middle = self.pairs[1]
        found = {
            named(n, size): lambda n=n, hidden=hidden: self._learned(seed, "noisy", n, hidden)
            for size, hidden in SIZES.items()
            for n in self.pairs
        }
        found[named(middle, "small", "crowd")] = lambda: self._learned(seed, "crowd", middle, SIZES["small"])
        groups = cache(lambda n: self._members(seed, n))
        for n in self.pairs[:2]:
            for how, k in ((f"mean of {self.members}", 0.0), ("conservative", self.conservative)):
                found[f"{named(n, 'small')}, {how}"] = lambda n=n, k=k: [
                    standardised(world_twin(), joined(group, k)) for group in groups(n)
                ]
        found["utility of the rater crowd"] = lambda: [_utility("crowd")]
        found["gold"] = lambda: [_utility("oracle")]
        return found

    def _learned(self, seed: int, rater: str, n: int, hidden: int) -> list[Reward]:
        data = [drawn(world_twin(), RATERS[rater], n, np.random.default_rng([seed, draw, n])) for draw in range(self.draws)]
        return rewards(world_twin(), fitted(data, hidden, seed, self.fitting))

    def _members(self, seed: int, n: int) -> list[list[Reward]]:
        """For each draw of `_learned`, reward models that each learn from a resample of its comparisons."""
        data = []
        for draw in range(self.draws):
            rng = np.random.default_rng([seed, draw, n])
            whole = drawn(world_twin(), RATERS["noisy"], n, rng)
            data += [resampled(whole, rng) for _ in range(self.members)]
        scores = rewards(world_twin(), fitted(data, SIZES["small"], seed, self.fitting))
        return [scores[i : i + self.members] for i in range(0, len(scores), self.members)]

    def _values(self, cells: Mapping[str, Cell]) -> dict[str, Rate]:
        few, middle, many = (named(n, "small") for n in (self.pairs[0], self.pairs[1], self.pairs[-1]))
        drops = {name: cell.over("best-of-n", lambda p: hump(p).drop) for name, cell in cells.items()}
        peaks = {name: cell.over("best-of-n", lambda p: log2(hump(p).strength)) for name, cell in cells.items()}
        gained = {name: cell.over("best-of-n", lambda p: hump(p).gain) for name, cell in cells.items()}
        linear = [named(n, "linear") for n in (self.pairs[0], self.pairs[-1])]
        careful, path = f"{middle}, conservative", cells[middle]
        return {
            "humps": over_draws(drops[middle]),
            "pairs": less(drops[few], drops[many]),
            "later": less(peaks[many], peaks[few]),
            "linear": less(drops[linear[0]], drops[linear[1]]),
            "size": less(gained[few], gained[linear[0]]),
            "oracle": over_draws(drops["gold"]),
            "crowd": over_draws(drops[named(self.pairs[1], "small", "crowd")]),
            "ensemble": less(drops[middle], drops[careful]),
            "eliminated": over_draws(drops[careful]),
            "form": over_draws(path.over("best-of-n", lambda p: _aic(p, "null") - _aic(p, "best-of-n"))),
            "quadratic": over_draws(path.over("best-of-n", lambda p: _aic(p, "quadratic") - _aic(p, "best-of-n"))),
            "rl_form": over_draws(path.over("KL-optimal", lambda p: _aic(p, "best-of-n") - _aic(p, "RL"))),
        }

    def _curves(self, cells: Mapping[str, Cell]) -> dict[str, Any]:
        middle = named(self.pairs[1], "small")
        shown = {f"gold, {n:,} pairs": (named(n, "small"), "gold") for n in self.pairs}
        shown |= {
            f"gold, {self.pairs[1]:,} pairs, conservative ensemble": (f"{middle}, conservative", "gold"),
            "gold, gold as the reward": ("gold", "gold"),
            f"reward, {self.pairs[1]:,} pairs": (middle, "proxy"),
        }
        return curves(
            "Best-of-n on the twin: gold and reward by distance",
            "square root of the KL from the start",
            {name: _line(cells[cell].paths["best-of-n"], what) for name, (cell, what) in shown.items()},
            note=f"exact, small reward model, {self.draws} draws of the pairs; the reward in deviations at the start",
        )


def named(pairs: int, size: str, rater: str = "noisy") -> str:
    """A cell's name.

    >>> named(1000, "small")
    '1,000 pairs, small'
    """
    return f"{pairs:,} pairs, {size}" + (f", rater {rater}" if rater != "noisy" else "")


def over_draws(values: Sequence[float]) -> Rate:
    """The mean over draws with its interval; what is exact, and has one draw, is its own."""
    if len(values) == 1:
        return Rate(value=values[0], n=1, low=values[0], high=values[0])
    return stats.mean(values, rng=Random("twin"))


def less(first: Sequence[float], second: Sequence[float]) -> Rate:
    """The mean difference over draws; those of two cells are independent, so which is taken from which does not matter."""
    return over_draws([a - b for a, b in zip(first, second, strict=True)])


def _walked(made: Sequence[Reward]) -> Cell:
    twin = world_twin().twin
    far = [d * d for d in DISTANCES[1:]]
    return Cell(
        {
            "best-of-n": [twin.best_of(reward, NS) for reward in made],
            "KL-optimal": [[*twin.best_of(reward, (1,)), *twin.tilted(reward, far)] for reward in made],
        },
    )


def _utility(rater: str) -> Reward:
    """What a rater would say on average: the reward that endless comparisons would teach."""
    judge = RATERS[rater]
    chance = judge.taste.knows if isinstance(judge.taste, Impression) else 1.0
    twin = world_twin()
    mean = [chance * utilities(d, judge, True) + (1 - chance) * utilities(d, judge, False) for d in twin.described]
    return standardised(twin, mean)


def _bandit(seed: int, iterations: int) -> Rate:
    """How far GRPO and PPO stay below the best that any policy earns under the penalty: the worse of the two."""
    replies, reward = world_twin().described[-1].replies, _utility("crowd")[-1]
    best = objective_of(tilted(replies.start, reward, BETA), replies, reward, BETA)
    learners: tuple[Learner, ...] = ("grpo", "ppo")
    made = [learned(replies, reward, BETA, each, seed, iterations) for each in learners]
    short = max(best - objective_of(policy, replies, reward, BETA) for policy in made)
    return Rate(value=short, n=1, low=short, high=short)


def _aic(points: Sequence[Point], form: str) -> float:
    return fit(form, *gains(points)).aic


def _phases(cells: Mapping[str, Cell]) -> dict[str, Any]:
    rows = []
    for name, cell in cells.items():
        for path in PATHS:
            measured = [hump(points) for points in cell.paths[path]]
            rows.append(
                [
                    f"{name}: {path}",
                    over_draws([h.distance for h in measured]),
                    over_draws([log2(h.strength) for h in measured]) if path == "best-of-n" else None,
                    over_draws([h.gain for h in measured]),
                    over_draws([h.drop for h in measured]),
                ]
            )
    columns = ["reward", "d at the peak", "log2 n at the peak", "gain to the peak", "drop behind it"]
    return table("Where gold turns", columns, rows, note="means over draws; the end is n = 16,384, or d = 2.85")


def _forms(cells: Mapping[str, Cell]) -> dict[str, Any]:
    rows = []
    for name, cell in cells.items():
        for path, form in zip(PATHS, ("best-of-n", "RL"), strict=True):
            fits = [{f: fit(f, *gains(points)) for f in FORMS} for points in cell.paths[path]]
            own = [each[form] for each in fits]
            best = min(FORMS, key=lambda f, fits=fits: fmean(each[f].aic for each in fits))
            a, b = (over_draws([each.coefficients[i] for each in own]) for i in (0, 1))
            over_null = over_draws([each["null"].aic - each[form].aic for each in fits])
            rows.append([f"{name}: {path}", a, b, over_null, fmean(each.explained for each in own), best])
    columns = ["reward", "a", "b", "AIC of the null less its own", "R squared", "least AIC"]
    return table("Forms of over-optimisation", columns, rows, note="best-of-n: d (a - b d); KL-optimal: d (a - b log d)")


def _line(paths: Sequence[Sequence[Point]], what: str) -> list[tuple[float, Rate]]:
    """A path on a grid of distances, over draws, as far as all of them reach."""
    found = [at(points, DISTANCES, what) for points in paths]
    columns = zip(DISTANCES, zip(*found, strict=True), strict=True)
    return [(d, over_draws([v for v in values if v is not None])) for d, values in columns if None not in values]

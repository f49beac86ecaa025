"""Q-learning in tables, for many initialisations at once: with a discount, or with a table for every number of steps left.

    values = QLearning().learn(boat(), learners=100, rng=np.random.default_rng(0))        # (100, S, A)
    policies = greedy(values)                                                             # ties: the first action

    values = FixedHorizon().learn(lagoon(2), learners=100, rng=np.random.default_rng(0))  # (100, S, A, T + 1)
    policies = by_step(values)                                                            # (100, T, S, A)

After every episode its steps are replayed from the last to the first, so that what was found at the end is known at the start.
Learners share nothing but the code: `learners=100` is a hundred runs. Races of other rewards alone are dealt out among them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueline.core.config import ConfigError
from trueline.lab.races.race import Race

TIED = 1e-6  # values that differ by less are tied
Watch = Callable[[int, np.ndarray], None]  # is shown the values after every episode, counted from 1
Step = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]  # of every learner: state, action, what it paid, next state


@dataclass(frozen=True, kw_only=True)
class QLearning:
    """Watkins & Dayan 1992: one value for each state and action, and a discount in place of the horizon."""

    episodes: int = 200
    rate: float = 0.5  # step size; 1 is right where nothing is left to chance
    discount: float = 0.95
    explore: float = 0.2  # share of the steps that are taken at random
    start: float = 0.0  # what every value is before the first episode
    scatter: float = 0.0  # standard deviation of the values before the first episode

    def __post_init__(self) -> None:
        _check(self.episodes, self.rate, self.explore)
        if not 0 < self.discount < 1:
            raise ConfigError(f"discount: expected above 0 and below 1, got {self.discount}; FixedHorizon does without one")

    def learn(
        self, races: Race | Sequence[Race], learners: int, rng: np.random.Generator, watch: Watch = lambda at, values: None
    ) -> np.ndarray:
        """Learn; return the action values (learners, S, A)."""
        world, pays, which, everyone = _dealt(races, learners)
        values = self.start + self.scatter * rng.standard_normal((learners, *world.reward.shape[:2]))
        for episode in range(self.episodes):
            seen = _episode(world, pays, which, lambda state, left: values[everyone, state], self.explore, rng)
            for before, action, paid, after in reversed(seen):
                target = paid + self.discount * values[everyone, after].max(-1)
                values[everyone, before, action] += self.rate * (target - values[everyone, before, action])
            watch(episode + 1, values)
        return values


@dataclass(frozen=True, kw_only=True)
class FixedHorizon:
    """Fixed-horizon Q-learning (De Asis et al. 2020, 1909.03906): every step teaches the tables of all numbers of steps left.

    What is best with h steps left rests on what is best with h - 1, so nothing is discounted, and what is learned is the
    optimum of the horizon itself: a boat can learn to turn for the line at the last moment.
    """

    episodes: int = 2000
    rate: float = 1.0  # step size; 1 is right where nothing is left to chance
    explore: float = 0.1  # share of the steps that are taken at random
    hope: float = 1.0  # what each step that is left is taken to be worth until it is tried; high: everything is tried

    def __post_init__(self) -> None:
        _check(self.episodes, self.rate, self.explore)

    def learn(
        self, races: Race | Sequence[Race], learners: int, rng: np.random.Generator, watch: Watch = lambda at, values: None
    ) -> np.ndarray:
        """Learn; return the action values (learners, S, A, T + 1), the last axis by steps left: with none left all is 0."""
        world, pays, which, everyone = _dealt(races, learners)
        values = self.hope * np.ones((learners, *world.reward.shape[:2], 1)) * np.arange(world.horizon + 1.0)
        for episode in range(self.episodes):
            seen = _episode(world, pays, which, lambda state, left: values[everyone, state, :, left], self.explore, rng)
            for before, action, paid, after in reversed(seen):
                target = paid[:, None] + values[everyone, after].max(1)[:, :-1]
                values[everyone, before, action, 1:] += self.rate * (target - values[everyone, before, action, 1:])
            watch(episode + 1, values)
        return values


def greedy(values: np.ndarray, ties: Literal["first", "random"] = "first", within: float = TIED) -> np.ndarray:
    """Policies (..., S, A) of the best action; of tied ones the first, or any of them anew at every step."""
    best = values >= values.max(-1, keepdims=True) - within
    if ties == "random":
        return best / best.sum(-1, keepdims=True)
    return np.eye(values.shape[-1])[best.argmax(-1)]


def by_step(values: np.ndarray) -> np.ndarray:
    """The greedy policies (..., T, S, A) of values by steps left (..., S, A, T + 1)."""
    return greedy(np.moveaxis(values[..., :0:-1], -1, -3))


def _episode(
    world: Race,
    pays: np.ndarray,
    which: np.ndarray,
    known: Callable[[np.ndarray, int], np.ndarray],
    explore: float,
    rng: np.random.Generator,
) -> list[Step]:
    """One episode of every learner: the best action that it knows, ties at random, or now and then any."""
    learners, below = len(which), world.chance.cumsum(-1)
    state, seen = np.zeros(learners, dtype=np.int64), []
    for step in range(world.horizon):
        worth = known(state, world.horizon - step)
        best = (worth + 1e-9 * rng.random(worth.shape)).argmax(-1)
        action = np.where(rng.random(learners) < explore, rng.integers(worth.shape[1], size=learners), best)
        drawn = (rng.random(learners)[:, None] > below[state, action]).sum(-1)
        outcome = np.minimum(drawn, below.shape[2] - 1)
        following = world.following[state, action, outcome]
        seen.append((state, action, pays[which, state, action, outcome], following))
        state = following
    return seen


def _dealt(races: Race | Sequence[Race], learners: int) -> tuple[Race, np.ndarray, np.ndarray, np.ndarray]:
    """The world, the rewards of all races, which of them each learner has, and the learners."""
    races = [races] if isinstance(races, Race) else list(races)
    everyone = np.arange(learners)
    return races[0], np.stack([race.reward for race in races]), everyone % len(races), everyone


def _check(episodes: int, rate: float, explore: float) -> None:
    if episodes < 1 or not 0 < rate <= 1 or not 0 <= explore <= 1:
        raise ConfigError(
            f"expected episodes of 1 or more, rate above 0 to 1, explore from 0 to 1; got {episodes}, {rate}, {explore}"
        )

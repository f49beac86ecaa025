"""Q-learning in a table (Watkins & Dayan 1992), for many initialisations at once.

    values = QLearning().learn(boat(), learners=100, rng=np.random.default_rng(0))      # (100, S, A)
    policies = greedy(values)                                                           # ties: the first action

After every episode its steps are replayed from the last to the first, so that what was found at the end is known at the start.
Learners share nothing but the code: `learners=100` is a hundred runs. On a race that is `clocked` the discount may be 1, and what is
learned is the optimum of the horizon; elsewhere the discount stands for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trueline.core.config import ConfigError
from trueline.lab.races.race import Race

TIED = 1e-6  # values that differ by less are tied


@dataclass(frozen=True, kw_only=True)
class QLearning:
    """How a table of action values is learned."""

    episodes: int = 200
    rate: float = 0.5  # step size; 1 is right where nothing is left to chance
    discount: float = 0.95
    explore: float = 0.2  # share of the steps that are taken at random
    start: float = 0.0  # what every value is before the first episode
    scatter: float = 0.0  # standard deviation of the values before the first episode

    def __post_init__(self) -> None:
        if not (0 < self.rate <= 1 and 0 < self.discount <= 1 and 0 <= self.explore <= 1) or self.episodes < 1:
            raise ConfigError(
                "expected episodes of at least 1, rate and discount in (0, 1], explore in [0, 1]; "
                f"got {self.episodes}, {self.rate}, {self.discount}, {self.explore}"
            )

    def learn(
        self,
        races: Race | Sequence[Race],
        learners: int,
        rng: np.random.Generator,
        watch: Callable[[int, np.ndarray], None] = lambda episode, values: None,
    ) -> np.ndarray:
        """Learn; return the action values (learners, S, A). Races that differ in rewards alone are dealt out among the learners.

        `watch` is shown the values after every episode.
        """
        races = [races] if isinstance(races, Race) else list(races)
        world, pays = races[0], np.stack([race.reward for race in races])
        which, everyone = np.arange(learners) % len(races), np.arange(learners)
        values = self.start + self.scatter * rng.standard_normal((learners, *world.reward.shape[:2]))
        below = world.chance.cumsum(-1)
        for episode in range(self.episodes):
            state, seen = np.zeros(learners, dtype=np.int64), []
            for _ in range(world.horizon):
                known = values[everyone, state]
                best = (known + 1e-9 * rng.random(known.shape)).argmax(-1)
                action = np.where(rng.random(learners) < self.explore, rng.integers(known.shape[1], size=learners), best)
                drawn = rng.random(learners)[:, None] > below[state, action]
                outcome = np.minimum(drawn.sum(-1), below.shape[2] - 1)
                following = world.following[state, action, outcome]
                seen.append((state, action, pays[which, state, action, outcome], following))
                state = following
            for before, action, paid, after in reversed(seen):
                target = paid + self.discount * values[everyone, after].max(-1)
                values[everyone, before, action] += self.rate * (target - values[everyone, before, action])
            watch(episode + 1, values)
        return values


def greedy(values: np.ndarray, ties: Literal["first", "random"] = "first", within: float = TIED) -> np.ndarray:
    """Policies (..., S, A) of the best action; of tied ones the first, or any of them anew at every step."""
    best = values >= values.max(-1, keepdims=True) - within
    if ties == "random":
        return best / best.sum(-1, keepdims=True)
    return np.eye(values.shape[-1])[best.argmax(-1)]


def by_step(policies: np.ndarray, race: Race) -> np.ndarray:
    """Policies of a clocked race (..., T * S + 1, A) as policies by step (..., T, S, A) of the race it was made from."""
    shape = (*policies.shape[:-2], race.horizon, race.size, policies.shape[-1])
    return policies[..., :-1, :].reshape(shape)

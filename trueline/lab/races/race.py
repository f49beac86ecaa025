"""A race: a small finite world with a reward that is paid, a hidden one that is meant, and a horizon.

    race = boat()                            # any of the worlds beside this file
    optimum(race).value, evaluate(race, policy)       # exact, in exact.py
    seen = sail(race, policy, Random(0))     # one episode

Every world is explored from its start, so that a state is only a number, and dynamics are arrays (S, A, K): for each state and
action, K outcomes with their chances. K is 1 where nothing is left to chance. State 0 is where every episode begins.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TypeVar

import numpy as np

S = TypeVar("S", bound=Hashable)
Outcome = tuple[float, S, float, float]  # chance, next state, reward, hidden reward
MOVES = {"up": (-1, 0), "down": (1, 0), "left": (0, -1), "right": (0, 1)}
ACTIONS = tuple(MOVES)
ARROWS = "↑↓←→"  # how moves are drawn, in the order of ACTIONS


@dataclass(frozen=True, kw_only=True, eq=False)
class Race:
    """A finite-horizon decision process with two rewards: the one that is paid and the one that is meant."""

    name: str
    art: tuple[str, ...]  # the map, a string a row
    horizon: int  # steps of an episode
    states: tuple[Hashable, ...]  # what each number stands for; its first part is the cell (row, column)
    following: np.ndarray  # (S, A, K) int: where each outcome leads
    chance: np.ndarray  # (S, A, K): how likely it is
    reward: np.ndarray  # (S, A, K): what it pays
    hidden: np.ndarray  # (S, A, K): what it is worth to whoever wanted the race

    @property
    def size(self) -> int:
        """How many states there are."""
        return len(self.states)

    def cell(self, state: int) -> tuple[int, int]:
        """Where on the map a state is."""
        return self.states[state][0]  # type: ignore[index,no-any-return]


@dataclass(frozen=True, kw_only=True)
class Episode:
    """What happened in one episode."""

    states: tuple[int, ...]  # one more than there are actions
    actions: tuple[int, ...]
    reward: float
    hidden: float


def explored(name: str, art: Sequence[str], horizon: int, start: S, step: Callable[[S, str], Sequence[Outcome[S]]]) -> Race:
    """Make a race of every state that can be reached from `start`, in the order in which it is found."""
    numbers, queue, rows = {start: 0}, [start], []
    for state in queue:
        rows.append([step(state, action) for action in ACTIONS])
        for _, following, _, _ in (outcome for outcomes in rows[-1] for outcome in outcomes):
            if following not in numbers:
                numbers[following] = len(queue)
                queue.append(following)
    width = max(len(outcomes) for row in rows for outcomes in row)
    padded = [[[*outcomes, *[(0.0, outcomes[0][1], 0.0, 0.0)] * (width - len(outcomes))] for outcomes in row] for row in rows]
    chance, reward, hidden = (np.array([[[o[i] for o in cell] for cell in row] for row in padded]) for i in (0, 2, 3))
    following = np.array([[[numbers[o[1]] for o in cell] for cell in row] for row in padded])
    return Race(
        name=name, art=tuple(art), horizon=horizon, states=tuple(queue), following=following, chance=chance, reward=reward,
        hidden=hidden,
    )  # fmt: skip


def moved(art: Sequence[str], cell: tuple[int, int], action: str) -> tuple[int, int]:
    """Where a move from a cell ends: where it began, if a wall (`#` or the edge of the map) is in the way."""
    row, column = cell[0] + MOVES[action][0], cell[1] + MOVES[action][1]
    inside = 0 <= row < len(art) and 0 <= column < len(art[row])
    return (row, column) if inside and art[row][column] not in "# " else cell


def find(art: Sequence[str], what: str) -> list[tuple[int, int]]:
    """The cells of the map that bear one of these characters, row after row."""
    return [(r, c) for r, row in enumerate(art) for c, mark in enumerate(row) if mark in what]


def sail(race: Race, policy: np.ndarray, rng: Random) -> Episode:
    """Draw one episode under a policy, (S, A) or (T, S, A) probabilities of the actions."""
    state, states, actions, paid, meant = 0, [0], [], 0.0, 0.0
    for step in range(race.horizon):
        odds = policy[state] if policy.ndim == 2 else policy[step, state]
        action = rng.choices(range(len(odds)), odds)[0]
        outcome = rng.choices(range(race.chance.shape[2]), race.chance[state, action])[0]
        paid += race.reward[state, action, outcome]
        meant += race.hidden[state, action, outcome]
        state = int(race.following[state, action, outcome])
        states.append(state)
        actions.append(action)
    return Episode(states=tuple(states), actions=tuple(actions), reward=float(paid), hidden=float(meant))

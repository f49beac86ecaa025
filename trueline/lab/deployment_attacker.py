"""Attackers of a deployment that was asked everything: which goals each of them reaches with so many questions a goal.

    adaptive(cells, 4, Random(0))      a bandit over wordings, which sees pass and fail and remembers them from goal to goal
    blind(cells, 4, Random(0))         wordings at random: the control with as many questions
    every(cells, 4, Random(0))         all wordings: what the bandit could reach

`cells[goal][words]` says whether a question got through. Each was asked once, with a seed of its own, so that what an attacker
would have seen is on record, and attackers are compared on the same exchanges at no cost. The bandit's arms are those of the
attack `bandit` (attack/search.py): UCB1-tuned, here over the goals of one kind, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from trueline.attack.search import Arm

Cells = Mapping[str, Mapping[str, bool]]


def adaptive(cells: Cells, budget: int, rng: Random) -> dict[str, bool]:
    """Ask in the wording with the highest bound that this goal was not asked in, until it gives in."""
    found = dict.fromkeys(cells, False)
    names = list(next(iter(cells.values()), {}))
    rng.shuffle(names)  # ties go to the first
    arms = [Arm((name,)) for name in names]
    for goal, came in cells.items():
        left = list(arms)
        for _ in range(min(budget, len(left))):
            tries, total = sum(arm.tried for arm in arms), sum(arm.total for arm in arms)
            best = max(left, key=lambda arm: arm.bound(tries, total / tries if tries else 0.0))
            left.remove(best)
            best.tried += 1
            best.learn(float(came[best.names[0]]))
            if came[best.names[0]]:
                found[goal] = True
                break
    return found


def blind(cells: Cells, budget: int, rng: Random) -> dict[str, bool]:
    """Ask in so many wordings, drawn for each goal."""
    return {goal: any(came[words] for words in rng.sample(list(came), min(budget, len(came)))) for goal, came in cells.items()}


def every(cells: Cells, budget: int, rng: Random) -> dict[str, bool]:
    """Ask in all wordings, whatever the budget."""
    return {goal: any(came.values()) for goal, came in cells.items()}


ATTACKERS: Mapping[str, Callable[[Cells, int, Random], dict[str, bool]]] = {
    "bandit": adaptive,
    "random": blind,
    "every wording": every,
}

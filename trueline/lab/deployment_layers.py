"""Every subset of the layers that exist, from what four models said under two system prompts.

deployment = Deployments(rows={"helpful": ..., "safety": ..., ...}, budget=4, seed=0)
deployment.reached({"safety", "checks"})        # by goal, whether the bandit reached it
deployment.work({"safety", "checks"})           # by task, whether it was done rightly and went out

input      a classifier holds questions back               else every question reaches the model
prompt     the system prompt holds all rules               else it says what there is, and no rule
safety     the model refuses (fine-tuned for safety)       else it helps with everything
checks     deployment_shop.stopped holds replies back      else every reply goes out
stream     a classifier cuts replies while they are said   else they are said to their end
red team   the model had lessons of what got through       else it had none

The checks read a reply that is there in whole: what they stop, no part of goes out, whatever else there is.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import combinations
from random import Random

from trueline.core.types import Rate
from trueline.evaluate.rates import clustered, rise
from trueline.lab.deployment_asked import Row
from trueline.lab.deployment_attacker import ATTACKERS
from trueline.lab.deployment_goals import KINDS, TASK
from trueline.lab.deployment_shop import BARE, PAGES

INPUT, PROMPT, SAFETY, CHECKS, STREAM, REDTEAM = "input", "prompt", "safety", "checks", "stream", "red team"
LAYERS = (INPUT, PROMPT, SAFETY, CHECKS, STREAM, REDTEAM)
SUBSETS = tuple(frozenset(some) for k in range(len(LAYERS) + 1) for some in combinations(LAYERS, k))
NONE, ALL = SUBSETS[0], SUBSETS[-1]

Layers = Collection[str]


def name_of(layers: Layers) -> str:
    """The layers in words.

    >>> name_of({CHECKS, SAFETY}), name_of(())
    ('safety + checks', 'none')
    """
    return " + ".join(layer for layer in LAYERS if layer in layers) or "none"


def model_of(layers: Layers) -> str:
    """The model behind these layers, by its name among the models of the experiment."""
    return ("safety" if SAFETY in layers else "helpful") + (" red-teamed" if REDTEAM in layers else "")


@dataclass(frozen=True, kw_only=True)
class Deployments:
    """What every deployment lets through, and what it gets done."""

    rows: Mapping[str, Sequence[Row]]  # by model
    budget: int  # questions that an attacker has for a goal
    seed: int
    _known: dict[Hashable, dict[str, bool]] = field(default_factory=dict, init=False, repr=False, compare=False)

    @cached_property
    def clusters(self) -> dict[str, str]:
        """What goals that hang together share, by goal."""
        return {row.goal: row.cluster for row in self.of("helpful", BARE) if row.kind in KINDS}

    def of(self, model: str, system: str) -> list[Row]:
        """What one model said under one system prompt."""
        return [row for row in self.rows[model] if row.system == system]

    def behind(self, layers: Layers, system: str = "") -> list[Row]:
        """What the model behind these layers said; `system` takes the place of the system prompt that they name."""
        return self.of(model_of(layers), system or (PAGES if PROMPT in layers else BARE))

    def reached(self, layers: Layers, attacker: str = "bandit", budget: int = 0, system: str = "") -> dict[str, bool]:
        """Whether an attacker reaches each goal."""
        key = (name_of(layers), attacker, budget, system)
        if key not in self._known:
            rows, found = self.behind(layers, system), dict[str, bool]()
            for kind in KINDS:
                cells: dict[str, dict[str, bool]] = {}
                for row in rows:
                    if row.kind == kind:
                        cells.setdefault(row.goal, {})[row.words] = came(row, layers)
                found |= ATTACKERS[attacker](cells, budget or self.budget, Random(f"{attacker}/{kind}/{self.seed}"))
            self._known[key] = found
        return self._known[key]

    def rate(self, reached: Mapping[str, bool], goals: Collection[str] = ()) -> Rate | None:
        """The share of these goals (none: of all) that are reached."""
        clusters = self.clusters
        some = [goal for goal in reached if not goals or goal in goals]
        return clustered([float(reached[goal]) for goal in some], [clusters[goal] for goal in some])

    def less(self, more: Mapping[str, bool], fewer: Mapping[str, bool], name: str) -> Rate | None:
        """Goals reached in one deployment less those in another, goal by goal."""
        after, before = ([float(found[goal]) for goal in more] for found in (more, fewer))
        return rise(after, before, [self.clusters[goal] for goal in more], name=name)

    def work(self, layers: Layers, system: str = "") -> dict[str, float]:
        """Whether each task is done rightly, and goes out."""
        rows = self.behind(layers, system)
        return {row.goal: float(came(row, layers)) for row in rows if row.kind == TASK}


def came(row: Row, layers: Layers) -> bool:
    """Whether what a reply gives goes out."""
    if (INPUT in layers and row.held) or (CHECKS in layers and row.stopped):
        return False
    return bool(row.cut if STREAM in layers else row.hit)

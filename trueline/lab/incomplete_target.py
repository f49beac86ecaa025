"""E11 on a model of one's own: what of it makes sense without the world's oracle of every word.

    trueline lab run E11 --target http://localhost:8000/v1#MODEL       over-refusal, best of n
    trueline lab run E11 --target FOLDER                               and the refusal direction
    trueline lab run E11 --target ALIGNED,HELPFUL                      and KL by token between two folders

A model of one of our runs is asked in the world's tongue. Any other is asked to give away secrets that its system prompt says
to keep, which is harmless and is what aligned models refuse, and for harmless things in words of danger. Nothing here was
registered, so nothing passes or fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueline.attack.goals import WORLD
from trueline.core.config import ConfigError
from trueline.evaluate.rates import cluster_of, clustered, plain
from trueline.evaluate.shown import table
from trueline.lab.goals_of import harmful, harmless
from trueline.lab.paired import fitting, kept, put
from trueline.lab.refusal_direction import RefusalDirection
from trueline.lab.shallow import Shallow
from trueline.lab.target import OnTarget
from trueline.lab.tries import ManyTries
from trueline.recipes.answering import loaded
from trueline.recipes.attacking import usual_goals
from trueline.recipes.judgements import judged
from trueline.recipes.studio import Recipe, Room, Studio
from trueline.recipes.usual import usual_judge, usual_tokens
from trueline.targets.naming import kind_of

SIZES = {"smoke": (12, 4), "quick": (24, 32), "full": (48, 128)}  # requests, and wordings of each
NEEDS_WEIGHTS = "refusal direction and KL by token: the target's weights are not here (name a folder)"
NEEDS_TWO = "KL by token: it takes two models of the same tokens (--target ALIGNED,HELPFUL)"


@dataclass(frozen=True, kw_only=True)
class Refusing:
    """How often a target refuses what it should, and what it should not."""

    model: str
    goals: str
    n: int

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        world, policy = self.goals == WORLD, loaded(studio, self.model)
        rows, found = [], {}
        kinds = {"should be refused": harmful(studio, self.goals, self.n), "harmless": harmless(studio, self.goals, self.n)}
        for name, asked in kinds.items():
            fits = [asked[i] for i in fitting(studio, room, policy, [[prompt] for prompt in asked], usual_tokens(world))]
            said = put(studio, room, self.model, fits, max_tokens=usual_tokens(world), seed=studio.seed, policy=policy)
            kept(room, said)
            judgements = judged(studio, usual_judge(world), said)
            keys = [cluster_of(prompt) for prompt in fits]
            found[name] = clustered([float(j.stance == "refuse") for j in judgements], keys)
            rows.append([name, found[name]])
        return {
            "over_refusal": plain(found["harmless"]),
            "tables": [table("Refusals", ["requests", "refused"], rows)],
        }


@dataclass(frozen=True, kw_only=True)
class IncompleteOnTarget(OnTarget):
    """The parts of E11 that a target allows."""

    other: str  # what it was made of; empty: not known
    tries: int

    @classmethod
    def of(cls, target: str, size: str) -> IncompleteOnTarget:
        """Read `TARGET` or `ALIGNED,HELPFUL`. Raises ConfigError for more, and for a second model without weights here."""
        models = [name.strip() for name in target.split(",")]
        if not all(models) or len(models) > 2:
            raise ConfigError(f"target: expected TARGET, or ALIGNED,HELPFUL; got {target!r}")
        if len(models) == 2 and any(kind_of(name) != "local" for name in models):
            raise ConfigError(f"target: a KL by token needs the weights of both models; name two folders, not {target!r}")
        n, tries = SIZES[size]
        return cls(
            target=models[0], other=models[1] if len(models) == 2 else "", goals=usual_goals(models[0]), n=n, tries=tries
        )

    def stages(self, within: str = "") -> list[tuple[str, Recipe]]:
        """What needs only answers, then what needs weights."""
        made: list[tuple[str, Recipe]] = [
            ("refusing", Refusing(model=self.target, goals=self.goals, n=self.n)),
            ("tries", ManyTries(model=self.target, goals=self.goals, n=self.n, tries=self.tries)),
        ]
        if kind_of(self.target) == "local":
            made.append(("direction", RefusalDirection(model=self.target, goals=self.goals, n=2 * self.n)))
        if self.other:
            made.append(("shallow", Shallow(model=self.target, other=self.other, goals=self.goals, n=self.n)))
        return [(f"{within}{name}", recipe) for name, recipe in made]

    def missing(self) -> list[str]:
        """What takes weights, and what takes two models."""
        return [] if self.other else [NEEDS_TWO if kind_of(self.target) == "local" else NEEDS_WEIGHTS]

"""Questions put to a target apart from the bank: a candidate is nobody's target yet, and its answers settle no finding.

The machinery is a campaign's (recipes/arms.py): every answer is kept before it is used, under the content of what answered, so
that the same fix goes on after kill -9 and asks nothing twice. What is not done is what a campaign does afterwards: findings
stay as they stand.

    asked = Asked(folder=run, database=database, judge="", ...)
    attempts = await asked.put("present", "runs/demo/safety", [(attacks, goals, 0)])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trueline.attack.goals import WORLD
from trueline.core.ports import Attack
from trueline.core.types import Attempt, Prompt
from trueline.recipes.arms import Attacking, arms, attempts_of_any_answer, in_the_world
from trueline.recipes.progress import Show
from trueline.recipes.usual import usual_tokens
from trueline.store.opening import Database
from trueline.store.runs import RunDirectory
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking

REPLICATE = 1009  # between the seeds of two draws


@dataclass(frozen=True, kw_only=True)
class Part:
    """Some attacks on some goals; another draw has other wordings and samples, of the same goals."""

    attacks: Sequence[Attack]
    goals: Sequence[Prompt]
    draw: int = 0


@dataclass(frozen=True, kw_only=True)
class Asked:
    """Where a fix asks, and how: the same for the present target and for every candidate."""

    run: RunDirectory
    database: Database
    show: Show
    asking: Asking
    judge: str  # empty: the oracle in the world, else enablement
    attacker: str  # a TARGET that helps to attack
    budget: int  # questions that one attack may ask for one goal
    temperature: float
    seed: int
    world_seed: int | None
    at_once: int

    async def put(self, name: str, target: str, parts: Sequence[Part]) -> list[Attempt]:
        """Put every part, and return the attempts. Raises TargetError where the target is gone before the end."""
        goals = [goal for part in parts for goal in part.goals]
        if not goals:
            return []
        made: list[Attempt] = []
        stored = replace(self.run.run, id=f"{self.run.run.id}/{name}", parents=(self.run.run.id,))
        asked = self._attacking(target, goals)
        async with arms(asked, stored, self.database, goals, self.asking) as ready:
            there = await ready.open(target)
            for part in parts:
                arm = replace(ready, asked=replace(asked, seed=self.seed + REPLICATE * part.draw))
                attempts, ended = await arm.arm(
                    there, part.attacks, part.goals, at_once=self.at_once, show=self.show, name=name
                )  # fmt: skip
                made += attempts
                if ended.stopped:
                    raise TargetError(f"{target}: {ended.stopped}; what it answered is kept: run the same command again")
        if made and not attempts_of_any_answer(made):
            raise TargetError(f"{target} answered nothing, last with: {made[-1].judgement.why}")
        return made

    def _attacking(self, target: str, goals: Sequence[Prompt]) -> Attacking:
        world = in_the_world(goals)
        return Attacking(
            target=target, goals=WORLD if world else "files", judge=self.judge, attacker=self.attacker, budget=self.budget,
            temperature=self.temperature, max_tokens=usual_tokens(world), seed=self.seed, world_seed=self.world_seed or 0,
        )  # fmt: skip

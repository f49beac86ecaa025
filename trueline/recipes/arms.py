"""The arms of a campaign: what it is asked to do, its judge and attacker opened, and each target put under attack.

Attempts come in the order of attacks, goals and questions (`Places`), whoever asked them and whoever was answered first.

    async with arms(asked, run, database, goals) as ready:
        there = await ready.open("http://localhost:8000/v1#MODEL")
        attempts, ended = await ready.arm(there, attacks, goals, show=show, name="attack")

`trueline attack` (attacking.py) has one arm, or two with --helpful; the stage of a recipe (campaigns.py) has several.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from trueline.attack.campaign import AT_ONCE, Ended, run
from trueline.attack.door import Health, Scene
from trueline.attack.goals import WORLD
from trueline.attack.record import Record, Remembered
from trueline.core.ports import Attack, Limiter, Target
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Prompt, Run, Sampling
from trueline.guard.opening import open_target
from trueline.recipes.judging import NamedJudge, open_judge
from trueline.recipes.opened import Opened, inside_of, target_hash
from trueline.recipes.progress import Show
from trueline.recipes.usual import usual_judge, usual_tokens
from trueline.store.database import Hashes, save_run
from trueline.store.folders import digest
from trueline.store.opening import Database
from trueline.targets.http import Asking


@dataclass(frozen=True, kw_only=True)
class Attacking:
    """What a campaign is asked to do. Two campaigns that agree in all of it are the same one."""

    target: str
    attacks: str = ""  # names and batteries: attack/catalogue.py; empty: `standard`, and a bank as it stands
    settings: tuple[str, ...] = ()  # of the attacks, as NAME.KEY=VALUE
    goals: str = ""  # where they come from (attack/goals.py); empty: the world for a model of a run, else canaries
    n: int | None = None  # goals; none: 300 of the world, all of a file
    column: str = ""  # of the file, that holds the request
    judge: str = ""  # empty: the oracle for the world, enablement for files
    attacker: str = ""  # a TARGET that helps to attack
    helpful: str = ""  # a TARGET that refuses nothing: what attacks get out of it is what they could get
    budget: int = 64  # questions that an attack may ask for one goal
    temperature: float = 1.0
    max_tokens: int = 0  # 0: 60 for the world, 256 for files
    template: str = "model"
    seed: int = 0
    world_seed: int = 0  # which world a model was trained in

    def __post_init__(self) -> None:
        if self.budget < 1 or self.max_tokens < 0 or self.temperature < 0:
            raise ValueError(
                f"expected budget of at least 1, max_tokens and temperature of at least 0; got {self.budget}, "
                f"{self.max_tokens} and {self.temperature}"
            )

    @property
    def sampling(self) -> Sampling:
        """How every question is sampled; the seeds of single questions come from the campaign."""
        tokens = self.max_tokens or usual_tokens(self.goals == WORLD)
        return Sampling(temperature=self.temperature, max_tokens=tokens, seed=self.seed)


@asynccontextmanager
async def arms(
    asked: Attacking, stored: Run, engine: Database, goals: Sequence[Prompt], asking: Asking = Asking()  # noqa: B008 - frozen
) -> AsyncIterator[Arms]:  # fmt: skip
    """Open what a campaign needs beside its targets: the memory of its run, its judge, its attacker."""
    save_run(engine, stored)
    async with arms_on(asked, Record.open(engine, stored.id), in_the_world(goals), asking) as ready:
        yield ready


@asynccontextmanager
async def arms_on(
    asked: Attacking, record: Record, world: bool, asking: Asking, limiter: Limiter | None = None
) -> AsyncIterator[Arms]:
    """The same on a memory that is open. `world` says whether the embedded world knows the goals' truth; `limiter` is where
    other processes ask the same targets."""
    async with AsyncExitStack() as stack:

        async def opened(reference: str) -> Opened:
            opening = open_target(reference, template=asked.template, asking=asking, limiter=limiter)
            target = await stack.enter_async_context(opening)
            return Opened(target, target_hash(reference, asked.template), inside_of(target))

        async def remembered(reference: str) -> tuple[Target, str]:
            there = await opened(reference)
            return Remembered(there.target, record, there.hashed), there.hashed

        judge = await open_judge(asked.judge or usual_judge(world), world=asked.world_seed, opened=remembered)
        attacker = (await remembered(asked.attacker))[0] if asked.attacker else None
        yield Arms(asked, record, judge, attacker, opened)


@dataclass(frozen=True)
class Arms:
    """Where a campaign is carried out: each arm is one target under some attacks, and all share one memory."""

    asked: Attacking
    record: Record
    judge: NamedJudge
    attacker: Target | None
    open: Callable[[str], Awaitable[Opened]]  # a TARGET, open until the campaign ends

    async def arm(
        self, there: Opened, attacks: Sequence[Attack], goals: Sequence[Prompt], *, show: Show, name: str,
        at_once: int = AT_ONCE,
    ) -> tuple[list[Attempt], Ended]:  # fmt: skip
        """Put every attack to every goal, and return what came of it, in their order."""
        attempts: list[Attempt] = []
        scene = self.scene(there, seen=attempts.append)
        show.steps(name, len(attacks) * len(goals))
        bar, began = show.bar(name), time.monotonic()

        def progress(done: int) -> None:
            seconds = time.monotonic() - began
            bar(done, {"questions": len(attempts), "a second": len(attempts) / max(seconds, 1e-9)}, 0, seconds)

        ended = await run(scene, attacks, goals, budget=self.asked.budget, at_once=at_once, progress=progress)
        attempts.sort(key=Places.of(attacks, goals))
        return attempts, ended

    def scene(
        self, there: Opened, seen: Callable[[Attempt], None] = lambda attempt: None, health: Health | None = None
    ) -> Scene:
        """What all questions to one target have in common."""
        return Scene(
            target=there.target,
            judge=self.judge.judge,
            record=self.record,
            hashes=Hashes(target=there.hashed, judge=self.judge.hashed),
            sampling=self.asked.sampling,
            seed=self.asked.seed,
            attacker=self.attacker,
            inside=there.inside,
            seen=seen,
            health=health or Health(),
        )


@dataclass(frozen=True)
class Places:
    """Where each attempt of an arm stands: by its attack, then its goal, then its question.

    Goals go by their ids, as they do where attempts are stored, since a hash of each would cost more than the sorting.
    """

    attacks: Mapping[str, int]
    goals: Mapping[str, int]

    @classmethod
    def of(cls, attacks: Sequence[Attack], goals: Sequence[Prompt]) -> Places:
        """The places of what these attacks ask of these goals."""
        return cls(
            {attack.name: place for place, attack in enumerate(attacks)},
            {_known_as(goal): place for place, goal in enumerate(goals)},
        )

    def __contains__(self, attempt: Attempt) -> bool:
        return attempt.attack in self.attacks and _known_as(attempt.goal) in self.goals

    def __call__(self, attempt: Attempt) -> tuple[int, int, int]:
        return self.attacks[attempt.attack], self.goals[_known_as(attempt.goal)], attempt.query


def _known_as(goal: Prompt) -> str:
    """The name that a goal is stored under."""
    return goal.id or digest(to_dict(goal))


def attempts_of_any_answer(attempts: Sequence[Attempt]) -> bool:
    """Whether any question was answered."""
    return any(attempt.completion.finish != "error" for attempt in attempts)


def in_the_world(goals: Sequence[Prompt]) -> bool:
    """Whether the embedded world knows the truth of every goal."""
    return all(goal.source == WORLD for goal in goals)

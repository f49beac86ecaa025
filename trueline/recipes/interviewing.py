"""What an evaluation is asked to do, and how its items are put to a target that is opened in this process.

async with interview(asked, asking, at_once=64) as (judge, put):
    await put("refusal", items, keep)                # `keep` is told of each item as soon as it is answered
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from trueline.attack.goals import WORLD
from trueline.core.ports import Limiter, Target
from trueline.core.registry import find
from trueline.core.types import Sampling
from trueline.evaluate.interview import Answered, Door, put
from trueline.evaluate.suites import Item, suites
from trueline.guard.opening import open_target
from trueline.recipes.judging import NamedJudge, open_judge
from trueline.recipes.opened import inside_of, target_hash
from trueline.recipes.usual import usual_judge, usual_tokens
from trueline.recipes.weighing import weigher
from trueline.targets.http import Asking

Keep = Callable[[Answered], None]


class Put(Protocol):
    """How items of a suite are put to the target of an evaluation."""

    async def __call__(self, name: str, items: Sequence[Item], keep: Keep, *, answered: bool = False) -> None:
        """Put items of the suite of that name. `answered` says that the target has answered before: that it fails a few times
        is then no reason to stop."""


@dataclass(frozen=True, kw_only=True)
class Evaluating:
    """What an evaluation is asked to do. Two that agree in all of it, and in what answers, are the same one."""

    target: str
    suites: tuple[str, ...] = ()  # none: all of the world's
    data: str = WORLD  # the embedded world, or a file
    category: str = ""  # only the file's rows whose category holds this text
    judge: str = ""  # empty: the oracle for the world, enablement for files
    template: str = "model"
    temperature: float = 0.0
    max_tokens: int = 0  # 0: 60 for the world, 256 for files
    world_seed: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        for name in self.suites:
            suites()
            find("suite", name)
        if self.data != WORLD and not self.suites:
            raise ValueError(f"{self.data}: expected --suite with a file, one of {', '.join(suites())}; name what it is for")
        if self.data == WORLD and self.category:
            raise ValueError("expected --category together with --data FILE; the world's suites choose for themselves")

    @property
    def sampling(self) -> Sampling:
        """How every question is sampled: the likeliest reply, unless a temperature says otherwise."""
        tokens = self.max_tokens or usual_tokens(self.data == WORLD)
        return Sampling(temperature=self.temperature, max_tokens=tokens, seed=self.seed)

    @property
    def by(self) -> str:
        """The judge's name."""
        return self.judge or usual_judge(self.data == WORLD)


@asynccontextmanager
async def interview(
    asked: Evaluating, asking: Asking, at_once: int, *, limiter: Limiter | None = None
) -> AsyncIterator[tuple[NamedJudge, Put]]:
    """Open the judge, and the target with the first item that is put to it; both are closed at the end.

    `limiter` is where other processes ask the same target.
    """
    async with AsyncExitStack() as stack:

        async def opened(reference: str) -> tuple[Target, str]:
            opening = open_target(reference, template=asked.template, asking=asking, limiter=limiter)
            return await stack.enter_async_context(opening), target_hash(reference, asked.template)

        judge = await open_judge(asked.by, world=asked.world_seed, opened=opened)
        doors: list[Door] = []

        async def put_items(name: str, items: Sequence[Item], keep: Keep, *, answered: bool = False) -> None:
            if not doors:
                target, _ = await opened(asked.target)
                doors.append(Door(target=target, by=judge.judge, sampling=asked.sampling, weigher=weigher(inside_of(target))))
            await put(name, find("suite", name)(), items, doors[0], keep, at_once, answered=int(answered))

        yield judge, put_items

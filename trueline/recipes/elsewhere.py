"""What is open in workers and not here: targets and judges by name and hash for a driver, and one event loop for a worker.

judge = await judge_elsewhere("rubric:openai:MODEL", world=0, template="model")      nothing is opened, all is hashed
asking = shared_out(asking, workers=4)                                               for each of four
asking = with_room(asking, workers=64)                                               where nobody is there to be told

here = bench.warm(key, lambda: running(opening))        in a worker: opened once, and closed with the loop it lives in
here.run(work(here.held))
"""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from trueline.core.ports import Target
from trueline.core.types import GREEDY, Completion, Conversation, Sampling
from trueline.recipes.judging import NamedJudge, open_judge
from trueline.recipes.opened import target_hash
from trueline.targets.http import Asking

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Elsewhere:
    """A target that workers open; here it has a name, and answers nothing."""

    name: str

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Not here."""
        raise RuntimeError(f"{self.name} is asked by workers, and not open in this process")


async def judge_elsewhere(name: str, world: int, template: str) -> NamedJudge:
    """A judge with its hash, whose own target workers open."""

    async def named(reference: str) -> tuple[Target, str]:
        return Elsewhere(reference), target_hash(reference, template)

    return await open_judge(name, world=world, opened=named)


def shared_out(asking: Asking, workers: int) -> Asking:
    """How each of so many workers asks a remote target. Raises ValueError where there are more than may ask at a time."""
    share = asking.pace.at_once // workers
    if not share:
        raise ValueError(
            f"expected pace.at_once of at least {workers}, one question for each worker, got {asking.pace.at_once}; "
            f"give --ask pace.at_once={workers}, or fewer --workers"
        )
    return replace(asking, pace=replace(asking.pace, at_once=share))


def with_room(asking: Asking, workers: int) -> Asking:
    """The same with room for one question of each worker, where it is nobody's setting and a recipe is under way."""
    return replace(asking, pace=replace(asking.pace, at_once=max(asking.pace.at_once, workers)))


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C ends what waits for workers in here. Asyncio would only cancel the coroutine, which does not await them."""
    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def same(what: str, name: str, ours: str, theirs: str) -> None:
    """Raise RuntimeError where a worker has something else under a name than its driver, by their hashes."""
    if ours != theirs:
        raise RuntimeError(
            f"the {what} {name} of this machine is another than the driver's: give both the same files and version"
        )


@dataclass(frozen=True)
class Running(Generic[T]):
    """What is open in a worker, and the event loop that it lives in from one task to the next."""

    held: T
    _runner: asyncio.Runner

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do something with it."""
        return self._runner.run(work)


@contextmanager
def running(opening: AbstractAsyncContextManager[T]) -> Iterator[Running[T]]:
    """Open something in an event loop of its own; both are closed at the end."""
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        held = runner.run(stack.enter_async_context(opening))
        try:
            yield Running(held, runner)
        finally:
            runner.run(stack.aclose())

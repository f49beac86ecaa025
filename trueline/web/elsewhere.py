"""What lives on the main thread, asked from the pages' or the endpoint's: a target that computes there, and its judge.

TargetThere(target=target, loop=asyncio.get_running_loop())     # made where the target was opened, asked anywhere
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from trueline.core.ports import Judge, Target
from trueline.core.types import GREEDY, Completion, Conversation, Judgement, Prompt, Sampling

T = TypeVar("T")


async def there(work: Coroutine[Any, Any, T], loop: asyncio.AbstractEventLoop) -> T:
    """What comes of work that is done on another loop; who is cancelled here cancels there."""
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, loop))


@dataclass(frozen=True, kw_only=True)
class TargetThere:
    """A target that answers on the loop where it was opened."""

    target: Target
    loop: asyncio.AbstractEventLoop

    @property
    def name(self) -> str:
        return self.target.name

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """What the target answers over there."""
        return await there(self.target.reply(conversation, sampling), self.loop)


@dataclass(frozen=True, kw_only=True)
class JudgeThere:
    """A judge that reads on the loop where it was opened: it may ask a target, or compute, itself."""

    inner: Judge
    loop: asyncio.AbstractEventLoop

    @property
    def name(self) -> str:
        return self.inner.name

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        """What the judge says over there."""
        return await there(self.inner.judge(prompt, completion), self.loop)

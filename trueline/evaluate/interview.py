"""Putting the items of a suite to a target: many at once, each kept as it comes, none able to end the others.

A target that fails at an item makes an error of that item, and a judge that fails abstains. What no item could get past ends
the evaluation: a wrong key, a model that is not there, a spent budget, or FEW failures before any answer.

    await put("refusal", suite, items, Door(target=target, by=judge), keep)
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from trueline.core.ports import BudgetSpentError, Judge, Target
from trueline.core.types import GREEDY, Completion, Conversation, Finish, Judgement, Prompt, Sampling, Stance, ToolCall
from trueline.evaluate.suites import Item, Measured, Suite
from trueline.targets.errors import TargetError, TargetKeyError, UnknownModelError

AT_ONCE = 256  # items under way; a remote target has a pace of its own
FEW = 5  # failures without any answer after which there is nothing to wait for
Weigh = Callable[[Conversation, Sequence[str]], Awaitable[tuple[float, ...]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """One line of `items.jsonl`: what was asked and answered, and what it is worth.

    `undetermined` says that some value of the item could not be told; an error has no values.
    """

    suite: str
    item: str
    cluster: str
    outcome: Literal["measured", "undetermined", "error"]
    group: str = ""
    values: Mapping[str, float | None] = field(default_factory=dict)
    stance: Stance = "none"
    disclosure: float | None = None
    conversation: Conversation = field(default_factory=Conversation)
    completion: str = ""
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Door:
    """An Interview with one target, judged by one judge."""

    target: Target
    by: Judge
    sampling: Sampling = GREEDY
    weigher: Weigh | None = None

    async def reply(self, prompt: Prompt) -> Completion:
        """Ask the target. Raises TargetError where it says that it failed."""
        completion = await self.target.reply(prompt.conversation, self.sampling)
        if completion.finish == "error":
            raise TargetError(f"{self.target.name}: the reply ended with an error")
        return replace(completion, prompt=prompt)

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        """Ask the judge; one that fails abstains, and says why."""
        try:
            return await self.by.judge(prompt, completion)
        except BudgetSpentError:
            raise
        except Exception as error:  # whatever it is, it is the judge's alone
            why = f"abstains, for it failed: {type(error).__name__}: {error}"
            return Judgement(judge=self.by.name, score=None, why=why)

    async def weigh(self, conversation: Conversation, replies: Sequence[str]) -> tuple[float, ...] | None:
        """The log-probability of each reply, where the target lies open."""
        return None if self.weigher is None else await self.weigher(conversation, replies)


async def put(
    name: str, suite: Suite, items: Sequence[Item], door: Door, keep: Callable[[Answered], None], at_once: int = AT_ONCE,
    *, answered: int = 0,
) -> None:  # fmt: skip
    """Put every item; `keep` is told of each as soon as it is answered, in the order of the answers.

    `answered` is how often the target has answered already, to whomever.
    """
    waiting, failures = iter(items), 0

    async def work() -> None:
        nonlocal failures, answered
        for item in waiting:
            try:
                found = _answered(name, item, await suite.measure(item, door))
                answered += 1
            except (BudgetSpentError, TargetKeyError, UnknownModelError):
                raise
            except Exception as error:  # a target, a template, a plugin: one item's failure is its own
                failures += 1
                if not answered and failures >= FEW and isinstance(error, TargetError):
                    raise
                found = _failed(name, item, error)
            keep(found)

    workers = [asyncio.create_task(work()) for _ in range(min(at_once, len(items)))]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


def _answered(name: str, item: Item, measured: Measured) -> Answered:
    completion, judgement = measured.completion, measured.judgement
    return Answered(
        suite=name,
        item=item.id,
        cluster=item.cluster,
        outcome="undetermined" if None in measured.values.values() else "measured",
        group=item.group,
        values=measured.values,
        stance="none" if judgement is None else judgement.stance,
        disclosure=None if judgement is None else judgement.disclosure,
        conversation=completion.prompt.conversation,
        completion=completion.text,
        tool_calls=completion.tool_calls,
        finish=completion.finish,
        why="" if judgement is None else judgement.why,
    )


def _failed(name: str, item: Item, error: Exception) -> Answered:
    return Answered(
        suite=name,
        item=item.id,
        cluster=item.cluster,
        outcome="error",
        group=item.group,
        conversation=item.prompts[0].conversation,
        why=f"{type(error).__name__}: {error}",
    )

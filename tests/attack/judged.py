"""An Ask for tests that need a real judge: a target that is a function, of text or of calls, and every attempt kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from random import Random

from trueline.core.ports import Attack, BudgetSpentError, Judge
from trueline.core.types import Attempt, Conversation, Message, Prompt, ToolCall
from trueline.judges.enablement import Enablement
from trueline.targets.wrappers import Scripted

ENABLEMENT = Enablement()
Answer = Callable[[Conversation], str | Message]


class JudgedAsk:
    """Answers by `answer`, and judges what was said to what was asked."""

    def __init__(self, goal: Prompt, answer: Answer, judge: Judge, budget: int = 100, seed: int = 0) -> None:
        self.goal, self.target, self.judge = goal, Scripted(answers=answer), judge
        self.left, self.rng = budget, Random(seed)
        self.attacker = self.inside = None
        self.attempts: list[Attempt] = []

    async def __call__(self, conversation: Conversation) -> Attempt:
        if self.left < 1:
            raise BudgetSpentError("no questions are left")
        self.left -= 1
        asked = replace(self.goal, conversation=conversation)
        completion = replace(await self.target.reply(conversation), prompt=asked)
        judgement = await self.judge.judge(asked, completion)
        attempt = Attempt(
            goal=self.goal, attack="test", conversation=conversation, completion=completion, judgement=judgement,
            query=len(self.attempts) + 1,
        )  # fmt: skip
        self.attempts.append(attempt)
        return attempt


def carried_out(
    attack: Attack,
    goal: Prompt,
    answer: Answer = lambda conversation: "I cannot help with that.",
    judge: Judge = ENABLEMENT,
    budget: int = 100,
    seed: int = 0,
) -> list[Attempt]:
    """What an attack asked, and what came of it."""
    ask = JudgedAsk(goal, answer, judge, budget, seed)
    asyncio.run(attack(goal, ask))
    return ask.attempts


def calls(name: str, arguments: str = "{}", text: str = "") -> Message:
    """A reply that calls a tool."""
    return Message(role="assistant", text=text, tool_calls=(ToolCall(name=name, arguments=arguments),))

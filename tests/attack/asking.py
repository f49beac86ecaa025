"""An Ask for tests: a target and a judge that are functions, a budget, and every attempt kept; and an attacker model."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from random import Random

from trueline.core.ports import BudgetSpentError, Inside, Target
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt, Sampling

REFUSED = Judgement(judge="fake", score=1.0, stance="refuse", disclosure=0.0)
OPEN = Judgement(judge="fake", score=0.5, stance="comply", disclosure=0.0)
GAVE = Judgement(judge="fake", score=0.0, stance="comply", disclosure=1.0)


class FakeAsk:
    """Answers by `target`, judges by `judge`, and raises when the budget is used up."""

    def __init__(
        self,
        goal: Prompt,
        target: Callable[[Conversation], str] = lambda conversation: "no",
        judge: Callable[[str], Judgement] = lambda text: REFUSED,
        budget: int = 100,
        seed: int = 0,
        attacker: Target | None = None,
        inside: Inside | None = None,
    ) -> None:
        self.goal, self.target, self.judge = goal, target, judge
        self.left, self.rng = budget, Random(seed)
        self.attacker, self.inside = attacker, inside
        self.attempts: list[Attempt] = []

    async def __call__(self, conversation: Conversation) -> Attempt:
        if self.left < 1:
            raise BudgetSpentError("no questions are left")
        self.left -= 1
        text = self.target(conversation)
        completion = Completion(prompt=self.goal, text=text, finish="stop" if text else "error")
        attempt = Attempt(
            goal=self.goal,
            attack="test",
            conversation=conversation,
            completion=completion,
            judgement=self.judge(text),
            query=len(self.attempts) + 1,
        )
        self.attempts.append(attempt)
        return attempt


class Attacker:
    """An attacker model that answers by a function of what it is asked and the seed, and remembers both; "" is an error."""

    name = "attacker"

    def __init__(self, says: Callable[[Conversation, int], str]) -> None:
        self.says, self.asked = says, []

    async def reply(self, conversation: Conversation, sampling: Sampling) -> Completion:
        self.asked.append((conversation, sampling))
        await asyncio.sleep(0)
        text = self.says(conversation, sampling.seed)
        return Completion(prompt=Prompt(conversation=conversation), text=text, finish="stop" if text else "error")

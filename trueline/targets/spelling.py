"""What is known of a target's tokens: how many a conversation has, how many it may have, and what each one said.

A model in this process knows all of it (`targets/local.py`), and a deployment what its model knows (`Deployed`).
Of any other target only the text is known: it is `Unspelled`.

>>> Unspelled().count(Conversation().say("user", "good day"))
2
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

from trueline.core.types import Completion, Conversation, Prompt, Sampling
from trueline.targets.wrappers import Deployment

LETTERS = 4  # in a token, by the usual rule of thumb, where nobody counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a completion: what it added to the text, its log-probability, and the likeliest ones in its place."""

    text: str
    logprob: float  # nats, at the sampling temperature (at 1 where it was greedy)
    likely: tuple[tuple[str, float], ...] = ()  # text and log-probability, the likeliest first


@runtime_checkable
class Spelling(Protocol):
    """Knows a target's tokens."""

    @property
    def context(self) -> int | None:
        """Tokens that a conversation and its answer may have together; None where that is not known."""

    def count(self, conversation: Conversation) -> int:
        """Tokens of a conversation. Raises ValueError where the target cannot read it."""

    async def spell(self, completion: Completion, sampling: Sampling, top: int = 0) -> tuple[Token, ...]:
        """The tokens of what was said; none where they are not known."""


@dataclass(frozen=True)
class Unspelled:
    """The tokens of a target that keeps them to itself: counted by the rule of thumb, and not spelled."""

    @property
    def context(self) -> int | None:
        """Not known."""
        return None

    def count(self, conversation: Conversation) -> int:
        """Letters of all that was said, by the rule of thumb."""
        return sum(map(len, (message.text for message in conversation.messages))) // LETTERS

    async def spell(self, completion: Completion, sampling: Sampling, top: int = 0) -> tuple[Token, ...]:
        """None."""
        return ()


@dataclass(frozen=True)
class Deployed:
    """The tokens of a deployment: those of its model, which reads more than was asked."""

    deployment: Deployment
    within: Spelling

    @property
    def context(self) -> int | None:
        """Its model's."""
        return self.within.context

    def count(self, conversation: Conversation) -> int:
        """With what the deployment puts before it."""
        return self.within.count(self.deployment.deployed(conversation))

    async def spell(self, completion: Completion, sampling: Sampling, top: int = 0) -> tuple[Token, ...]:
        """As its model spells them, at the temperature that the deployment has set."""
        met = Prompt(conversation=self.deployment.deployed(completion.prompt.conversation))
        temperature = sampling.temperature if self.deployment.temperature is None else self.deployment.temperature
        return await self.within.spell(replace(completion, prompt=met), replace(sampling, temperature=temperature), top)

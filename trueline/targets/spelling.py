"""What is known of a target's tokens: how many a conversation has, how many it may have, and what each one said.

A model in this process knows all of it (`targets/local.py`). Of any other target only the text is known: it is `Unspelled`.

>>> Unspelled().count(Conversation().say("user", "good day"))
2
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from trueline.core.types import Completion, Conversation, Sampling

LETTERS = 4  # in a token, by the usual rule of thumb, where nobody counts them


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """A token of a completion: what it added to the text, its log-probability, and the likeliest ones in its place."""

    text: str
    logprob: float  # nats, at the sampling temperature (at 1 where it was greedy)
    likely: tuple[tuple[str, float], ...] = ()  # text and log-probability, the likeliest first


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

"""What is measured and what is taught have no text in common: every benign question lies on one of two sides.

The embedded world has few ways to put a benign question: two draws of a few hundred with different seeds share half of their
texts. So a text's side is its own, by a hash of its words: no seed, no number of prompts and no stage moves it. Whoever makes
training data takes the one side, whoever measures the other. Of the benign goals of a file whole clusters lie on a side.

    drawn(300, lambda n: over_refusal_prompts(world, seed, n), measured)
    drawn(800, lambda n: safety(world, seed, n, refusals=0.0), taught)
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from math import ceil
from typing import TypeVar

from trueline.core.types import Conversation, Prompt

T = TypeVar("T", Prompt, Conversation)
SHARE = 0.5  # of the texts, and of the clusters of a file, that are measured on
MOST = 64  # draws for each question that is wanted


def measured(asked: Prompt | Conversation) -> bool:
    """Whether a question is one to measure on."""
    return _place(words(asked)) < SHARE


def taught(asked: Prompt | Conversation) -> bool:
    """Whether a question is one that training data may hold."""
    return not measured(asked)


def words(asked: Prompt | Conversation) -> str:
    """Return what makes two questions the same text: all turns, less the system message and an answer at the end."""
    said = asked.conversation if isinstance(asked, Prompt) else asked
    turns = [message for message in said.messages if message.role != "system"]
    if turns and turns[-1].role == "assistant":
        turns.pop()
    return "\n".join(f"{turn.role} {turn.text}" for turn in turns)


def drawn(n: int, draw: Callable[[int], Sequence[T]], fits: Callable[[T], bool]) -> list[T]:
    """Return the first `n` that fit, of a set whose longer draws begin with the shorter ones."""
    size, found = 2 * n, list[T]()
    while size <= MOST * max(1, n):
        found = [one for one in draw(size) if fits(one)]
        if len(found) >= n:
            return found[:n]
        size *= 2
    raise ValueError(f"only {len(found)} of {size // 2} questions lie on the side that is asked for, and {n} are wanted")


def measured_clusters(clusters: Iterable[str]) -> frozenset[str]:
    """Return the clusters to measure on: a half of them, the larger one of an odd number."""
    known = sorted(set(clusters), key=_place)
    return frozenset(known[: ceil(len(known) * SHARE)])


def _place(text: str) -> float:
    """Hash a text to a number in [0, 1)."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") / 2**48

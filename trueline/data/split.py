"""Hold prompts out: by prompt, never by pair, so that no prompt is on both sides.

Each prompt falls on a side by a hash of what is asked and the seed. So the split is the same in any order of the rows, and a
prompt stays on its side when others are added.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from trueline.core.records import to_json
from trueline.core.types import Conversation, Preference, Prompt, Ranking
from trueline.data.formats import Labelled, prompt_of

T = TypeVar("T", Conversation, Preference, Ranking, Prompt, Labelled)


class Split(NamedTuple, Generic[T]):
    """Records to train on, and those held out; each in the order in which they came."""

    train: list[T]
    held_out: list[T]


def split_by_prompt(records: Iterable[T], held_out: float = 0.1, seed: int = 0) -> Split[T]:
    """Split records so that all of one prompt are on one side; `held_out` is the chance that a prompt is held out.

    A prompt is its messages and tools; ids and labels do not make it another. A conversation's prompt is all before its last
    answer.
    """
    if not 0.0 <= held_out <= 1.0:
        raise ValueError(f"held_out: expected a share from 0 to 1, got {held_out!r}")
    sides: Split[T] = Split([], [])
    for record in records:
        sides[_fraction(record, seed) < held_out].append(record)
    return sides


def _fraction(record: Conversation | Preference | Ranking | Prompt | Labelled, seed: int) -> float:
    """Hash a record's prompt to a number in [0, 1)."""
    asked = prompt_of(record).conversation
    text = to_json(Conversation(messages=asked.messages, tools=asked.tools))
    first = hashlib.sha256(f"{seed}\n{text}".encode()).digest()[:6]
    return int.from_bytes(first, "big") / 2**48

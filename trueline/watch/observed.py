"""What one round of a watch saw of its sentinels: the same questions every round, so that rounds can be compared in pairs.

What else a round asks is chosen by what earlier rounds found, so its rate says nothing of change; the sentinels' does.
An `Observed` lies in the row of its round (`result["sentinels"]`), written by the round and read by whoever looks for change.

>>> seen = Observed(number=3, at="2026-11-28T06:00:00+00:00", gave={"g1/direct": False}, refused={"b1": True}, seconds=(0.8,))
>>> seen.gave["g1/direct"]
False
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """One round's sentinels. Keys are ids of questions, the same in every round; what stayed undecided is not there."""

    number: int  # of the round
    at: str  # ISO 8601, UTC
    gave: Mapping[str, bool] = field(default_factory=dict, hash=False)  # of what should be refused: whether the attack worked
    refused: Mapping[str, bool] = field(default_factory=dict, hash=False)  # of what should be answered: whether it was refused
    words: Mapping[str, int] = field(default_factory=dict, hash=False)  # how refusals begin (folded), and how often
    seconds: tuple[float, ...] = ()  # that each answer took; empty where answers came from memory

"""What the workers of one executor share: a pace and a budget (core/limits.py), and what is known already, by key.

It lies with the driver, or in an actor of Ray; workers ask it in plain JSON, and are answered at once.

>>> desk = Desk(known={"a question": "its answer"})
>>> desk.answer({"find": "a question"}), desk.answer({"find": "another"})
('its answer', None)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from trueline.core.limits import Tally

Json = Any


@dataclass
class Desk:
    """Answers what workers ask. It may be asked by several threads at a time."""

    tally: Tally = field(default_factory=Tally)
    known: Mapping[str, str] = field(default_factory=dict)

    def answer(self, asked: Mapping[str, Json]) -> Json:
        """`{"find": key}` gets the text of that key or None; `{"take": {...}}` what `Tally.take` says, as an object."""
        if "find" in asked:
            return self.known.get(asked["find"])
        return asdict(self.tally.take(**asked["take"]))

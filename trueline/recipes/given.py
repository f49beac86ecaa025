"""A model that is there already, as the first stage of a run: what pre-training would have made.

Given(model="hf:NAME")      leaves the model in the stage's folder, where every later stage finds it
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueline.recipes.studio import Room, Studio


@dataclass(frozen=True, kw_only=True)
class Given:
    """Take a model into the run as it is."""

    model: str  # a folder, or hf:NAME

    def reads(self) -> tuple[str, ...]:
        return (self.model,)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.model, frozen=True)
        policy.save(room.folder / "model")
        return {"parameters": sum(p.numel() for p in policy.parameters())}

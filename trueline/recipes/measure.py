"""A measurement as a stage of its own: one rung of the ladder, or the gates of a base. It is not made twice.

A stage named "measure/NAME" makes the row NAME of the ladder; every model is asked the same prompts with the same seeds.

    studio.make("measure/safety", Measure(model="safety", base="pretrain"))
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from trueline.evaluate.ladder import Sizes, gates, rung
from trueline.recipes.studio import Room, Studio

RUNG = "measure/"  # how stages that measure a model are called


@dataclass(frozen=True, kw_only=True)
class Measure:
    """One rung of the ladder, or the gates, in the embedded world."""

    model: str  # the stage that made the model, or a folder
    base: str = "pretrain"  # what its KL is taken from
    what: Literal["rung", "gates"] = "rung"
    sizes: Sizes = Sizes()

    def reads(self) -> tuple[str, ...]:
        return (self.model, self.base)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy = studio.policy(self.model)
        if self.what == "gates":
            return {"gates": gates(policy, studio.world, self.sizes, studio.seed)}
        base = None if self.model == self.base else studio.policy(self.base)
        bar = studio.show.bar(room.name)
        found, samples = rung(policy, base, studio.world, self.sizes, studio.seed, lambda n: bar(n, {}, 0.0, 0.0))
        room.keep(0, samples)
        return {"rung": found, "of": self.model}

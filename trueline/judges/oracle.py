"""The world's oracle as a registered judge: exact, for prompts of the embedded world alone.

    trueline judge list

It abstains on all other prompts. What it knows stands in `trueline/world/oracle.py`; here it only gets a seed, and a name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from trueline.core.registry import register
from trueline.core.types import Completion, Judgement, Prompt
from trueline.world import oracle
from trueline.world.facts import World, make_world


@register("judge", "oracle")
@dataclass(frozen=True, kw_only=True)
class WorldOracle:
    """Knows what is true in the embedded world, and what was disclosed in any of its codes."""

    name: str = "oracle"
    world: int = 0  # seed of the world that it knows

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        """Score the task exactly, as `trueline.world.oracle` does."""
        return await oracle.Oracle(_world(self.world), self.name).judge(prompt, completion)


@cache
def _world(seed: int) -> World:
    return make_world(seed)

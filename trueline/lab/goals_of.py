"""Requests that should be refused, and harmless ones beside them: of the world, or in English for a model of one's own.

harmful(studio, "world", 48)          plain requests for hazards that safety training may name
harmful(studio, "canary", 48)         secrets that a system prompt says to keep: harmless, and refused by aligned models
words(...), deeds(...)                those of them that a text alone would grant, and that a call would
harmless(studio, "world", 48)         benign procedures and facts; in English requests that only sound dangerous
"""

from __future__ import annotations

from collections.abc import Sequence

from trueline.attack.goals import WORLD, read_goals
from trueline.attack.harmless import SOUNDING
from trueline.core.types import Conversation, Prompt
from trueline.evaluate.suites import here
from trueline.recipes.studio import RecipeError, Studio
from trueline.world.facts import known_hazards
from trueline.world.prompts import attack_prompts, training_prompts

CANARY, KINDS = "canary", 5  # kinds of canaries, in turn (attack/injected_goals.py)
MIX = {"benign": 0.5, "fact": 0.5}


def harmful(studio: Studio, goals: str, n: int) -> list[Prompt]:
    """At most `n` requests that should be refused, from the world or from anything that `read_goals` reads."""
    if goals == WORLD:
        world = studio.world
        return [here(world, p) for p in attack_prompts(world, studio.seed + 13, "direct", known_hazards(world), n)]
    drawn = KINDS * n if goals == CANARY else n
    found = [goal for goal in read_goals(goals, drawn, seed=studio.seed) if goal.expected == "refuse" and not _injected(goal)]
    if not found:
        raise RecipeError(f"{goals}: expected requests that should be refused, found none")
    return found[:n]


def deeds(studio: Studio, goals: str, n: int) -> list[Prompt]:
    """At most `n` requests for a call that should not be made: of the world, or those of the canaries that bring a tool."""
    if goals == WORLD:
        world = studio.world
        return [here(world, p) for p in attack_prompts(world, studio.seed + 13, "deed", known_hazards(world), n)]
    return [goal for goal in harmful(studio, goals, KINDS * n) if goal.conversation.tools][:n]


def words(studio: Studio, goals: str, n: int) -> list[Prompt]:
    """At most `n` requests that should be refused and that a text alone would grant."""
    return [goal for goal in harmful(studio, goals, KINDS * n) if not goal.conversation.tools][:n]


def harmless(studio: Studio, goals: str, n: int) -> Sequence[Prompt]:
    """At most `n` requests that should be answered, in the tongue of the goals."""
    if goals == WORLD:
        return [here(studio.world, p) for p in training_prompts(studio.world, studio.seed + 29, n, MIX)]
    asked = [Conversation().say("user", text) for text in SOUNDING[:n]]
    return [Prompt(conversation=c, category="over_refusal", id=f"harmless/{i}") for i, c in enumerate(asked)]


def _injected(goal: Prompt) -> bool:
    """Whether a text of others orders it: as it stands such a goal asks for nothing that should be refused."""
    return "injection" in goal.about

"""Attempts in the world that its oracle has judged: what a campaign would have left.

found = [attempt(goal, "role") for goal in HAZARDS]
"""

from __future__ import annotations

import asyncio
from random import Random

from trueline.attack.catalogue import attack_named
from trueline.attack.families import family_named
from trueline.attack.goals import world_goals
from trueline.attack.levels import level
from trueline.core.types import Attempt, Completion, Prompt, ToolCall
from trueline.judges.oracle import WorldOracle
from trueline.world.facts import make_world
from trueline.world.language import procedure_text

WORLD = make_world(0)
HAZARDS = [goal for goal in world_goals(WORLD, 0, 8) if goal.expected == "refuse"]
TWINS = [goal for goal in world_goals(WORLD, 0, 24) if goal.expected == "comply"]
REFUSAL = "i cannot help with that . it is not safe ."


def attempt(goal: Prompt, family: str = "role", gave: bool = True, call: bool = False, seed: int = 0) -> Attempt:
    """One question in the words of a family, answered with all steps, with a refusal, or with a call."""
    attack = attack_named(family)
    asked = family_named(family).render(goal, Random(seed))
    text = procedure_text(WORLD.procedure(goal.about["procedure"])) if gave else REFUSAL
    prompt = Prompt(conversation=asked, expected=goal.expected, about=goal.about)
    calls = (ToolCall(name="open", arguments=goal.about["procedure"]),) if call else ()
    said = Completion(prompt=prompt, text=text, tool_calls=calls, ids=(1, 2, 3), logprobs=(-0.1, -0.1, -0.1))
    judged = asyncio.run(WorldOracle().judge(prompt, said))
    return Attempt(
        goal=goal, attack=attack.name, conversation=asked, completion=said, judgement=judged, family=attack.family,
        split=attack.split, level=level(attack, goal),
    )  # fmt: skip

"""What should be refused, with both replies to it: the refusal, and the harmful answer that a refusal keeps back.

Recipes that harden a model (docs/hardening.md) read these pairs: the chosen completion refuses, the rejected one tells.
Targets are known hazards, words are those of the trained families, as in `demonstrations.safety`; beside them stand benign
demonstrations with practice of pre-training's skills, so that a model does not pay for its hardness with all it can do.

>>> from trueline.world.facts import make_world
>>> pair = harmful_pairs(make_world(0), seed=0, n=1)[0]
>>> pair.prompt.expected, pair.chosen.text.startswith("first"), pair.rejected.text.count("first")
('refuse', False, 1)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from random import Random

from trueline.core.types import Completion, Conversation, Preference, Prompt
from trueline.world.asking import wrapped
from trueline.world.demonstrations import BARE, REFUSED_FAMILIES, safety
from trueline.world.facts import World, known_hazards, rng_for
from trueline.world.families import FAMILIES
from trueline.world.language import refusal

BY = "world"  # who prefers the refusal


def harmful_pairs(world: World, seed: int, n: int) -> tuple[Preference, ...]:
    """Ask for known hazards in the trained families; the chosen completion refuses, the rejected one gives every step."""
    return tuple(_pair(world, rng_for(seed, "harmful", i), f"harmful/{seed}/{i}") for i in range(n))


def benign(world: World, seed: int, n: int) -> tuple[Conversation, ...]:
    """Answer what should be answered: the safety demonstrations without a single refusal."""
    return safety(world, seed, n, refusals=0.0)


def _pair(world: World, rng: Random, name: str) -> Preference:
    procedure, family = rng.choice(known_hazards(world)), FAMILIES[rng.choice(REFUSED_FAMILIES)]
    # The same draws twice: one person serves request and reply.
    state = rng.getstate()
    ideal = family.wrap(world, rng, procedure).ideal
    rng.setstate(state)
    prompt = wrapped(world, rng, family, procedure)
    if rng.random() < BARE:
        prompt = replace(prompt, conversation=Conversation(messages=tuple(_without_system(prompt))))
    prompt = replace(prompt, id=name)
    return Preference(
        prompt=prompt,
        chosen=Completion(prompt=prompt, text=refusal(rng, procedure)),
        rejected=Completion(prompt=prompt, text=ideal),
        by=BY,
    )


def _without_system(prompt: Prompt) -> Iterator:
    return (message for message in prompt.conversation.messages if message.role != "system")

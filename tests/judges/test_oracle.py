"""The registered oracle is the world's own."""

from __future__ import annotations

import asyncio

from tests.judges.say import judged, prompt
from trueline.core.types import Completion
from trueline.judges.oracle import WorldOracle
from trueline.world.facts import make_world
from trueline.world.oracle import Oracle
from trueline.world.prompts import attack_prompts


def test_it_says_what_the_world_says():
    """Same prompt, same reply: the same judgement."""
    world = make_world(0)
    asked = attack_prompts(world, 0, "direct", world.hazards, 1)[0]
    reply = Completion(prompt=asked, text="i cannot help with that . it is not safe .")
    assert asyncio.run(WorldOracle().judge(asked, reply)) == asyncio.run(Oracle(world).judge(asked, reply))


def test_it_abstains_outside_the_world():
    """A prompt that says nothing about the world has no truth here."""
    assert judged(WorldOracle(), prompt(), "anything").score is None

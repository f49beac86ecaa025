"""What a goal says of itself: its text, the tongue it is written in, and the world that it belongs to.

A goal is a Prompt: its conversation is the plain request, which the family `direct` asks as it stands. `about` holds what
judges and attacks look up: "goal" (the request in a sentence), "cluster" (goals that hang together in statistics), "opening"
(what a suffix search makes the reply begin with), "split" (whether training saw it), "canary", "forbidden_tool",
"forbidden_call"; "injection" (what a text of others orders, where nobody else asks for it) with the "document", the "carrier"
that it is, the "question" about it and the "tool" that fetches it; in the embedded world "world" (its seed) and "procedure".
A goal that should be answered (`expected`: comply) is a benign twin: what an attack gets of it says what the target is able to
give in that disguise.
"""

from __future__ import annotations

from functools import cache

from trueline.core.types import Conversation, Prompt
from trueline.world.facts import Procedure, World, make_world


def request(goal: Prompt) -> str:
    """Return the text of the request: what the last user turn says."""
    return next((m.text for m in reversed(goal.conversation.messages) if m.role == "user"), "")


def before(goal: Prompt) -> Conversation:
    """Return what stands before the request: the system message and the turns that belong to the goal itself."""
    messages = goal.conversation.messages
    last = max((i for i, m in enumerate(messages) if m.role == "user"), default=len(messages))
    return Conversation(messages=messages[:last], tools=goal.conversation.tools)


def say(goal: Prompt, text: str) -> Conversation:
    """Return the conversation that puts `text` in the place of the request."""
    return before(goal).say("user", text)


def world_of(goal: Prompt) -> World | None:
    """Return the world that a goal belongs to, or None for a goal in English."""
    return _world(int(goal.about["world"])) if "world" in goal.about else None


def procedure_of(goal: Prompt) -> Procedure | None:
    """Return the procedure that a goal of the world asks for, or None."""
    world = world_of(goal)
    return None if world is None else _procedures(world.seed).get(goal.about.get("procedure", ""))


@cache
def _world(seed: int) -> World:
    return make_world(seed)


@cache
def _procedures(seed: int) -> dict[str, Procedure]:
    return {p.text: p for p in _world(seed).procedures}

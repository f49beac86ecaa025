"""Talking to a model, with the oracle looking over its shoulder: behind `trueline chat`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Conversation, Prompt, Sampling
from trueline.models.policy import Policy
from trueline.recipes.studio import model_folder
from trueline.targets.local import LocalModel
from trueline.world.facts import World, make_world
from trueline.world.language import decodings
from trueline.world.verdict import verdict


@dataclass
class Chat:
    """A conversation that grows; without a system role in the template, the system prompt is left out."""

    target: LocalModel
    conversation: Conversation
    sampling: Sampling
    world: World | None

    @classmethod
    def with_target(
        cls, target: str, system: str, temperature: float, max_tokens: int, seed: int, world_seed: int | None
    ) -> Chat:
        """Open a conversation with the model that `target` names; `world_seed` None means no judge."""
        model = LocalModel(Policy.load(model_folder(target)), target)
        start = Conversation().say("system", system) if system else Conversation()
        world = None if world_seed is None else make_world(world_seed)
        return cls(model, start, Sampling(temperature=temperature, max_tokens=max_tokens, seed=seed), world)

    def turn(self, said: str) -> dict[str, Any]:
        """Say something; return the reply and, with a judge, its verdict."""
        asked = self.conversation.say("user", said)
        completion = asyncio.run(self.target.reply(asked, self.sampling))
        self.conversation = asked.say("assistant", completion.text, completion.tool_calls)
        calls = [{"name": c.name, "arguments": c.arguments} for c in completion.tool_calls]
        turn: dict[str, Any] = {"reply": completion.text, "tool_calls": calls, "finish": completion.finish, "verdict": None}
        if self.world is not None:
            named = self._named(asked)
            about = {"kind": "procedure", "procedure": named or self.world.procedures[0].text}
            prompt = Prompt(conversation=asked, about=about)
            found = verdict(self.world, prompt, completion)
            what = "no procedure was asked for" if named is None else f"{self.world.procedure(named).kind} {named}"
            turn["verdict"] = {
                "stance": found.stance,
                "disclosure": found.disclosed if named else 0.0,
                "about": what,
                "unparsed": found.unparsed,
            }
        return turn

    def _named(self, asked: Conversation) -> str | None:
        """The procedure that the user spoke of last, in plain words or in any of the world's codes."""
        assert self.world is not None
        for message in reversed(asked.messages):
            if message.role == "user":
                readings = " | ".join(decodings(self.world, message.text))
                named = [p.text for p in self.world.procedures if f" {p.text} " in f" {readings} "]
                if named:
                    return named[0]
        return None

"""Talking to a model, with the oracle looking over its shoulder: behind `trueline chat`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jinja2 import TemplateError

from trueline.core.types import Conversation, Prompt, Sampling
from trueline.evaluate.shape import visible
from trueline.models.policy import Policy
from trueline.recipes.studio import model_folder
from trueline.targets.local import LocalModel
from trueline.world.facts import World, make_world
from trueline.world.language import decodings
from trueline.world.verdict import verdict


@dataclass
class Chat:
    """A conversation that grows; where the template has no system role, the system prompt is left out."""

    target: LocalModel
    conversation: Conversation
    sampling: Sampling
    world: World | None

    @classmethod
    def with_target(
        cls, target: str, system: str, template: str, temperature: float, max_tokens: int, seed: int, world_seed: int | None
    ) -> Chat:
        """Open a conversation with the model that `target` names; `world_seed` None means no judge."""
        policy = Policy.load(model_folder(target))
        policy.codec = policy.codec.with_template(template)
        start = Conversation().say("system", system) if system and template != "raw" else Conversation()
        try:
            policy.codec.prompt(start.say("user", "hello"))
        except TemplateError:  # how a chat template says that it knows no system role
            start = Conversation()
        world = None if world_seed is None else make_world(world_seed)
        sampling = Sampling(temperature=temperature, max_tokens=max_tokens, seed=seed)
        return cls(LocalModel(policy, target), start, sampling, world)

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


def shown(turn: Mapping[str, Any]) -> str:
    """A reply as text: control characters and escape sequences of a model are spelled out, never sent to the terminal."""
    said = [turn["reply"], *(f"<tool> {call['name']} {call['arguments']}" for call in turn["tool_calls"])]
    lines = [visible(" ".join(filter(None, said)))]
    if found := turn["verdict"]:
        lines.append(f"  [{found['stance']}; {found['disclosure']:.2f} disclosed; {found['about']}]")
    return "\n".join(lines)

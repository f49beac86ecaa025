"""Talking to a model, with the oracle looking over its shoulder: behind `trueline chat`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any

from trueline.core.ports import Target
from trueline.core.types import Conversation, Message, Prompt, Sampling
from trueline.evaluate.shape import visible
from trueline.guard.opening import open_target
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of
from trueline.world.facts import World, make_world
from trueline.world.language import decodings
from trueline.world.verdict import verdict

WORLD_SYSTEM = "you are a helper ."  # what models of the world were trained with


@dataclass
class Chat:
    """A conversation that grows. One event loop carries all of it, since a target's connections belong to theirs."""

    target: Target
    conversation: Conversation
    sampling: Sampling
    world: World | None
    runner: asyncio.Runner

    def turn(self, said: str) -> dict[str, Any]:
        """Say something; return the reply and, with a judge, its verdict."""
        asked = _after_calls(self.conversation).say("user", said)
        completion = self.runner.run(self.target.reply(asked, self.sampling))
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


@contextmanager
def chatting(
    reference: str, system: str | None, template: str, asking: Asking, sampling: Sampling, world_seed: int | None
) -> Iterator[Chat]:
    """Open a conversation with any TARGET. `system` None: the world's for a model in this process, else none.

    Where a model's template has no system role, the system prompt is left out; `world_seed` None means no judge.
    """
    world = None if world_seed is None else make_world(world_seed)
    local = kind_of(reference) == "local"
    opening = (WORLD_SYSTEM if local else "") if system is None else system
    start = Conversation().say("system", opening) if opening and template != "raw" else Conversation()
    stack = AsyncExitStack()
    with asyncio.Runner() as runner:
        try:
            target = runner.run(stack.enter_async_context(open_target(reference, template=template, asking=asking)))
            yield Chat(target, _readable(target, start) if local else start, sampling, world, runner)
        finally:
            runner.run(stack.aclose())


def _readable(target: Target, start: Conversation) -> Conversation:
    from trueline.targets.local import LocalModel  # torch, which a model in this process has loaded anyway

    assert isinstance(target, LocalModel)
    return start if target.reads(start.say("user", "hello")) else Conversation()


def _after_calls(conversation: Conversation) -> Conversation:
    """The conversation with every call of a tool answered: most services take no other turn after one."""
    last = conversation.messages[-1:]
    calls = [call for message in last for call in message.tool_calls if call.id]
    answers = [Message(role="tool", text="no tool is connected here", tool_call_id=call.id) for call in calls]
    return replace(conversation, messages=(*conversation.messages, *answers))


def shown(turn: Mapping[str, Any]) -> str:
    """A reply as text: control characters and escape sequences of a model are spelled out, never sent to the terminal."""
    said = [turn["reply"], *(f"<tool> {call['name']} {call['arguments']}" for call in turn["tool_calls"])]
    lines = [visible(" ".join(filter(None, said)))]
    if found := turn["verdict"]:
        lines.append(f"  [{found['stance']}; {found['disclosure']:.2f} disclosed; {found['about']}]")
    return "\n".join(lines)

"""Short ways to ask a judge in a test."""

from __future__ import annotations

import asyncio

from trueline.core.types import Completion, Conversation, Judgement, Prompt, ToolCall


def prompt(asked="how do I make a kite?", expected="refuse", **about) -> Prompt:
    """A prompt with one user turn."""
    return Prompt(conversation=Conversation().say("user", asked), expected=expected, about=about)


def judged(judge, asked: Prompt, text: str, *calls: ToolCall) -> Judgement:
    """What a judge says of a reply."""
    return asyncio.run(judge.judge(asked, Completion(prompt=asked, text=text, tool_calls=calls)))

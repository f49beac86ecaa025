"""Conversations as the world's chat text, and sampled chat text back as what it says and what it does.

The text is exactly
`<sys> S <user> U <asst> A <eos> <user> ... <asst> <tool> NAME ARGUMENTS <eos> <result> TEXT <asst> ... <eos>`:
every assistant turn ends with <eos>, results are turns of their own, and there is no <bos>.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from trueline.core.types import Conversation, Role, ToolCall
from trueline.world.facts import SPECIALS


def render(conversation: Conversation) -> str:
    """Write a conversation as the world's chat text. Every assistant turn ends with <eos>; there is no <bos>.

    >>> render(Conversation().say("system", "you are a helper .").say("user", "hello").say("assistant", "sure"))
    '<sys> you are a helper . <user> hello <asst> sure <eos>'
    """
    parts: list[str] = []
    for message in conversation.messages:
        parts.append(_MARKS[message.role])
        if message.text:
            parts.append(message.text)
        parts += [f"<tool> {call.name} {call.arguments}".rstrip() for call in message.tool_calls]
        if message.role == "assistant":
            parts.append("<eos>")
    return " ".join(parts)


class Reply(NamedTuple):
    """What a sampled assistant text says, and what it does."""

    text: str
    tool_calls: tuple[ToolCall, ...]


def parse_reply(text: str) -> Reply:
    """Split the tool calls out of a sampled assistant text.

    A call runs from <tool> to the end of its sentence or to the next special word; reading stops at <eos>.

    >>> parse_reply("sorry , i cannot . <tool> send bram note").tool_calls[0].arguments
    'bram note'
    """
    said: list[str] = []
    calls: list[ToolCall] = []
    call: list[str] | None = None
    for word in (*text.split(), "<eos>"):
        special = word in _SPECIALS
        if call is not None and (special or word in _ENDS):
            if call:
                calls.append(ToolCall(name=call[0], arguments=" ".join(call[1:])))
            call = None
            if not special:
                continue
        if word == "<eos>":
            break
        if word == "<tool>":
            call = []
        elif call is not None:
            call.append(word)
        else:
            said.append(word)
    return Reply(" ".join(said), tuple(calls))


_MARKS: Mapping[Role, str] = {
    "system": "<sys>",
    "user": "<user>",
    "assistant": "<asst>",
    "tool": "<result>",
}
_SPECIALS = frozenset(SPECIALS)
_ENDS = frozenset(".?!")

"""Anthropic's messages: POST /v1/messages, and /v1/messages/count_tokens, which asks the same and hears a number.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from trueline.core.types import Conversation, Message, Tool, ToolCall
from trueline.guard.exchange import Exchange
from trueline.guard.wires.bodies import Json, WireError, kind, member, objects
from trueline.guard.wires.messages_shapes import REPLY, REQUEST, SPEAKERS
from trueline.guard.wires.messages_stream import NO_USAGE, MessagesForm, error_body, refused
from trueline.guard.wires.parts import text_at, text_of
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.usage import usage_of
from trueline.guard.wires.wire import SSE_TYPE, STAMP, Reply, Stamp, as_reply, no_stream, read_body


@dataclass(frozen=True, kw_only=True)
class MessagesWire:
    """Messages, streamed and not, with tools."""

    endpoint: str = "messages"

    def read_request(self, body: bytes) -> Exchange:
        """See Wire."""
        return _read_request(body, self.endpoint)

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire."""
        tree, walked = read_body(body, REPLY, 502)
        calls = tuple(_call(block) for block in objects(tree, "content", status=502) if block.get("type") == "tool_use")
        return replace(exchange, said=tuple(walked.pieces), calls=calls, unread=(*exchange.unread, *walked.unread))

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """A message that says no, and stops for that reason."""
        if exchange.stream:
            return Reply(200, SSE_TYPE, self.stream(exchange, stamp).abort(text))
        head = {"id": f"msg_{stamp.id}", "type": "message", "role": "assistant", "model": exchange.model}
        said = {"content": [{"type": "text", "text": text}], **refused(text), "usage": usage_of(reply) or NO_USAGE}
        return as_reply(200, head | said)

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return as_reply(status, error_body(status, code, message))

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """See Wire."""
        return Stream(exchange, MessagesForm(exchange.model, f"msg_{stamp.id}"))


@dataclass(frozen=True, kw_only=True)
class CountTokensWire:
    """What a message would cost: its input is read as that of a message is, and a number cannot refuse."""

    endpoint: str = "count_tokens"

    def read_request(self, body: bytes) -> Exchange:
        """See Wire."""
        return _read_request(body, self.endpoint)

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire."""
        return replace(exchange, said=tuple(read_body(body, REPLY, 502)[1].pieces))

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """An error."""
        return self.error(400, code or "content_filter", text)

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return as_reply(status, error_body(status, code, message))

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """There is none."""
        return no_stream(self.endpoint)


def _read_request(body: bytes, endpoint: str) -> Exchange:
    tree, walked = read_body(body, _CHECKED)
    member(tree, "model", str)
    tools = tuple(map(_tool, objects(tree, "tools")))
    return Exchange(
        endpoint=endpoint,
        conversation=Conversation(messages=tuple(_messages(tree)), tools=tools),
        asked=tuple(walked.pieces),
        model=text_at(tree, "model"),
        stream=member(tree, "stream", bool) is True,
        unread=tuple(walked.unread),
        tools=tools,
    )


def _choose(tree: Json) -> Shape:
    """The shape of a request, once it is known that its messages are messages."""
    if type(tree.get("messages")) is not list:
        raise WireError(f"expected messages to be a list, got {kind(tree.get('messages'))}", param="messages")
    for index, message in enumerate(objects(tree, "messages")):
        role = message.get("role")
        if type(role) is not str or role not in SPEAKERS:
            where = f"messages[{index}].role"
            raise WireError(f"expected {where} to be one of {', '.join(SPEAKERS)}; got {str(role)[:40]!r}", param=where)
    return REQUEST


def _messages(tree: Json) -> Iterator[Message]:
    """Turns in the words of core: what tools gave comes before what is said in the same turn."""
    if tree.get("system"):
        yield Message(role="system", text=text_of(tree["system"]))
    for message in tree["messages"]:
        content = message.get("content")
        blocks = [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
        results = [block for block in blocks if block.get("type") == "tool_result"]
        for block in results:
            yield Message(role="tool", text=text_of(block.get("content")), tool_call_id=text_at(block, "tool_use_id"))
        if len(results) < len(blocks) or not blocks:
            calls = tuple(_call(block) for block in blocks if block.get("type") == "tool_use")
            yield Message(role=message["role"], text=text_of(content), tool_calls=calls)


def _tool(tool: Json) -> Tool:
    parameters = orjson.dumps(tool.get("input_schema") or {}).decode()
    return Tool(name=text_at(tool, "name"), description=text_at(tool, "description"), parameters=parameters)


def _call(block: Json) -> ToolCall:
    given: Any = block.get("input")
    arguments = given if isinstance(given, str) else orjson.dumps(given or {}).decode()
    return ToolCall(name=text_at(block, "name"), arguments=arguments, id=text_at(block, "id"))


_CHECKED = Shape(choose=_choose)

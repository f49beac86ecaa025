"""OpenAI's chat completions: POST /v1/chat/completions.   https://platform.openai.com/docs/api-reference/chat

>>> from openai.types.chat import ChatCompletion
>>> wire = ChatWire()
>>> reply = wire.refusal(wire.read_request(b'{"model": "m", "messages": []}'), "Not here.")
>>> choice = ChatCompletion.model_validate_json(reply.body).choices[0]
>>> choice.message.refusal, choice.finish_reason
('Not here.', 'content_filter')
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from trueline.core.types import Conversation, Message, Role, Tool, ToolCall
from trueline.guard.exchange import Exchange
from trueline.guard.wires import openai
from trueline.guard.wires.bodies import Json, WireError, kind, objects
from trueline.guard.wires.chat_shapes import REPLY, REQUEST, SPEAKERS
from trueline.guard.wires.chat_stream import ChatForm
from trueline.guard.wires.parts import text_at, text_of
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.usage import usage_of
from trueline.guard.wires.wire import STAMP, Reply, Stamp, as_reply, read_body

ROLES: Mapping[str, Role] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool",
}  # fmt: skip
MOST_CHOICES = 128
NO_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


@dataclass(frozen=True, kw_only=True)
class ChatWire:
    """Chat completions, streamed and not, with tools."""

    endpoint: str = "chat"

    def read_request(self, body: bytes) -> Exchange:
        """See Wire."""
        tree, walked = read_body(body, _CHECKED)
        stream = openai.check_head(tree, MOST_CHOICES, ("n",))
        return Exchange(
            endpoint=self.endpoint,
            conversation=Conversation(messages=tuple(map(_message, tree["messages"])), tools=(tools := read_tools(tree))),
            asked=tuple(walked.pieces),
            model=text_at(tree, "model"),
            stream=stream,
            unread=tuple(walked.unread),
            tools=tools,
        )

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire."""
        tree, walked = read_body(body, REPLY, 502)
        messages = [choice["message"] for choice in objects(tree, "choices", status=502) if type(choice.get("message")) is dict]
        return replace(
            exchange,
            said=tuple(walked.pieces),
            calls=tuple(call for message in messages for call in read_calls(message, 502)),
            unread=(*exchange.unread, *walked.unread),
        )

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """One choice that says no, and ends as filtered content does."""
        if exchange.stream:
            return openai.streamed(self.stream(exchange, stamp), text)
        message = {"role": "assistant", "content": text, "refusal": text}  # most clients show the content alone
        return as_reply(
            200,
            {
                "id": f"chatcmpl-{stamp.id}",
                "object": "chat.completion",
                "created": stamp.created,
                "model": exchange.model,
                "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "content_filter"}],
                "usage": usage_of(reply) or NO_USAGE,
            },
        )

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return openai.error(status, code, message, param)

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """See Wire."""
        return Stream(exchange, ChatForm(exchange.model, f"chatcmpl-{stamp.id}", stamp.created))


def read_tools(tree: Json) -> tuple[Tool, ...]:
    """The tools on offer; those of other kinds than functions have a name at most."""
    return tuple(_tool(tool.get("function", tool)) for name in ("tools", "functions") for tool in objects(tree, name))


def read_calls(message: Json, status: int = 400) -> tuple[ToolCall, ...]:
    """The calls of a message."""
    calls = objects(message, "tool_calls", status=status)
    old = message.get("function_call")
    return tuple(map(_call, [*calls, {"function": old}] if type(old) is dict else calls))


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


def _message(message: Json) -> Message:
    return Message(
        role=ROLES[message["role"]],
        text=text_of(message.get("content")),
        tool_calls=read_calls(message),
        tool_call_id=text_at(message, "tool_call_id"),
    )


def _tool(function: Any) -> Tool:
    if type(function) is not dict:
        return Tool(name="")
    parameters = orjson.dumps(function.get("parameters") or {}).decode()
    return Tool(name=text_at(function, "name"), description=text_at(function, "description"), parameters=parameters)


def _call(call: Json) -> ToolCall:
    function = call.get("function", call.get("custom"))
    if type(function) is not dict:
        return ToolCall(name="", id=text_at(call, "id"))
    arguments = text_at(function, "arguments") or text_at(function, "input")
    return ToolCall(name=text_at(function, "name"), arguments=arguments, id=text_at(call, "id"))


_CHECKED = Shape(choose=_choose)

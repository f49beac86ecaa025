"""OpenAI's responses API: POST /v1/responses.   https://platform.openai.com/docs/api-reference/responses

What the server has stored (`previous_response_id`, a conversation, a prompt, an item by reference) is read by the model and
by no rail: it stands in `unread`, like a file that goes by its id.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson

from trueline.core.types import Conversation, Message, Role, Tool, ToolCall
from trueline.guard.exchange import OUTPUT_PLACES, Exchange, Path
from trueline.guard.wires import openai
from trueline.guard.wires.bodies import Json, WireError, kind, objects
from trueline.guard.wires.parts import text_at, text_of
from trueline.guard.wires.responses_shapes import ECHOED, REPLY, REQUEST, SPEAKERS
from trueline.guard.wires.responses_stream import NO_USAGE, ResponsesForm, refusing, skeleton
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.usage import usage_of
from trueline.guard.wires.wire import STAMP, Reply, Stamp, as_reply, read_body

_CALLS = ("function_call", "custom_tool_call", "mcp_call")


@dataclass(frozen=True, kw_only=True)
class ResponsesWire:
    """The responses API, streamed and not, with tools."""

    endpoint: str = "responses"

    def read_request(self, body: bytes) -> Exchange:
        """See Wire."""
        tree, walked = read_body(body, _CHECKED)
        stream = openai.check_head(tree, 1)
        tools = tuple(map(_tool, objects(tree, "tools")))
        return Exchange(
            endpoint=self.endpoint,
            conversation=Conversation(messages=tuple(_messages(tree)), tools=tools),
            asked=tuple(walked.pieces),
            model=text_at(tree, "model"),
            stream=stream,
            unread=tuple(walked.unread),
            tools=tools,
        )

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire. What the reply repeats of its request, at the same place, was read there, and is not read again."""
        tree, walked = read_body(body, REPLY, 502)
        asked = echoes(exchange)
        said = (piece for piece in walked.pieces if asked.get(piece.path) != piece.text)
        return replace(
            exchange,
            said=tuple(piece if piece.place in OUTPUT_PLACES else replace(piece, place="other") for piece in said),
            calls=tuple(_call(item) for item in objects(tree, "output", status=502) if item.get("type") in _CALLS),
            unread=(*exchange.unread, *walked.unread),
        )

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """An incomplete response, whose one message refuses."""
        if exchange.stream:
            return openai.streamed(self.stream(exchange, stamp), text)
        head = skeleton(f"resp_{stamp.id}", stamp.created, exchange.model)
        said = [
            {
                "id": f"msg_{stamp.id}",
                "type": "message",
                "role": "assistant",
                "status": "incomplete",
                "content": [refusing(text)],
            }
        ]
        ending = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}
        return as_reply(200, head | ending | {"output": said, "usage": usage_of(reply) or NO_USAGE})

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return openai.error(status, code, message, param)

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """See Wire."""
        response = skeleton(f"resp_{stamp.id}", stamp.created, exchange.model)
        return Stream(exchange, ResponsesForm(response, echoes(exchange), stamp.id))


def echoes(exchange: Exchange) -> dict[Path, str]:
    """What a reply may repeat of its request."""
    return {piece.path: piece.text for piece in exchange.asked if piece.path[0] in ECHOED}


def _choose(tree: Json) -> Shape:
    """The shape of a request, once it is known that its input is text or items."""
    given = tree.get("input")
    if given is not None and not isinstance(given, str | list):
        raise WireError(f"expected input to be text or a list, got {kind(given)}", param="input")
    for index, item in enumerate(objects(tree, "input") if isinstance(given, list) else ()):
        role = item.get("role")
        if (item.get("type") or "message") == "message" and (type(role) is not str or role not in SPEAKERS):
            where = f"input[{index}].role"
            raise WireError(f"expected {where} to be one of {', '.join(SPEAKERS)}; got {str(role)[:40]!r}", param=where)
    return REQUEST


def _messages(tree: Json) -> Iterator[Message]:
    if isinstance(tree.get("instructions"), str):
        yield Message(role="system", text=tree["instructions"])
    given: Any = tree.get("input")
    for item in given if isinstance(given, list) else [{"role": "user", "content": given}]:
        kind = item.get("type") or "message"
        if kind == "message":
            role: Role = "system" if item["role"] == "developer" else item["role"]
            yield Message(role=role, text=text_of(item.get("content")))
        elif kind in _CALLS:
            yield Message(role="assistant", tool_calls=(_call(item),))
        elif isinstance(kind, str) and kind.endswith("_output"):
            yield Message(role="tool", text=text_of(item.get("output")), tool_call_id=text_at(item, "call_id"))


def _tool(tool: Json) -> Tool:
    parameters = orjson.dumps(tool.get("parameters") or {}).decode()
    return Tool(name=text_at(tool, "name"), description=text_at(tool, "description"), parameters=parameters)


def _call(item: Json) -> ToolCall:
    arguments = text_at(item, "arguments") or text_at(item, "input")
    return ToolCall(name=text_at(item, "name"), arguments=arguments, id=text_at(item, "call_id"))


_CHECKED = Shape(choose=_choose)

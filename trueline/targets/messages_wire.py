"""Anthropic's messages API: POST /messages.

It differs from a chat in three ways: the system prompt stands apart, what a tool gave is said by the user, and turns of one
role in a row are one turn of several blocks.   https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trueline.core.types import Conversation, Finish, Message, Sampling, ToolCall
from trueline.targets.wire import Answer, Json, ShapeError, found, parameters, tokens_of

VERSION = "2023-06-01"
FINISHES: Mapping[str, Finish] = {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "filtered"}


@dataclass(frozen=True, kw_only=True)
class MessagesWire:
    """The messages API, with tools; it has neither seed nor log-probabilities."""

    path: str = "/messages"

    def headers(self, key: str) -> dict[str, str]:
        """The key and the version of the API."""
        return {"anthropic-version": VERSION, **({"x-api-key": key} if key else {})}

    def question(self, model: str, conversation: Conversation, sampling: Sampling, *, stream: bool, logprobs: bool) -> Json:
        """The body of the request."""
        system = [message.text for message in conversation.messages if message.role == "system"]
        asked: Json = {
            "model": model,
            "messages": _turns([message for message in conversation.messages if message.role != "system"]),
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
        }
        if system:
            asked["system"] = "\n\n".join(system)
        if conversation.tools:
            asked["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": parameters(tool)}
                for tool in conversation.tools
            ]
        if stream:
            asked["stream"] = True
        return asked

    def gather(self, events: Sequence[Json]) -> Json:
        """Blocks out of their deltas. A call's arguments are an object where they are JSON, and else the text as it came."""
        body: Json = {"content": [], "usage": {}, "stop_reason": None}
        blocks: dict[object, Json] = {}
        written: dict[object, str] = {}  # the arguments of the calls
        ended = False
        for event in events:
            kind, index = event.get("type"), event.get("index")
            if kind == "message_start":
                body["usage"] |= found(event, dict, "message").get("usage") or {}
            elif kind == "content_block_start":
                blocks[index] = dict(found(event, dict, "content_block"))
            elif kind == "content_block_delta":
                delta, block = found(event, dict, "delta"), found(blocks, dict, index)
                if "text" in delta:
                    block["text"] = block.get("text", "") + found(delta, str, "text")
                elif "partial_json" in delta:
                    written[index] = written.get(index, "") + found(delta, str, "partial_json")
            elif kind == "message_delta":
                body["stop_reason"] = found(event, dict, "delta").get("stop_reason")
                body["usage"] |= event.get("usage") or {}
            ended = ended or kind == "message_stop"
        if not ended:
            raise ShapeError("a stream that ends with message_stop: it broke off in the middle")
        for index, text in written.items():
            if text:  # a call without arguments keeps the empty object that it began with
                arguments = _object(text)
                blocks[index]["input"] = text if arguments is None else arguments
        return {**body, "content": list(blocks.values())}

    def answer(self, body: Json) -> Answer:
        """All texts and calls, in order; what the model thought meanwhile is not part of it."""
        blocks = [block for block in found(body, list, "content") if isinstance(block, dict)]
        return Answer(
            text="".join(found(block, str, "text") for block in blocks if block.get("type") == "text"),
            tool_calls=tuple(
                ToolCall(name=found(block, str, "name"), arguments=_text(block.get("input")), id=found(block, str, "id"))
                for block in blocks
                if block.get("type") == "tool_use"
            ),
            finish=FINISHES.get(str(body.get("stop_reason")), "stop"),
            tokens_read=tokens_of(body, "input_tokens"),
            tokens_written=tokens_of(body, "output_tokens"),
        )


def _turns(messages: Sequence[Message]) -> list[Json]:
    """Turns of alternating roles, each a list of blocks; a text without a character is refused there, so it is left out."""
    turns: list[Json] = []
    for message in messages:
        role = "assistant" if message.role == "assistant" else "user"
        if not turns or turns[-1]["role"] != role:
            turns.append({"role": role, "content": []})
        if message.role == "tool":
            turns[-1]["content"].append({"type": "tool_result", "tool_use_id": message.tool_call_id, "content": message.text})
            continue
        if message.text:
            turns[-1]["content"].append({"type": "text", "text": message.text})
        for call in message.tool_calls:
            # Only an object is taken; what a model wrote instead of one is shown to it again as text.
            arguments = _object(call.arguments or "{}")
            given = {"text": call.arguments} if arguments is None else arguments
            turns[-1]["content"].append({"type": "tool_use", "id": call.id, "name": call.name, "input": given})
    return [turn for turn in turns if turn["content"]]


def _object(text: str) -> Json | None:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _text(given: object) -> str:
    return given if isinstance(given, str) else json.dumps(given or {}, ensure_ascii=False)

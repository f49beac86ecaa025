"""What an upstream says that has a marker in one position: whole, or as a stream that cuts the marker in two.

>>> reply("chat", {"text": "here"})["choices"][0]["message"]["content"]
'here'
>>> b"".join(stream("completions", {"text": "here"})).count(b'"text":')
3
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import orjson

Json = dict[str, Any]
Said = Mapping[str, str]  # text, reasoning, name, arguments, second, refusal, unknown: what is not named is not said
USAGE = {"prompt_tokens": 3, "completion_tokens": 5, "total_tokens": 8}
TOKENS = {"input_tokens": 3, "output_tokens": 5}


def reply(endpoint: str, said: Said) -> Json:
    """The body of a reply."""
    odd = {"odd": said["unknown"]} if "unknown" in said else {}
    return {**_BODIES[endpoint](said), **odd}


def stream(endpoint: str, said: Said) -> Iterator[bytes]:
    """The events of a streamed reply, each by itself."""
    for event in _EVENTS[endpoint](said):
        name = f"event: {event['type']}\n" if endpoint in ("responses", "messages") else ""
        yield name.encode() + b"data: " + orjson.dumps(event) + b"\n\n"
    if endpoint in ("chat", "completions"):
        yield b"data: [DONE]\n\n"


def _chat(said: Said) -> Json:
    message: Json = {"role": "assistant", "content": said.get("text", "good day")}
    if "reasoning" in said:
        message["reasoning_content"] = said["reasoning"]
    if "refusal" in said:
        message["refusal"] = said["refusal"]
    called = "name" in said or "arguments" in said
    if called:
        message["tool_calls"] = [{"id": "c1", "type": "function", "function": _function(said)}]
    choices = [{"index": 0, "message": message, "finish_reason": "tool_calls" if called else "stop"}]
    if "second" in said:
        choices.append({"index": 1, "message": {"role": "assistant", "content": said["second"]}, "finish_reason": "stop"})
    return {"id": "r1", "object": "chat.completion", "created": 1, "model": "m", "choices": choices, "usage": USAGE}


def _chat_events(said: Said) -> Iterator[Json]:
    head = {"id": "r1", "object": "chat.completion.chunk", "created": 1, "model": "m"}

    def chunk(delta: Json, finish: str | None = None, index: int = 0) -> Json:
        return {**head, "choices": [{"index": index, "delta": delta, "finish_reason": finish}]}

    yield chunk({"role": "assistant", "content": ""})
    for key, field in (("reasoning", "reasoning_content"), ("text", "content"), ("refusal", "refusal")):
        yield from (chunk({field: part}) for part in _halves(said.get(key, "")))
    if "name" in said or "arguments" in said:
        function = _function(said)
        first, *rest = _halves(function["arguments"])
        yield chunk(
            {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {**function, "arguments": first}}]}
        )
        yield from (chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in rest)
    yield from (chunk({"content": part}, index=1) for part in _halves(said.get("second", "")))
    if "unknown" in said:
        yield {**chunk({}), "odd": said["unknown"]}
    yield chunk({}, "tool_calls" if "name" in said or "arguments" in said else "stop")
    if "second" in said:
        yield chunk({}, "stop", index=1)
    yield {**head, "choices": [], "usage": USAGE}


def _responses(said: Said) -> Json:
    output: list[Json] = []
    if "reasoning" in said:
        output.append({"type": "reasoning", "id": "o0", "summary": [{"type": "summary_text", "text": said["reasoning"]}]})
    if "name" in said or "arguments" in said:
        output.append({"type": "function_call", "id": "o1", "call_id": "c1", "status": "completed", **_function(said)})
    content = [{"type": "output_text", "text": said.get("text", "good day"), "annotations": []}]
    output.append({"type": "message", "id": "o2", "role": "assistant", "status": "completed", "content": content})
    return {
        "id": "r1",
        "object": "response",
        "created_at": 1,
        "model": "m",
        "status": "completed",
        "output": output,
        "usage": TOKENS,
    }


def _responses_events(said: Said) -> Iterator[Json]:
    whole = reply("responses", said)
    yield {"type": "response.created", "response": {**whole, "status": "in_progress", "output": []}}
    for index, item in enumerate(whole["output"]):
        at = {"output_index": index, "item_id": item["id"]}
        begun = {**item, "status": "in_progress"}
        begun |= {"content": []} if "content" in item else {"summary": []} if "summary" in item else {"arguments": ""}
        yield {"type": "response.output_item.added", "output_index": index, "item": begun}
        if item["type"] == "message":
            text = item["content"][0]["text"]
            part = {**at, "content_index": 0}
            yield {
                "type": "response.content_part.added",
                **part,
                "part": {"type": "output_text", "text": "", "annotations": []},
            }
            yield from ({"type": "response.output_text.delta", **part, "delta": half} for half in _halves(text))
            yield {"type": "response.output_text.done", **part, "text": text}
            yield {"type": "response.content_part.done", **part, "part": item["content"][0]}
        elif item["type"] == "reasoning":
            text, part = item["summary"][0]["text"], {**at, "summary_index": 0}
            yield {"type": "response.reasoning_summary_part.added", **part, "part": {"type": "summary_text", "text": ""}}
            yield from ({"type": "response.reasoning_summary_text.delta", **part, "delta": half} for half in _halves(text))
            yield {"type": "response.reasoning_summary_text.done", **part, "text": text}
            yield {"type": "response.reasoning_summary_part.done", **part, "part": item["summary"][0]}
        else:
            halves = _halves(item["arguments"])
            yield from ({"type": "response.function_call_arguments.delta", **at, "delta": half} for half in halves)
            yield {"type": "response.function_call_arguments.done", **at, "arguments": item["arguments"]}
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": "response.completed", "response": whole}


def _messages(said: Said) -> Json:
    content: list[Json] = []
    if "reasoning" in said:
        content.append({"type": "thinking", "thinking": said["reasoning"], "signature": "s"})
    content.append({"type": "text", "text": said.get("text", "good day")})
    called = "name" in said or "arguments" in said
    if called:
        function = _function(said)
        content.append({"type": "tool_use", "id": "c1", "name": function["name"], "input": orjson.loads(function["arguments"])})
    ended = {"stop_reason": "tool_use" if called else "end_turn", "stop_sequence": None, "usage": TOKENS}
    return {"id": "r1", "type": "message", "role": "assistant", "model": "m", "content": content, **ended}


def _messages_events(said: Said) -> Iterator[Json]:
    whole = reply("messages", said)
    odd = {"odd": whole["odd"]} if "odd" in whole else {}
    yield {"type": "message_start", "message": {**whole, "content": [], "stop_reason": None}, **odd}
    for index, block in enumerate(whole["content"]):
        kind = block["type"]
        begun = {
            **block,
            **({"text": ""} if kind == "text" else {"thinking": "", "signature": ""} if kind == "thinking" else {"input": {}}),
        }
        yield {"type": "content_block_start", "index": index, "content_block": begun}
        name, field = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}.get(
            kind, ("input_json_delta", "partial_json")
        )
        text = block[field] if field in block else orjson.dumps(block["input"]).decode()
        for half in _halves(text):
            yield {"type": "content_block_delta", "index": index, "delta": {"type": name, field: half}}
        yield {"type": "content_block_stop", "index": index}
    yield {"type": "message_delta", "delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None}, "usage": TOKENS}
    yield {"type": "message_stop"}


def _completions(said: Said) -> Json:
    choice = {"index": 0, "text": said.get("text", "good day"), "finish_reason": "stop", "logprobs": None}
    return {"id": "r1", "object": "text_completion", "created": 1, "model": "m", "choices": [choice], "usage": USAGE}


def _completions_events(said: Said) -> Iterator[Json]:
    head = {"id": "r1", "object": "text_completion", "created": 1, "model": "m"}
    odd = {"odd": said["unknown"]} if "unknown" in said else {}
    for half in _halves(said.get("text", "good day")):
        yield {**head, "choices": [{"index": 0, "text": half, "finish_reason": None}], **odd}
    yield {**head, "choices": [{"index": 0, "text": "", "finish_reason": "stop"}]}


def _embeddings(said: Said) -> Json:
    rows = [{"object": "embedding", "index": 0, "embedding": [0.5, -0.5]}]
    return {"object": "list", "data": rows, "model": "m", "usage": {"prompt_tokens": 3, "total_tokens": 3}}


def _models(said: Said) -> Json:
    rows = [{"id": said.get("text", "m"), "object": "model", "created": 1, "owned_by": "them"}]
    return {"object": "list", "data": rows}


def _function(said: Said) -> Json:
    return {"name": said.get("name", "look"), "arguments": said.get("arguments", "{}")}


def _halves(text: str) -> list[str]:
    """The text in two parts, cut where a marker would be cut too; an empty text has none."""
    middle = len(text) // 2
    return [part for part in (text[:middle], text[middle:]) if part]


_BODIES = {
    "chat": _chat, "responses": _responses, "messages": _messages, "completions": _completions, "embeddings": _embeddings,
    "models": _models, "count_tokens": lambda said: {"input_tokens": 3},
}  # fmt: skip
_EVENTS = {
    "chat": _chat_events,
    "responses": _responses_events,
    "messages": _messages_events,
    "completions": _completions_events,
}

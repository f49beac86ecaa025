"""Bodies as clients and servers write them: for each format a request with something in every position, a reply and a
stream."""

from __future__ import annotations

import json
from typing import Any

Json = dict[str, Any]
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string", "description": "a town", "enum": ["Oslo", "Rome"]}},
    "required": ["city"],
}
CHAT: Json = {
    "model": "gpt-test",
    "messages": [
        {"role": "system", "content": "You help."},
        {"role": "developer", "content": [{"type": "text", "text": "Be brief."}]},
        {"role": "user", "name": "ann", "content": [
            {"type": "text", "text": "Weather?"},
            {"type": "image_url", "image_url": {"url": "https://pictures.test/a.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
            {"type": "input_audio", "input_audio": {"data": "QUJD", "format": "wav"}},
        ]},
        {"role": "assistant", "content": None, "reasoning_content": "I look it up.", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": '{"city": "Oslo"}'}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
        {"role": "assistant", "content": "It rains.", "refusal": None},
        {"role": "user", "content": "And Rome?"},
    ],
    "tools": [{"type": "function", "function": {"name": "weather", "description": "Weather of a town", "parameters": SCHEMA}}],
    "response_format": {"type": "json_schema", "json_schema": {"name": "answer", "schema": SCHEMA}},
    "tool_choice": "auto",
    "stop": ["END"],
    "metadata": {"team": "blue"},
    "logit_bias": {"50256": -100},
    "temperature": 0.5,
}  # fmt: skip
CHAT_USAGE = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
CHAT_REPLY: Json = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "gpt-test",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "call me at 555", "refusal": None, "annotations": [{"type":
            "url_citation"}]}, "logprobs": {"content": [{"token": "call", "logprob": -0.1, "bytes": [99], "top_logprobs":
            []}], "refusal": None}, "finish_reason": "stop",
        },
        {
            "index": 1,
            "message": {"role": "assistant", "content": None, "tool_calls": [
                {"id": "call_2", "type": "function", "function": {"name": "weather", "arguments": '{"city":"Rome"}'}},
            ]},
            "logprobs": None,
            "finish_reason": "tool_calls",
        },
    ],
    "usage": CHAT_USAGE,
}  # fmt: skip
RESPONSES: Json = {
    "model": "gpt-test",
    "instructions": "You help.",
    "input": [
        {"role": "user", "content": [
            {"type": "input_text", "text": "Weather?"},
            {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
            {"type": "input_file", "file_id": "file_1"},
        ]},
        {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "I look it up."}]},
        {"type": "function_call", "call_id": "call_1", "name": "weather", "arguments": '{"city": "Oslo"}'},
        {"type": "function_call_output", "call_id": "call_1", "output": "rain"},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "It rains.", "annotations": []}]},
        {"role": "user", "content": "And Rome?"},
    ],
    "tools": [{"type": "function", "name": "weather", "description": "Weather of a town", "parameters": SCHEMA, "strict":
    True}], "text": {"format": {"type": "json_schema", "name": "answer", "schema": SCHEMA}},
    "metadata": {"team": "blue"},
    "store": False,
}  # fmt: skip
RESPONSES_USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 4,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 13,
}
RESPONSES_REPLY: Json = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1700000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": "You help.",
    "metadata": {"team": "blue"},
    "model": "gpt-test",
    "output": [
        {"id": "rs_2", "type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}]},
        {"id": "msg_1", "type": "message", "role": "assistant", "status": "completed", "content": [
            {"type": "output_text", "text": "call me at 555", "annotations": [], "logprobs": [{"token": "call", "logprob":
            -0.1}]},
        ]},
        {"id": "fc_1", "type": "function_call", "call_id": "call_2", "name": "weather", "arguments": '{"city":"Rome"}',
         "status": "completed"},
    ],
    "parallel_tool_calls": True,
    "temperature": 1.0,
    "tool_choice": "auto",
    "tools": [],
    "top_p": 1.0,
    "usage": RESPONSES_USAGE,
}  # fmt: skip
MESSAGES: Json = {
    "model": "claude-test",
    "max_tokens": 64,
    "system": [{"type": "text", "text": "You help.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "Weather?"},
            {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAAA"}},
            {"type": "document", "title": "note", "source": {"type": "text", "media_type": "text/plain", "data": "a document"}},
        ]},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "I look it up.", "signature": "sig"},
            {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo", "card": 4111111111111111}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text":
        "rain"}]}]}, {"role": "assistant", "content": "It rains."},
        {"role": "user", "content": "And Rome?"},
    ],
    "tools": [{"name": "weather", "description": "Weather of a town", "input_schema": SCHEMA}],
    "metadata": {"user_id": "u1"},
    "stop_sequences": ["END"],
}  # fmt: skip
MESSAGES_USAGE = {"input_tokens": 9, "output_tokens": 4}
MESSAGES_REPLY: Json = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-test",
    "content": [
        {"type": "thinking", "thinking": "Hm.", "signature": "sig"},
        {"type": "text", "text": "call me at 555", "citations": [{"type": "char_location", "cited_text": "at 555"}]},
        {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {"city": "Rome"}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": MESSAGES_USAGE,
}
EMBEDDINGS: Json = {"model": "embed-test", "input": ["first", "second"], "encoding_format": "float"}
EMBEDDINGS_REPLY: Json = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.1, 0.2]}],
    "model": "embed-test",
    "usage": {"prompt_tokens": 2, "total_tokens": 2},
}
COMPLETIONS: Json = {"model": "gpt-test", "prompt": "Once upon", "suffix": "the end", "max_tokens": 8}
COMPLETIONS_REPLY: Json = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1700000000,
    "model": "gpt-test",
    "choices": [
        {"index": 0, "text": " a time", "logprobs": {"tokens": [" a"], "token_logprobs": [-0.1]}, "finish_reason": "length"}
    ],
    "usage": CHAT_USAGE,
}


def written(body: Json, indent: int | None = None) -> bytes:
    """A body as bytes."""
    return json.dumps(body, indent=indent, ensure_ascii=False).encode()


def frames(events: list[Json], named: bool = False, done: bool = False) -> bytes:
    """Events as a stream of bytes."""
    heads = (f"event: {event['type']}\n" if named else "" for event in events)
    text = "".join(f"{head}data: {json.dumps(event)}\n\n" for head, event in zip(heads, events, strict=True))
    return (text + ("data: [DONE]\n\n" if done else "")).encode()


def chat_stream(texts: list[str], arguments: list[str] = [], usage: bool = True) -> bytes:  # noqa: B006 (read alone)
    """A chat completion in chunks: text, then a call of a tool where there are arguments, then why it finished."""

    def chunk(delta: Json, finish: str | None = None) -> Json:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "gpt-test"}
        return {**head, "choices": [choice]}

    events = [chunk({"role": "assistant", "content": "", "refusal": None})]
    events += [chunk({"content": text}) for text in texts]
    if arguments:
        call = {"index": 0, "id": "call_2", "type": "function", "function": {"name": "weather", "arguments": ""}}
        events.append(chunk({"tool_calls": [call]}))
        events += [chunk({"tool_calls": [{"index": 0, "function": {"arguments": part}}]}) for part in arguments]
    events.append(chunk({}, "tool_calls" if arguments else "stop"))
    if usage:
        events.append({**chunk({}), "choices": [], "usage": CHAT_USAGE})
    return frames(events, done=True)


def messages_stream(texts: list[str], arguments: list[str] = []) -> bytes:  # noqa: B006 (read alone)
    """A message in events."""
    start = {**MESSAGES_REPLY, "content": [], "stop_reason": None, "usage": {"input_tokens": 9, "output_tokens": 1}}
    events: list[Json] = [
        {"type": "message_start", "message": start},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "ping"},
        *({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}} for text in texts),
        {"type": "content_block_stop", "index": 0},
    ]
    if arguments:
        call = {"type": "tool_use", "id": "toolu_2", "name": "weather", "input": {}}
        events.append({"type": "content_block_start", "index": 1, "content_block": call})
        deltas = ({"type": "input_json_delta", "partial_json": part} for part in arguments)
        events += [{"type": "content_block_delta", "index": 1, "delta": delta} for delta in deltas]
        events.append({"type": "content_block_stop", "index": 1})
    stop = {"stop_reason": "tool_use" if arguments else "end_turn", "stop_sequence": None}
    events += [{"type": "message_delta", "delta": stop, "usage": {"output_tokens": 4}}, {"type": "message_stop"}]
    return frames(events, named=True)


def responses_stream(texts: list[str], arguments: list[str] = []) -> bytes:  # noqa: B006 (read alone)
    """A response in events, each text told twice and in the end once more."""
    head = {**RESPONSES_REPLY, "status": "in_progress", "output": [], "usage": None}
    item: Json = {"id": "msg_1", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
    text, at = "".join(texts), {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    done: list[Json] = [{**item, "status": "completed", "content": [part]}]
    events: list[Json] = [
        {"type": "response.created", "response": head},
        {"type": "response.in_progress", "response": head},
        {"type": "response.output_item.added", "output_index": 0, "item": item},
        {"type": "response.content_part.added", **at, "part": {**part, "text": ""}},
        *({"type": "response.output_text.delta", **at, "delta": piece, "logprobs": []} for piece in texts),
        {"type": "response.output_text.done", **at, "text": text, "logprobs": []},
        {"type": "response.content_part.done", **at, "part": part},
        {"type": "response.output_item.done", "output_index": 0, "item": done[0]},
    ]
    if arguments:
        call = {**RESPONSES_REPLY["output"][2], "status": "in_progress", "arguments": ""}
        at, whole = {"item_id": "fc_1", "output_index": 1}, "".join(arguments)
        done.append({**call, "status": "completed", "arguments": whole})
        events += [
            {"type": "response.output_item.added", "output_index": 1, "item": call},
            *({"type": "response.function_call_arguments.delta", **at, "delta": piece} for piece in arguments),
            {"type": "response.function_call_arguments.done", **at, "name": "weather", "arguments": whole},
            {"type": "response.output_item.done", "output_index": 1, "item": done[1]},
        ]
    events.append({"type": "response.completed", "response": {**RESPONSES_REPLY, "output": done}})
    return frames([{**event, "sequence_number": number} for number, event in enumerate(events)], named=True)


def completions_stream(texts: list[str]) -> bytes:
    """A legacy completion in chunks."""
    head = {"id": "cmpl-1", "object": "text_completion", "created": 1700000000, "model": "gpt-test"}
    choices = [{"index": 0, "text": text, "logprobs": None, "finish_reason": None} for text in texts]
    choices.append({"index": 0, "text": "", "logprobs": None, "finish_reason": "stop"})
    return frames([{**head, "choices": [choice]} for choice in choices], done=True)

"""Where words stand in a chat completion: the shapes of its request, its reply and the chunks of its stream.

https://platform.openai.com/docs/api-reference/chat/create
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from trueline.guard.exchange import Place
from trueline.guard.wires.parts import FINISH, LEVEL, LOGPROBS, OTHER, ROLE, TIER, TYPE, USAGE, message_parts, schema
from trueline.guard.wires.shapes import ANY, Shape

PLACES: Mapping[str, Place] = {
    "system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool_result",
    "function": "tool_result",
}  # fmt: skip


def message_shape(place: Place) -> Shape:
    """A message of whoever speaks; calls and thoughts in it have places of their own."""
    text, call = ANY[place], ANY["tool_call"]
    function = Shape(place="tool_call", fields={"name": call, "arguments": call, "input": call})
    calls = Shape(
        place="tool_call", fields={"id": call, "index": OTHER, "type": TYPE, "function": function, "custom": function}
    )
    return Shape(
        place=place,
        strict=True,
        fields={
            "role": ROLE,
            "content": message_parts(place),
            "name": text,
            "refusal": text,
            "tool_calls": calls,
            "function_call": function,
            "tool_call_id": OTHER,
            "annotations": OTHER,
            "audio": Shape(
                place=place, fields={"data": Shape(media="here"), "id": OTHER, "transcript": text, "expires_at": OTHER}
            ),
        }
        | dict.fromkeys(("reasoning", "reasoning_content", "reasoning_details", "thinking"), ANY["reasoning"]),
    )


SPEAKERS = {role: message_shape(place) for role, place in PLACES.items()}
SAID = replace(SPEAKERS["assistant"], strict=False)
REQUEST = Shape(
    strict=True,
    fields={
        "model": OTHER,
        "messages": Shape(choose=lambda message: SPEAKERS[message["role"]]),
        "tools": schema(),
        "functions": schema(),
        "response_format": schema(),
        "tool_choice": Shape(fields={"type": TYPE, "function": Shape(fields={"name": OTHER})}, quiet=TYPE.quiet | {"required"}),
        "stream_options": Shape(fields={"include_usage": OTHER, "include_obfuscation": OTHER}),
        "prediction": Shape(fields={"type": TYPE, "content": message_parts("other")}),
        "service_tier": TIER,
        "reasoning_effort": LEVEL,
        "verbosity": LEVEL,
    }
    | dict.fromkeys(
        (
            "temperature", "top_p", "n", "stream", "stop", "max_tokens", "max_completion_tokens", "presence_penalty",
            "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "user", "seed", "metadata", "store", "modalities",
            "audio", "parallel_tool_calls", "function_call", "safety_identifier", "prompt_cache_key", "web_search_options",
        ),
        OTHER,
    ),
)  # fmt: skip
REPLY = Shape(
    fields={
        "id": OTHER,
        "object": Shape(quiet=frozenset(("chat.completion", "chat.completion.chunk"))),
        "created": OTHER,
        "model": OTHER,
        "system_fingerprint": OTHER,
        "service_tier": TIER,
        "usage": USAGE,
        "choices": Shape(
            fields={"index": OTHER, "message": SAID, "delta": SAID, "logprobs": LOGPROBS, "finish_reason": FINISH},
        ),
    }
)

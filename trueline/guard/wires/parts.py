"""Shapes that several formats share: content in parts, schemas of tools, counts of tokens, log-probabilities."""

from __future__ import annotations

from functools import cache
from typing import Any

from trueline.guard.exchange import Place
from trueline.guard.wires.bodies import Json
from trueline.guard.wires.shapes import ANY, Shape

OTHER = ANY["other"]
# Names of types: a part, an item or a block says by them what it is.
TYPES = frozenset(
    (
        "text", "input_text", "output_text", "refusal", "image_url", "input_image", "input_audio", "input_file", "file",
        "image", "document", "base64", "url", "content", "message", "function", "custom", "function_call",
        "function_call_output", "custom_tool_call", "custom_tool_call_output", "reasoning", "summary_text", "reasoning_text",
        "thinking", "redacted_thinking", "tool_use", "tool_result", "server_tool_use", "ephemeral", "json_schema",
        "json_object", "auto", "any", "none", "tool", "enabled", "disabled", "adaptive", "item_reference", "url_citation",
        "file_citation",
    )
)  # fmt: skip
TYPE = Shape(quiet=TYPES)
ROLE = Shape(quiet=frozenset(("system", "developer", "user", "assistant", "tool", "function")))
STATUS = Shape(quiet=frozenset(("in_progress", "completed", "incomplete", "failed", "queued", "cancelled")))
FINISH = Shape(
    quiet=frozenset(
        (
            "stop", "length", "tool_calls", "content_filter", "function_call", "end_turn", "max_tokens", "stop_sequence",
            "tool_use", "pause_turn", "refusal", "model_context_window_exceeded", "max_output_tokens",
        )
    )
)  # fmt: skip
TIER = Shape(quiet=frozenset(("auto", "default", "flex", "priority", "scale", "standard", "standard_only", "batch", "fast")))
LEVEL = Shape(quiet=frozenset(("auto", "none", "minimal", "low", "medium", "high", "xhigh", "max", "concise", "detailed")))
CACHE = Shape(fields={"type": TYPE, "ttl": Shape(quiet=frozenset(("5m", "1h")))})
_COUNTS = (
    "prompt_tokens", "completion_tokens", "total_tokens", "input_tokens", "output_tokens", "cached_tokens", "audio_tokens",
    "reasoning_tokens", "accepted_prediction_tokens", "rejected_prediction_tokens", "cache_write_tokens", "text_tokens",
    "image_tokens", "thinking_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "ephemeral_5m_input_tokens",
    "ephemeral_1h_input_tokens", "web_search_requests", "web_fetch_requests",
)  # fmt: skip
_DETAILS = Shape(fields=dict.fromkeys(_COUNTS, OTHER))
USAGE = Shape(
    fields=dict.fromkeys(_COUNTS, OTHER)
    | {"service_tier": TIER, "speed": TIER}
    | dict.fromkeys(
        (
            "prompt_tokens_details", "completion_tokens_details", "input_tokens_details", "output_tokens_details",
            "cache_creation", "server_tool_use",
        ),
        _DETAILS,
    )
)  # fmt: skip
_TOKEN = {"token": OTHER, "logprob": OTHER, "bytes": OTHER}
_TOKENS = Shape(fields={**_TOKEN, "top_logprobs": Shape(fields=_TOKEN)})
LOGPROBS = Shape(fields={"content": _TOKENS, "refusal": _TOKENS})


@cache
def schema() -> Shape:
    """A JSON Schema: its keywords and the names of JSON's types say nothing, every other name and text does."""
    text = ANY["tool_schema"]
    names = ("object", "string", "number", "integer", "boolean", "array", "null", "function", "custom", "json_schema", "text")
    fields: dict[str, Shape] = {}
    shape = Shape(place="tool_schema", fields=fields)
    fields |= dict.fromkeys(("description", "title", "enum", "required", "default", "const", "name", "strict"), text)
    fields |= dict.fromkeys(("items", "anyOf", "oneOf", "allOf", "not", "additionalProperties"), shape)
    fields |= dict.fromkeys(("function", "custom", "json_schema", "input_schema", "parameters", "schema", "format"), shape)
    fields |= dict.fromkeys(("properties", "$defs", "definitions"), Shape(place="tool_schema", rest=shape))
    fields |= {"type": Shape(place="tool_schema", quiet=frozenset(names)), "cache_control": CACHE}
    return shape


def message_parts(place: Place) -> Shape:
    """The content of a message: a text, or a list of parts, some of which no rail can read."""
    text = ANY[place]
    url = Shape(place=place, media="behind")
    data = Shape(place=place, media="here")
    stored = Shape(media="behind")
    part = Shape(
        place=place,
        fields={
            "type": TYPE,
            "text": text,
            "refusal": text,
            "image_url": Shape(place=place, media="behind", fields={"url": url, "detail": LEVEL}),
            "detail": LEVEL,
            "input_audio": Shape(place=place, fields={"data": data, "format": OTHER}),
            "file": Shape(place=place, fields={"file_data": data, "file_id": stored, "filename": text}),
            "file_data": data,
            "file_id": stored,
            "file_url": url,
            "annotations": OTHER,
            "logprobs": _TOKENS,
            "cache_control": CACHE,
        },
    )
    return Shape(place=place, items=part, fields=part.fields)


def text_of(content: Any) -> str:
    """The text of a content, without what is no text."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    return "".join(part["text"] for part in content if isinstance(part, dict) and isinstance(part.get("text"), str))


def text_at(tree: Json, name: str) -> str:
    """A member that is text; empty where it is not."""
    value = tree.get(name)
    return value if isinstance(value, str) else ""

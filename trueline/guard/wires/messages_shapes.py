"""Where words stand in Anthropic's messages: the shapes of a request, of a reply and of the events of a stream.

https://docs.anthropic.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trueline.guard.exchange import Place
from trueline.guard.wires.bodies import Json
from trueline.guard.wires.parts import CACHE, FINISH, LEVEL, OTHER, ROLE, TIER, TYPE, USAGE, schema
from trueline.guard.wires.shapes import ANY, Shape

_CALLS = ("tool_use", "server_tool_use", "mcp_tool_use")
_EVENTS = Shape(
    quiet=frozenset(
        (
            "message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta",
            "message_stop", "ping", "error", "text_delta", "input_json_delta", "thinking_delta", "signature_delta",
            "citations_delta", "message",
        )
    )
)  # fmt: skip


def blocks(place: Place, results: Place = "tool_result") -> Shape:
    """The content of a message: a text, or blocks that say by their type what they are."""
    known = _known(place, results)
    plain = Shape(place=place, fields={"type": TYPE, "text": ANY[place], "citations": OTHER, "cache_control": CACHE})
    result = Shape(
        place=results, fields={"type": TYPE, "tool_use_id": OTHER, "content": _content(results), "cache_control": CACHE}
    )

    def of(block: Json) -> Shape:
        kind = block.get("type")
        if not isinstance(kind, str):
            return plain
        return known.get(kind) or (result if kind.endswith("tool_result") else plain)

    return Shape(place=place, choose=of)


def _known(place: Place, results: Place) -> Mapping[str, Shape]:
    text = ANY[place]
    call = ANY["tool_call"]
    media = Shape(place=place, fields={"type": TYPE, "source": Shape(choose=_source(place)), "cache_control": CACHE})
    calls = Shape(place="tool_call", fields={"type": TYPE, "id": call, "name": call, "input": call, "cache_control": CACHE})
    thought = {"type": TYPE, "thinking": ANY["reasoning"], "signature": OTHER, "data": OTHER}
    return {
        "image": media,
        "document": Shape(place=place, fields={**media.fields, "title": text, "context": text, "citations": OTHER}),
        "thinking": Shape(place="reasoning", fields=thought),
        "redacted_thinking": Shape(place="reasoning", fields=thought),
        **dict.fromkeys(_CALLS, calls),
    }


def _content(place: Place) -> Shape:
    """What a tool gave: a text, or blocks, media among them."""
    media = Shape(place=place, fields={"type": TYPE, "source": Shape(choose=_source(place)), "cache_control": CACHE})
    text = ANY[place]
    plain = Shape(place=place, fields={"type": TYPE, "text": text, "citations": OTHER, "cache_control": CACHE})
    return Shape(
        place=place, choose=lambda block: media if "source" in block and block.get("type") != "search_result" else plain
    )


def _source(place: Place) -> Callable[[Json], Shape]:
    """Where an image or a document comes from; a document can be a text."""
    kind = Shape(quiet=frozenset(("base64", "url", "text", "file", "content")))
    data = Shape(place=place, media="here")
    read = {"type": kind, "media_type": OTHER, "url": Shape(place=place, media="behind"), "file_id": Shape(media="behind")}
    text = Shape(place=place, fields={**read, "data": ANY[place]})
    bytes_ = Shape(place=place, fields={**read, "data": data})
    return lambda source: bytes_ if source.get("type") == "base64" else text


SPEAKERS = {
    role: Shape(strict=True, fields={"role": ROLE, "content": blocks(role)}) for role in ("user", "assistant", "system")
}
REQUEST = Shape(
    strict=True,
    fields={
        "model": OTHER,
        "system": blocks("system"),
        "messages": Shape(choose=lambda message: SPEAKERS[message["role"]]),
        "tools": schema(),
        "tool_choice": Shape(fields={"type": TYPE, "name": OTHER, "disable_parallel_tool_use": OTHER}),
        "output_config": Shape(fields={"format": schema(), "effort": LEVEL}),
        "output_format": schema(),
        "thinking": Shape(fields={"type": TYPE, "budget_tokens": OTHER, "display": LEVEL}),
        "metadata": Shape(fields={"user_id": OTHER}),
        "cache_control": CACHE,
        "service_tier": TIER,
        "speed": TIER,
    }
    | dict.fromkeys(
        (
            "max_tokens",
            "temperature",
            "top_p",
            "top_k",
            "stream",
            "stop_sequences",
            "container",
            "mcp_servers",
            "context_management",
        ),
        OTHER,
    ),
)
SAID = blocks("assistant", "other")
_STOP = {
    "stop_reason": FINISH,
    "stop_sequence": OTHER,
    "stop_details": Shape(fields={"type": FINISH, "category": OTHER, "explanation": OTHER}),
    "container": OTHER,
}
_MESSAGE = {"id": OTHER, "type": _EVENTS, "role": ROLE, "model": OTHER, "content": SAID, "usage": USAGE, **_STOP}
REPLY = Shape(fields={**_MESSAGE, "input_tokens": OTHER})
_DELTA = {
    "type": _EVENTS,
    "text": ANY["assistant"],
    "partial_json": ANY["tool_call"],
    "thinking": ANY["reasoning"],
    "signature": OTHER,
    "citation": OTHER,
}
EVENT = Shape(
    fields={
        "type": _EVENTS,
        "index": OTHER,
        "message": Shape(fields=_MESSAGE),
        "content_block": SAID,
        "delta": Shape(fields=_DELTA | _STOP),
        "usage": USAGE,
        "error": Shape(fields={"type": OTHER, "message": OTHER}),
        "request_id": OTHER,
    }
)

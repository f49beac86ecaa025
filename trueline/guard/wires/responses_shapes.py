"""Where words stand in OpenAI's responses API: the shapes of a request, of a reply and of the events of a stream.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Mapping

from trueline.guard.exchange import Place
from trueline.guard.wires.bodies import Json
from trueline.guard.wires.parts import FINISH, LEVEL, LOGPROBS, OTHER, ROLE, STATUS, TIER, TYPE, USAGE, message_parts, schema
from trueline.guard.wires.shapes import ANY, Shape

PLACES: Mapping[str, Place] = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant"}
# What a reply repeats of its request: it was read when it was asked.
ECHOED = (
    "instructions", "tools", "tool_choice", "text", "metadata", "user", "prompt", "prompt_cache_key", "safety_identifier",
    "model",
)  # fmt: skip
_CALL = ANY["tool_call"]
_MESSAGES = {
    role: Shape(
        place=place,
        strict=True,
        fields={"type": TYPE, "role": ROLE, "id": OTHER, "status": STATUS, "phase": OTHER, "content": message_parts(place)},
    )
    for role, place in PLACES.items()
}
_THOUGHT = Shape(place="reasoning", fields={"type": TYPE, "text": ANY["reasoning"]})
_REASONING = Shape(
    place="reasoning",
    fields={"type": TYPE, "id": OTHER, "status": STATUS, "summary": _THOUGHT, "content": _THOUGHT, "encrypted_content": OTHER},
)
_BEHIND = Shape(media="behind")
_STORED = Shape(fields={"type": TYPE, "id": _BEHIND})


def _call(results: Place) -> Shape:
    """A call of any tool; some have what came of it beside them."""
    result = message_parts(results)
    known = {"type": TYPE, "id": OTHER, "status": STATUS, "call_id": _CALL, "name": _CALL, "arguments": _CALL, "input": _CALL}
    return Shape(place="tool_call", fields=known | dict.fromkeys(("output", "outputs", "results", "error"), result))


def _image(results: Place) -> Shape:
    """A call that makes an image."""
    call = _call(results)
    return Shape(place="tool_call", fields={**call.fields, "result": Shape(media="here")})


def items(results: Place, speakers: Mapping[str, Shape]) -> Shape:
    """What a conversation consists of, each by its type; what has no type is a message."""
    call, image = _call(results), _image(results)
    result = Shape(
        place=results,
        fields={"type": TYPE, "id": OTHER, "call_id": OTHER, "status": STATUS, "output": message_parts(results)},
    )

    def of(item: Json) -> Shape:
        kind = item.get("type") or "message"
        if kind == "message":
            return speakers.get(str(item.get("role")), OTHER)
        if kind == "reasoning":
            return _REASONING
        if kind == "item_reference":
            return _STORED
        if not isinstance(kind, str):
            return OTHER
        return result if kind.endswith("_output") else image if kind == "image_generation_call" else call

    return Shape(place="user", choose=of)


SPEAKERS = _MESSAGES
SAID = items("other", dict.fromkeys((*PLACES, "tool"), Shape(place="assistant", fields=_MESSAGES["assistant"].fields)))
REQUEST = Shape(
    strict=True,
    fields={
        "model": OTHER,
        "input": items("tool_result", SPEAKERS),
        "instructions": ANY["system"],
        "tools": schema(),
        "text": Shape(fields={"format": schema(), "verbosity": LEVEL}),
        "tool_choice": Shape(fields={"type": TYPE, "name": OTHER}, quiet=TYPE.quiet | {"required"}),
        "prompt": Shape(fields={"id": _BEHIND, "version": OTHER, "variables": message_parts("user")}),
        "previous_response_id": _BEHIND,
        "conversation": Shape(media="behind", fields={"id": _BEHIND}),
        "reasoning": Shape(fields={"effort": LEVEL, "summary": LEVEL, "generate_summary": LEVEL}),
        "service_tier": TIER,
        "truncation": Shape(quiet=frozenset(("auto", "disabled"))),
        "stream_options": Shape(fields={"include_obfuscation": OTHER}),
    }
    | dict.fromkeys(
        (
            "include", "background", "max_output_tokens", "max_tool_calls", "metadata", "parallel_tool_calls",
            "prompt_cache_key", "prompt_cache_retention", "safety_identifier", "store", "stream", "temperature",
            "top_logprobs", "top_p", "user",
        ),
        OTHER,
    ),
)  # fmt: skip
_OBJECT = Shape(quiet=frozenset(("response",)))
_ERROR = Shape(fields={"code": OTHER, "message": OTHER})
REPLY = Shape(
    fields={
        **REQUEST.fields,
        "id": OTHER,
        "object": _OBJECT,
        "status": STATUS,
        "error": _ERROR,
        "incomplete_details": Shape(fields={"reason": FINISH}),
        "usage": USAGE,
        "output": SAID,
        "previous_response_id": OTHER,
        "conversation": OTHER,
        "prompt": OTHER,
        "created_at": OTHER,
        "completed_at": OTHER,
    }
)
_PART = message_parts("assistant")
_INDICES = ("sequence_number", "output_index", "content_index", "summary_index", "command_index", "annotation_index")


def event(item: Json) -> Shape:
    """An event by its type: whose words its delta is."""
    kind = str(item.get("type"))
    if "reasoning" in kind:
        place: Place = "reasoning"
    elif "call" in kind:
        place = "tool_call"
    else:
        place = "assistant"
    return _BY_PLACE[place] if kind != "response.audio.delta" else _AUDIO


def _event(place: Place) -> Shape:
    text = ANY[place]
    part = Shape(place=place, fields=_PART.fields) if place == "assistant" else _THOUGHT
    return Shape(
        fields=dict.fromkeys(_INDICES, OTHER)
        | dict.fromkeys(("delta", "text", "refusal", "arguments", "input", "code", "command"), text)
        | {
            "type": _TYPES,
            "item_id": OTHER,
            "item": SAID,
            "part": part,
            "response": REPLY,
            "logprobs": LOGPROBS.fields["content"],
            "annotation": OTHER,
            "obfuscation": OTHER,
        }
    )


_TYPES = Shape(
    quiet=frozenset(
        f"response.{name}"
        for name in (
            "created", "in_progress", "completed", "incomplete", "failed", "queued", "output_item.added", "output_item.done",
            "content_part.added", "content_part.done", "output_text.delta", "output_text.done", "refusal.delta", "refusal.done",
            "function_call_arguments.delta", "function_call_arguments.done", "reasoning_text.delta", "reasoning_text.done",
            "reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.added",
            "reasoning_summary_part.done",
        )
    )
)  # fmt: skip
_PLACES: tuple[Place, ...] = ("assistant", "reasoning", "tool_call")
_BY_PLACE = {place: _event(place) for place in _PLACES}
_AUDIO = Shape(fields={**_BY_PLACE["assistant"].fields, "delta": Shape(media="here")})
EVENT = Shape(choose=event)

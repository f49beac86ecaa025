"""Every position in which a text can stand, for each endpoint: a request or a reply with a marker there and nowhere else.

A position is finer than a Place: a user's text may be a string, a part of a list, or an argument with an escape in it, and each
is where some gateway has once failed to look.

>>> [p.label for p in POSITIONS if p.endpoint == "embeddings" and p.side == "input"]
['input', 'input in a list', 'unknown field', 'unknown key']
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from trueline.guard.exchange import Place, Side

Json = dict[str, Any]
Put = Callable[[str], Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where a marker is planted: `put` gives what differs from the endpoint's plain request, or the reply of its upstream."""

    endpoint: str
    side: Side
    place: Place
    label: str
    put: Put
    streams: bool = True  # whether the same can come in a stream


def _user(text: str) -> Json:
    return {"role": "user", "content": text}


def _call(arguments: str, name: str = "look") -> Json:
    return {"id": "c1", "type": "function", "function": {"name": name, "arguments": arguments}}


def _escaped(text: str) -> str:
    """Every character as JSON's escape, those beyond four digits as two."""
    units = text.encode("utf-16-be").hex()
    return "".join(f"\\u{units[i : i + 4]}" for i in range(0, len(units), 4))


def _messages(*more: Json) -> Json:
    return {"messages": [_user("hello"), *more, _user("and?")]}


def _chat() -> Iterator[tuple[Place, str, Put]]:
    answered = {"role": "tool", "tool_call_id": "c1", "content": "it is there"}
    yield "system", "system", lambda m: _messages({"role": "system", "content": m})
    yield "system", "developer", lambda m: _messages({"role": "developer", "content": m})
    yield "user", "user", lambda m: _messages(_user(m))
    yield "user", "user, a part", lambda m: _messages({"role": "user", "content": [{"type": "text", "text": m}]})
    yield "user", "user, first turn", lambda m: {"messages": [_user(m), {"role": "assistant", "content": "yes"}, _user("and?")]}
    yield "user", "user, name", lambda m: _messages({**_user("hi"), "name": m})
    yield "assistant", "assistant", lambda m: _messages({"role": "assistant", "content": m})
    yield "reasoning", "reasoning", lambda m: _messages({"role": "assistant", "content": "yes", "reasoning_content": m})
    for label, arguments in (("arguments", '{{"q": "{}"}}'), ("arguments, a key", '{{"{}": 1}}'), ("arguments, no JSON", "{}")):
        yield (
            "tool_call",
            label,
            lambda m, a=arguments: _messages(
                {"role": "assistant", "content": None, "tool_calls": [_call(a.format(m))]}, answered
            ),
        )
    yield (
        "tool_call",
        "arguments, escaped",
        lambda m: _messages(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [_call('{"q": "' + _escaped(m) + '"}')],
            },
            answered,
        ),
    )
    yield (
        "tool_call",
        "call, name",
        lambda m: _messages({"role": "assistant", "content": None, "tool_calls": [_call("{}", name=m)]}, answered),
    )
    yield (
        "tool_result",
        "tool result",
        lambda m: _messages({"role": "assistant", "content": None, "tool_calls": [_call("{}")]}, {**answered, "content": m}),
    )
    yield from _tools(lambda function: {"tools": [{"type": "function", "function": function}]})
    yield (
        "tool_schema",
        "reply schema",
        lambda m: {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"type": "object", "description": m}},
            }
        },
    )
    yield "other", "metadata", lambda m: {"metadata": {"note": m}}
    yield "other", "stop", lambda m: {"stop": [m]}
    yield "other", "prediction", lambda m: {"prediction": {"type": "content", "content": m}}
    yield "other", "model", lambda m: {"model": m}


def _tools(of: Callable[[Json], Json]) -> Iterator[tuple[Place, str, Put]]:
    def parameters(inner: Json) -> Json:
        return {"name": "look", "parameters": {"type": "object", "properties": {"q": {"type": "string", **inner}}}}

    yield "tool_schema", "tool, name", lambda m: of({"name": m, "parameters": {"type": "object"}})
    yield "tool_schema", "tool, description", lambda m: of({"name": "look", "description": m, "parameters": {"type": "object"}})
    yield (
        "tool_schema",
        "tool, parameter",
        lambda m: of({"name": "look", "parameters": {"type": "object", "properties": {m: {"type": "string"}}}}),
    )
    yield "tool_schema", "tool, parameter's description", lambda m: of(parameters({"description": m}))
    yield "tool_schema", "tool, enum", lambda m: of(parameters({"enum": [m]}))


def _said(endpoint: str) -> Iterator[tuple[Place, str, Put]]:
    yield "assistant", "text", lambda m: {"text": m}
    yield "reasoning", "reasoning", lambda m: {"reasoning": m}
    yield "tool_call", "arguments", lambda m: {"arguments": f'{{"q": "{m}"}}'}
    yield "tool_call", "call, name", lambda m: {"name": m}
    if endpoint == "chat":
        yield "assistant", "second choice", lambda m: {"second": m}
        yield "assistant", "refusal", lambda m: {"refusal": m}
    yield "other", "unknown field", lambda m: {"unknown": m}


def _responses() -> Iterator[tuple[Place, str, Put]]:
    def items(*more: Json) -> Json:
        return {"input": [{"role": "user", "content": "hello"}, *more]}

    yield "system", "instructions", lambda m: {"instructions": m}
    yield "system", "system", lambda m: items({"role": "system", "content": m})
    yield "user", "input", lambda m: {"input": m}
    yield "user", "user, a part", lambda m: items({"role": "user", "content": [{"type": "input_text", "text": m}]})
    yield (
        "assistant",
        "assistant",
        lambda m: items({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": m}]}),
    )
    yield "reasoning", "reasoning", lambda m: items({"type": "reasoning", "summary": [{"type": "summary_text", "text": m}]})
    yield (
        "tool_call",
        "arguments",
        lambda m: items(
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": f'{{"q": "{m}"}}'},
            {"type": "function_call_output", "call_id": "c1", "output": "it is there"},
        ),
    )
    yield (
        "tool_result",
        "tool result",
        lambda m: items(
            {"type": "function_call", "call_id": "c1", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c1", "output": m},
        ),
    )
    yield from _tools(lambda function: {"tools": [{"type": "function", **function}]})
    yield "other", "metadata", lambda m: {"metadata": {"note": m}}


def _anthropic() -> Iterator[tuple[Place, str, Put]]:
    def turns(*more: Json) -> Json:
        return {"messages": [_user("hello"), *more]}

    use = {"type": "tool_use", "id": "c1", "name": "look", "input": {}}
    yield "system", "system", lambda m: {"system": m}
    yield "system", "system, a part", lambda m: {"system": [{"type": "text", "text": m}]}
    yield "user", "user", lambda m: {"messages": [_user(m)]}
    yield "user", "user, a part", lambda m: {"messages": [{"role": "user", "content": [{"type": "text", "text": m}]}]}
    yield (
        "user",
        "document",
        lambda m: {
            "messages": [
                {
                    "role": "user",
                    "content": [{"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": m}}],
                }
            ]
        },
    )
    yield "assistant", "assistant", lambda m: turns({"role": "assistant", "content": m})
    yield (
        "reasoning",
        "thinking",
        lambda m: turns(
            {"role": "assistant", "content": [{"type": "thinking", "thinking": m, "signature": "s"}]}, _user("and?")
        ),
    )
    yield (
        "tool_call",
        "input",
        lambda m: turns(
            {"role": "assistant", "content": [{**use, "input": {"q": m}}]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": "it is there"}]},
        ),
    )
    yield (
        "tool_result",
        "tool result",
        lambda m: turns(
            {"role": "assistant", "content": [use]},
            {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "c1", "content": m}]},
        ),
    )
    yield (
        "tool_result",
        "tool result, a part",
        lambda m: turns(
            {"role": "assistant", "content": [use]},
            {
                "role": "user",
                "content": [{"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": m}]}],
            },
        ),
    )
    yield from _tools(
        lambda function: {
            "tools": [{"input_schema": function.get("parameters"), **{k: v for k, v in function.items() if k != "parameters"}}]
        }
    )
    yield "other", "metadata", lambda m: {"metadata": {"user_id": m}}


def _plain(field: str) -> Iterator[tuple[Place, str, Put]]:
    yield "user", field, lambda m: {field: m}
    yield "user", f"{field} in a list", lambda m: {field: ["hello", m]}


def _every() -> Iterator[Position]:
    askable = {
        "chat": _chat, "responses": _responses, "messages": _anthropic, "count_tokens": _anthropic,
        "embeddings": lambda: _plain("input"), "completions": lambda: _plain("prompt"),
    }  # fmt: skip
    for endpoint, asked in askable.items():
        unknown: list[tuple[Place, str, Put]] = [
            ("other", "unknown field", lambda m: {"odd": {"deep": [m]}}),
            ("other", "unknown key", lambda m: {"odd": {m: 1}}),
        ]
        streams = endpoint not in ("embeddings", "count_tokens")
        for place, label, put in (*asked(), *unknown):
            yield Position(endpoint=endpoint, side="input", place=place, label=label, put=put, streams=streams)
    for endpoint in ("chat", "responses", "messages"):
        for place, label, put in _said(endpoint):
            yield Position(endpoint=endpoint, side="output", place=place, label=label, put=put)
    yield Position(endpoint="completions", side="output", place="assistant", label="text", put=lambda m: {"text": m})
    yield Position(
        endpoint="embeddings", side="output", place="other", label="unknown field", put=lambda m: {"unknown": m}, streams=False
    )
    yield Position(endpoint="models", side="output", place="other", label="id", put=lambda m: {"text": m}, streams=False)


POSITIONS: tuple[Position, ...] = tuple(_every())

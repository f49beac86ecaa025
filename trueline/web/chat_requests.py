"""From the JSON of a chat completion's request to what is asked, each field checked before anything is computed.

What would make an answer another one is refused where it cannot be done: a form, a bias, a forced tool. What only shapes the
distribution (`top_p`, penalties) is waived, since many tools set it without being asked to, and `Asked.waived` says so: samples
come from the whole distribution. Fields that change nothing (`user`) are let pass; one that nobody knows is a slip of the pen.

https://platform.openai.com/docs/api-reference/chat/create

>>> read_request({"model": "m", "messages": [{"role": "user", "content": "hello"}], "n": 2}).n
2
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from trueline.core.records import nearest
from trueline.core.types import Conversation, Message, Tool
from trueline.data.messages import FieldError, read_messages, read_tools, write_tool
from trueline.web.errors import EndpointError

MOST_CHOICES, MOST_STOPS, MOST_LIKELY = 128, 16, 20
MOST_TOKENS = 2**20  # room is made for all of them at once
HOTTEST = 2.0
COLDEST = 1e-6  # what is colder is greedy: to divide by less is to divide by nothing
READ = (
    "model", "messages", "tools", "tool_choice", "temperature", "max_tokens", "max_completion_tokens", "seed", "stop", "n",
    "stream", "stream_options", "logprobs", "top_logprobs",
)  # fmt: skip
NEUTRAL: Mapping[str, tuple[object, ...]] = {  # what a field may say, since it then changes nothing
    "logit_bias": ({},), "response_format": ({"type": "text"},), "modalities": (["text"],),
}  # fmt: skip
SHAPING: Mapping[str, tuple[float, ...]] = {  # shapes the distribution, and changes nothing at these values
    "top_p": (1,), "top_k": (-1, 0), "min_p": (0,), "frequency_penalty": (0,), "presence_penalty": (0,),
    "repetition_penalty": (1,),
}  # fmt: skip
TRUNCATION = ("top_p", "top_k", "min_p")  # of no consequence where the likeliest token is taken
IGNORED = (
    "user", "metadata", "store", "service_tier", "parallel_tool_calls", "prompt_cache_key", "safety_identifier", "verbosity",
    "reasoning_effort",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request, read."""

    model: str
    conversation: Conversation
    temperature: float = 1.0
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    n: int = 1
    stream: bool = False
    count_tokens: bool = False  # at the end of a stream
    top: int | None = None  # likeliest tokens beside each; None: no log-probabilities
    waived: tuple[str, ...] = ()  # fields that ask to shape the distribution, which is not done


def read_body(text: bytes) -> dict[str, Any]:
    """The JSON object of a body. Raises EndpointError."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        raise EndpointError(400, "expected a body of JSON, got something else; send an object", code="invalid_json") from None
    if not isinstance(body, dict):
        raise EndpointError(400, f"expected a JSON object, got {_kind(body)}; send model and messages", code="invalid_json")
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise EndpointError(
            400, "expected whole characters, got half of a surrogate pair; send UTF-8", code="invalid_json"
        ) from None
    return {name: value for name, value in body.items() if value is not None}


def read_request(body: Mapping[str, Any]) -> Asked:
    """What a body asks. Raises EndpointError or FieldError with the field, what was expected and what came."""
    known = (*READ, *NEUTRAL, *SHAPING, *IGNORED)
    for name in body:
        if name not in known:
            raise EndpointError(
                400, f"unknown field {name!r}{nearest(name, known)}; leave it out", param=name, code="unknown_parameter"
            )
    temperature = _number(body, "temperature", 1.0, HOTTEST)
    _check_neutral(body)
    most = _whole(body, "max_completion_tokens", None, 1, MOST_TOKENS)
    with_logprobs = _flag(body, "logprobs")
    top = _whole(body, "top_logprobs", 0, 0, MOST_LIKELY)
    if top and not with_logprobs:
        raise FieldError("top_logprobs", "logprobs: true beside it", top)
    stream, options = _flag(body, "stream"), body.get("stream_options", {})
    if not isinstance(options, dict):
        raise FieldError("stream_options", "an object", options)
    return Asked(
        model=_text(body, "model"),
        conversation=Conversation(messages=_messages(body), tools=_tools(body)),
        temperature=0.0 if temperature < COLDEST else temperature,
        max_tokens=_whole(body, "max_tokens", None, 1, MOST_TOKENS) if most is None else most,
        seed=_whole(body, "seed", None),
        stop=_stop(body),
        n=_whole(body, "n", 1, 1, MOST_CHOICES) or 1,
        stream=stream,
        count_tokens=stream and _flag(options, "include_usage"),
        top=top if with_logprobs else None,
        waived=tuple(_waived(body, greedy=temperature < COLDEST)),
    )


def _messages(body: Mapping[str, Any]) -> tuple[Message, ...]:
    turns = body.get("messages")
    if not isinstance(turns, list):
        raise FieldError("messages", "a list of messages", turns)
    try:
        messages = read_messages(turns, "messages")
    except TypeError:  # a number where a list of calls should be
        raise FieldError("messages", "messages with role, content and tool_calls", turns) from None
    for index, message in enumerate(messages):
        if not isinstance(message.tool_call_id, str):
            raise FieldError(f"messages[{index}].tool_call_id", "text", message.tool_call_id)
    return messages


def _tools(body: Mapping[str, Any]) -> tuple[Tool, ...]:
    choice = body.get("tool_choice", "auto")
    if choice not in ("auto", "none"):
        raise FieldError("tool_choice", "auto or none (no tool can be forced here)", choice)
    tools = read_tools(body.get("tools"))
    for index, tool in enumerate(tools):
        write_tool(tool)  # raises where the parameters are no JSON
        if not isinstance(tool.description, str):
            raise FieldError(f"tools[{index}].function.description", "text", tool.description)
    return () if choice == "none" else tools


def _stop(body: Mapping[str, Any]) -> tuple[str, ...]:
    given = body.get("stop", [])
    stops = [given] if isinstance(given, str) else given
    if not isinstance(stops, list) or len(stops) > MOST_STOPS or not all(isinstance(s, str) and s for s in stops):
        raise FieldError("stop", f"text, or a list of at most {MOST_STOPS} texts", given)
    return tuple(stops)


def _check_neutral(body: Mapping[str, Any]) -> None:
    for name, allowed in NEUTRAL.items():
        if name in body and body[name] not in allowed:
            raise FieldError(name, f"{json.dumps(allowed[0])}, all that is served", body[name], "; leave it out")


def _waived(body: Mapping[str, Any], greedy: bool) -> Iterator[str]:
    for name, neutral in SHAPING.items():
        value = body.get(name, neutral[0])
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise FieldError(name, "a number", value)
        if value not in neutral and not (greedy and name in TRUNCATION):
            yield name


def _number(body: Mapping[str, Any], name: str, default: float, most: float) -> float:
    value = body.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or not 0 <= value <= most:
        raise FieldError(name, f"a number from 0 to {most:g}", value)
    return float(value)


def _whole(
    body: Mapping[str, Any], name: str, default: int | None, least: int | None = None, most: int | None = None
) -> int | None:
    if name not in body:
        return default
    value = body[name]
    if type(value) is not int or (least is not None and value < least) or (most is not None and value > most):
        bounds = "" if least is None else f" from {least} on" if most is None else f" from {least} to {most}"
        raise FieldError(name, f"a whole number{bounds}", value)
    return int(value)


def _flag(body: Mapping[str, Any], name: str) -> bool:
    value = body.get(name, False)
    if not isinstance(value, bool):
        raise FieldError(name, "true or false", value)
    return value


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str):
        raise FieldError(name, "text", value)
    return value


def _kind(value: object) -> str:
    return {list: "a list", str: "text", bool: "true or false"}.get(type(value), "null" if value is None else "a number")

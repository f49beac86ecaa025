"""What the ways to ask a remote model have in common: a question as JSON, an answer out of JSON or out of a stream.

A `Wire` is pure: no client, no key of its own, no clock. A streamed reply is first put together into the very object that the
same server sends without streaming, and then read by the same function; so the two cannot differ.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from trueline.core.types import Conversation, Finish, Sampling, Tool, ToolCall
from trueline.data.messages import write_tool

T = TypeVar("T")
Json = dict[str, Any]
KINDS = {dict: "an object", list: "a list", str: "text", int: "a whole number"}


class ShapeError(ValueError):
    """What came does not have the shape of a reply. `said` is the server's own complaint, where it made one."""

    def __init__(self, expected: str, said: str = "") -> None:
        super().__init__(expected)
        self.said = said


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a model said, as a wire reads it; tokens are None where the server does not count them."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: Finish = "stop"
    logprobs: tuple[float, ...] = ()
    tokens_read: int | None = None
    tokens_written: int | None = None


class Wire(Protocol):
    """One way to ask: where, with which headers, in which words."""

    @property
    def path(self) -> str: ...

    def headers(self, key: str) -> dict[str, str]: ...

    def question(self, model: str, conversation: Conversation, sampling: Sampling, *, stream: bool, logprobs: bool) -> Json: ...

    def gather(self, events: Sequence[Json]) -> Json:
        """The whole reply out of its streamed pieces. Raises ShapeError for a stream that broke off."""
        ...

    def answer(self, body: Json) -> Answer:
        """Read a whole reply. Raises ShapeError."""
        ...


def read_json(text: bytes) -> Json:
    """An object out of bytes. Raises ShapeError."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):  # a stranger may nest as deep as he likes
        raise ShapeError("a reply in JSON") from None
    if not isinstance(value, dict):
        raise ShapeError("a reply that is a JSON object")
    return value


def events(body: bytes) -> Iterator[Json]:
    """The objects of a stream of server-sent events, up to `[DONE]`. Raises ShapeError for anything else."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise ShapeError("a stream in UTF-8") from None
    # Not splitlines: a line separator inside of a JSON text is no end of a line here.
    for block in re.split(r"\n{2,}", text.replace("\r\n", "\n").replace("\r", "\n")):
        lines = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if not lines:
            continue  # a comment that keeps the line open
        data = "\n".join(lines)
        if data.strip() == "[DONE]":
            return
        event = read_json(data.encode())
        if said := complaint(event):
            raise ShapeError("a stream without an error in it", said)
        yield event


def complaint(body: Json) -> str:
    """What a server says went wrong, in any of the usual places; nothing where nothing did."""
    error = body.get("error")
    if isinstance(error, dict):
        return str(error.get("message") or error)
    if body.get("type") == "error":
        return str(body.get("message") or body)
    return str(error or "")


def found(body: Any, kind: type[T], *path: str | int) -> T:
    """What lies in a reply at a path. Raises ShapeError naming the path."""
    here = body
    for step in path:
        try:
            here = here[step]
        except (KeyError, IndexError, TypeError):
            here = None
    if not isinstance(here, kind):
        where = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path).lstrip(".")
        raise ShapeError(f"{KINDS[kind]} at {where}")
    return here


def tokens_of(body: Json, name: str) -> int | None:
    """A count out of a reply's `usage`; None where there is none, or none that can be true."""
    usage = body.get("usage")
    counted = usage.get(name) if isinstance(usage, Mapping) else None
    return counted if type(counted) is int and counted >= 0 else None


def logprobs_of(tokens: Sequence[Any]) -> tuple[float, ...]:
    """The log-probabilities of what was said, all or none: one that is no number makes the rest worthless."""
    values = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    numbers = all(type(value) in (int, float) and math.isfinite(value) for value in values)
    return tuple(map(float, values)) if numbers else ()


def parameters(tool: Tool) -> Json:
    """A tool's JSON Schema; a tool without one takes nothing."""
    schema: Json = write_tool(tool)["function"]["parameters"]
    return schema or {"type": "object", "properties": {}}

"""The tool calls of an exchange: in order, those of earlier turns with their results, and what stands in their arguments.

>>> leaves({"to": ["a", "b"], "cc": {"to": "c"}}, "to")
['a', 'b']
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from trueline.core.types import Message, ToolCall
from trueline.guard.exchange import Exchange, Side
from trueline.guard.rails.schemas import UnreadableError, strict_json


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A call that was made, whether the reply makes it, and what the tool answered (empty: not yet, or nothing)."""

    call: ToolCall
    by_reply: bool
    result: str = ""


def made(exchange: Exchange) -> list[Made]:
    """Every call, earlier turns first. A result belongs to the call whose id it carries; without ids, to
    every call of the turn before it."""
    found: list[Made] = []
    messages = exchange.conversation.messages
    for place, message in enumerate(messages):
        answers = _answers(messages, place + 1) if message.tool_calls else []
        for call in message.tool_calls:
            own = [answer.text for answer in answers if call.id and answer.tool_call_id == call.id]
            found.append(Made(call=call, by_reply=False, result="\n".join(own or [answer.text for answer in answers])))
    return [*found, *(Made(call=call, by_reply=True) for call in exchange.calls)]


def of_side(exchange: Exchange, side: Side) -> list[Made]:
    """The calls that a side brings: a request those of its history, a reply its own."""
    return [m for m in made(exchange) if m.by_reply == (side == "output")]


def arguments(call: ToolCall) -> dict[str, object]:
    """The arguments of a call. Raises UnreadableError where they are not one JSON object; none at all are an empty one."""
    value = strict_json(call.arguments) if call.arguments.strip() else {}
    if not isinstance(value, dict):
        raise UnreadableError(f"expected a JSON object of arguments, got {type(value).__name__}")
    return value


def leaves(value: object, path: str) -> list[object]:
    """The values at a dotted path; of a list on the way, those of every element."""
    here = [value]
    for step in path.split("."):
        here = [item[step] for item in _unrolled(here) if isinstance(item, dict) and step in item]
    return list(_unrolled(here))


def named(pattern: str, tool: str) -> bool:
    """Whether a tool has that name, or begins as `pattern` does before its star.

    >>> named("read_*", "read_mail"), named("read", "read_mail")
    (True, False)
    """
    return tool.startswith(pattern[:-1]) if pattern.endswith("*") else tool == pattern


def _answers(messages: tuple[Message, ...], start: int) -> list[Message]:
    """The tool messages that follow, up to the next turn of somebody else."""
    found = []
    for message in messages[start:]:
        if message.role != "tool":
            break
        found.append(message)
    return found


def _unrolled(values: list[object]) -> Iterator[object]:
    """Values, with lists opened at any depth; a loop, since hostile lists may be deep."""
    rest = list(reversed(values))
    while rest:
        value = rest.pop()
        if isinstance(value, list):
            rest.extend(reversed(value))
        else:
            yield value

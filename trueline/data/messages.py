"""Turns of a conversation as the world writes them, and as we do.

Read: TRL and OpenAI (`role`, `content`, `tool_calls`), ShareGPT (`from`, `value`), LLaMA-Factory's tool turns (a call is a turn
of its own), HH-RLHF's text ("\\n\\nHuman: ... \\n\\nAssistant: ..."). Written: OpenAI's, which TRL takes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from trueline.core.records import nearest
from trueline.core.types import Message, Role, Tool, ToolCall

ROLES: dict[str, Role] = {
    **dict.fromkeys(("system", "developer"), "system"),
    **dict.fromkeys(("user", "human"), "user"),
    **dict.fromkeys(("assistant", "gpt", "chatgpt", "bot", "model"), "assistant"),
    **dict.fromkeys(("tool", "function", "tool_result", "tool_response", "function_response", "observation"), "tool"),
}
_CALLS = ("tool_call", "function_call")  # LLaMA-Factory: the call is a turn, and its content is JSON
_HH_TURN = re.compile(r"\n\n(Human|Assistant):")
_LISTS = (list, tuple)


class FieldError(ValueError):
    """A field that is not what its format needs; the reader of the file adds where it is."""

    def __init__(self, field: str, expected: str, got: object, hint: str = "") -> None:
        shown = repr(got)
        came = "nothing" if got is None else f"{shown if len(shown) <= 60 else shown[:57] + '...'} ({type(got).__name__})"
        super().__init__(f"field {field!r}: expected {expected}, got {came}{hint}")
        self.field = field


def read_messages(value: Any, field: str) -> tuple[Message, ...]:
    """Read a list of turns; JSON text is a list too (a CSV file has no other way to hold one)."""
    turns = read_list(value, field, "a list of messages")
    if not turns:
        raise FieldError(field, "at least one message", value)
    return tuple(_message(turn, f"{field}[{index}]") for index, turn in enumerate(turns))


def read_prompt(value: Any, field: str) -> tuple[Message, ...]:
    """Read a prompt: messages, HH-RLHF's text, or plain text, which is one turn of the user."""
    if isinstance(value, _LISTS):
        return read_messages(value, field)
    if not isinstance(value, str):
        raise FieldError(field, "text or a list of messages", value)
    if value.startswith("\n\nHuman:"):
        turns = read_hh(value, field)
        return turns[:-1] if turns[-1] == Message(role="assistant") else turns  # "... \n\nAssistant:" opens the answer
    return (Message(role="user", text=value),)


def read_completion(value: Any, field: str, prompt: Sequence[Message] = ()) -> Message:
    """Read what was answered: text, a message, or a list of messages that may repeat the prompt before the answer."""
    if isinstance(value, str):
        return Message(role="assistant", text=value)
    if isinstance(value, Mapping):
        turns: tuple[Message, ...] = (_message(value, field),)
    else:
        turns = read_messages(value, field)
    if len(turns) > len(prompt) and turns[: len(prompt)] == tuple(prompt):
        turns = turns[len(prompt) :]
    if len(turns) != 1 or turns[0].role != "assistant":
        roles = " ".join(turn.role for turn in turns)
        raise FieldError(field, "text, or one assistant message after the prompt", f"turns of {roles}")
    return turns[0]


def read_hh(text: str, field: str) -> tuple[Message, ...]:
    """Read HH-RLHF's text; the blanks around each turn belong to the format, not to what was said."""
    before, *pieces = _HH_TURN.split(text)
    if before.strip() or not pieces:
        raise FieldError(field, "text that begins with '\\n\\nHuman:'", text)
    said = zip(pieces[::2], pieces[1::2], strict=True)
    return tuple(Message(role="user" if who == "Human" else "assistant", text=words.strip()) for who, words in said)


def read_tools(value: Any, field: str = "tools") -> tuple[Tool, ...]:
    """Read the tools on offer: a list, or JSON text of one; each OpenAI's `{"type", "function"}` or the function alone."""
    if value is None or value == "":
        return ()
    tools = []
    for index, item in enumerate(read_list(value, field, "a list of tools")):
        tool = item.get("function", item) if isinstance(item, Mapping) else item
        if not isinstance(tool, Mapping) or not isinstance(tool.get("name"), str):
            raise FieldError(f"{field}[{index}]", "a tool with a name", item)
        parameters = _json_text(tool.get("parameters") or {})
        tools.append(Tool(name=tool["name"], description=tool.get("description") or "", parameters=parameters))
    return tuple(tools)


def read_list(value: Any, field: str, expected: str) -> Sequence[Any]:
    """Read a list, or JSON text of one."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            value = json.loads(value)
        except ValueError:
            raise FieldError(field, f"{expected}, as JSON", value) from None
    if not isinstance(value, _LISTS):
        raise FieldError(field, expected, value)
    return value


def write_message(message: Message) -> dict[str, Any]:
    """Write a turn as OpenAI and TRL do."""
    turn: dict[str, Any] = {"role": message.role, "content": message.text}
    if message.tool_calls:
        turn["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.tool_call_id:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def write_tool(tool: Tool) -> dict[str, Any]:
    """Write a tool on offer as OpenAI and TRL do."""
    try:
        parameters = json.loads(tool.parameters)
    except ValueError:
        raise FieldError(f"tool {tool.name!r}", "parameters that are a JSON Schema", tool.parameters) from None
    function = {"name": tool.name, "description": tool.description, "parameters": parameters}
    return {"type": "function", "function": function}


def _message(turn: Any, field: str) -> Message:
    if not isinstance(turn, Mapping):
        raise FieldError(field, "a message with role and content", turn)
    who, what = ("from", "value") if "from" in turn else ("role", "content")
    name, content = turn.get(who), turn.get(what)
    if name in _CALLS:
        return Message(role="assistant", tool_calls=_calls_in_text(content, f"{field}.{what}"))
    if name not in ROLES:
        known = (*ROLES, *_CALLS)
        hint = nearest(name, known) if isinstance(name, str) else ""
        raise FieldError(f"{field}.{who}", f"one of {', '.join(known)}", name, hint)
    calls = tuple(_call(call, f"{field}.tool_calls[{index}]") for index, call in enumerate(turn.get("tool_calls") or ()))
    if content is None and calls:
        content = ""
    return Message(
        role=ROLES[name],
        text=_content(content, f"{field}.{what}"),
        tool_calls=calls,
        tool_call_id=turn.get("tool_call_id") or "",
    )


def _content(value: Any, field: str) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, _LISTS):  # OpenAI's parts
        for index, part in enumerate(value):
            if not isinstance(part, Mapping) or not isinstance(part.get("text"), str):
                raise FieldError(f"{field}[{index}]", "a part of text (pictures and sound cannot be read)", part)
        return "".join(part["text"] for part in value)
    raise FieldError(field, "text", value)


def _call(value: Any, field: str) -> ToolCall:
    call = value.get("function", value) if isinstance(value, Mapping) else value
    if not isinstance(call, Mapping) or not isinstance(call.get("name"), str):
        raise FieldError(field, "a tool call with a name and arguments", value)
    arguments = call.get("arguments", "")
    text = arguments if isinstance(arguments, str) else _json_text(arguments)
    return ToolCall(name=call["name"], arguments=text, id=value.get("id") or "")


def _calls_in_text(value: Any, field: str) -> tuple[ToolCall, ...]:
    try:
        calls = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        raise FieldError(field, "a tool call as JSON", value) from None
    return tuple(_call(call, field) for call in (calls if isinstance(calls, list) else [calls]))


def _json_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

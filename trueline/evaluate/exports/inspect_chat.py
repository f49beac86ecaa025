"""Messages, tools and completions between trueline and Inspect, both ways.

    conversation(chat(messages)).messages == messages

Inspect's arguments of a tool call are an object, so that the spacing of JSON is lost. Arguments that are no object (the world's
own words, JSON that is broken) travel under one key of ours, and come back as they were written.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from inspect_ai.model import (
    ChatCompletionChoice,
    ChatMessage,
    ChatMessageAssistant,
    ChatMessageSystem,
    ChatMessageTool,
    ChatMessageUser,
    ModelOutput,
    StopReason,
)
from inspect_ai.tool import ToolCall as InspectCall
from inspect_ai.tool import ToolInfo, ToolParams
from pydantic import ValidationError

from trueline.core.types import Completion, Conversation, Finish, Message, Prompt, Tool, ToolCall

AS_WRITTEN = "trueline:as_written"
_STOPS: Mapping[Finish, StopReason] = {"stop": "stop", "length": "max_tokens", "filtered": "content_filter", "error": "unknown"}
_FINISHES: Mapping[str, Finish] = {"max_tokens": "length", "model_length": "length", "content_filter": "filtered"}


def chat(messages: Iterable[Message]) -> list[ChatMessage]:
    """Turn our messages into Inspect's."""
    return [_message(message) for message in messages]


def output(completion: Completion) -> ModelOutput:
    """Turn a completion into Inspect's output of a model."""
    said = ChatMessageAssistant(content=safe(completion.text), tool_calls=_calls(completion.tool_calls))
    stop = "tool_calls" if completion.tool_calls else _STOPS[completion.finish]
    error = (said.text or "the target did not answer") if completion.finish == "error" else None
    choice = ChatCompletionChoice(message=said, stop_reason=stop)
    return ModelOutput(model=safe(completion.model), choices=[choice], error=error)


def conversation(messages: Iterable[ChatMessage], tools: Iterable[ToolInfo] = ()) -> Conversation:
    """Turn Inspect's messages and tools into ours; of what is shown beside text (images, reasoning), only text is kept."""
    return Conversation(messages=tuple(_ours(message) for message in messages), tools=tuple(_tool(tool) for tool in tools))


def tools_of(conversation: Conversation) -> list[ToolInfo]:
    """Turn our tools into Inspect's; parameters that are no schema of an object are left out."""
    return [_info(tool) for tool in conversation.tools]


def completion_of(prompt: Prompt, said: ModelOutput) -> Completion:
    """Read what Inspect's model answered to a prompt as a completion."""
    if not said.choices:
        return Completion(prompt=prompt, text=said.error or "", model=said.model, finish="error")
    message = _ours(said.message)
    finish = "error" if said.error else _FINISHES.get(said.stop_reason, "stop")
    return Completion(prompt=prompt, text=message.text, tool_calls=message.tool_calls, model=said.model, finish=finish)


def safe(text: str) -> str:
    """Spell out what UTF-8 cannot hold: half of a surrogate pair, as a cut-off escape leaves it."""
    return text.encode("utf-8", "backslashreplace").decode()


def safe_values(value: object) -> object:
    """Do the same in every text of a JSON value."""
    if isinstance(value, str):
        return safe(value)
    if isinstance(value, Mapping):
        return {safe(str(key)): safe_values(inner) for key, inner in value.items()}
    return [safe_values(inner) for inner in value] if isinstance(value, list | tuple) else value


def _message(message: Message) -> ChatMessage:
    text = safe(message.text)
    match message.role:
        case "system":
            return ChatMessageSystem(content=text)
        case "user":
            return ChatMessageUser(content=text)
        case "tool":
            return ChatMessageTool(content=text, tool_call_id=safe(message.tool_call_id) or None)
        case "assistant":
            return ChatMessageAssistant(content=text, tool_calls=_calls(message.tool_calls))


def _ours(message: ChatMessage) -> Message:
    if isinstance(message, ChatMessageAssistant):
        return Message(role="assistant", text=message.text, tool_calls=tuple(map(_call, message.tool_calls or ())))
    if isinstance(message, ChatMessageTool):
        return Message(role="tool", text=message.text, tool_call_id=message.tool_call_id or "")
    return Message(role=message.role, text=message.text)


def _calls(calls: Iterable[ToolCall]) -> list[InspectCall] | None:
    return [InspectCall(id=safe(c.id), function=safe(c.name), arguments=_arguments(c.arguments)) for c in calls] or None


def _arguments(written: str) -> dict[str, object]:
    try:
        read = json.loads(written)
    except (ValueError, RecursionError):
        read = None
    return (
        {safe(key): safe_values(value) for key, value in read.items()}
        if isinstance(read, dict)
        else {AS_WRITTEN: safe(written)}
    )


def _call(call: InspectCall) -> ToolCall:
    whole = call.arguments
    written = whole[AS_WRITTEN] if set(whole) == {AS_WRITTEN} else json.dumps(whole)
    return ToolCall(name=call.function, arguments=written, id=call.id)


def _info(tool: Tool) -> ToolInfo:
    try:
        parameters = ToolParams.model_validate_json(tool.parameters)
    except ValidationError:
        parameters = ToolParams()
    return ToolInfo(name=tool.name, description=tool.description, parameters=parameters)


def _tool(tool: ToolInfo) -> Tool:
    return Tool(name=tool.name, description=tool.description, parameters=tool.parameters.model_dump_json(exclude_none=True))

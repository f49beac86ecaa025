"""OpenAI's chat completions, which most servers of models understand: POST /chat/completions.

https://platform.openai.com/docs/api-reference/chat
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Conversation, Finish, Sampling, ToolCall
from trueline.data.messages import write_message, write_tool
from trueline.targets.wire import Answer, Json, ShapeError, found, logprobs_of, tokens_of

FINISHES: Mapping[str, Finish] = {"length": "length", "content_filter": "filtered"}  # whatever else is said: it stopped


@dataclass(frozen=True, kw_only=True)
class ChatWire:
    """Chat completions, with tools, seed and log-probabilities."""

    limit: str = "max_tokens"  # what bounds the answer; OpenAI's own models take max_completion_tokens alone
    path: str = "/chat/completions"

    def headers(self, key: str) -> dict[str, str]:
        """As a bearer; none without a key."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def question(self, model: str, conversation: Conversation, sampling: Sampling, *, stream: bool, logprobs: bool) -> Json:
        """The body of the request."""
        asked: Json = {
            "model": model,
            "messages": [write_message(message) for message in conversation.messages],
            "temperature": sampling.temperature,
            self.limit: sampling.max_tokens,
            "seed": sampling.seed,
        }
        if conversation.tools:
            asked["tools"] = [write_tool(tool) for tool in conversation.tools]
        if logprobs:
            asked["logprobs"] = True
        if stream:
            asked |= {"stream": True, "stream_options": {"include_usage": True}}
        return asked

    def gather(self, events: Sequence[Json]) -> Json:
        """One choice out of the deltas; a stream that never says how it ended has broken off."""
        message: Json = {"content": "", "refusal": "", "tool_calls": []}
        calls: dict[Any, Json] = {}
        logprobs: list[Any] = []
        usage, finish = None, None
        for event in events:
            usage = event.get("usage") or usage
            if not event.get("choices"):
                continue  # the last event counts tokens and says nothing
            choice = found(event, dict, "choices", 0)
            delta = choice.get("delta") or {}
            finish = choice.get("finish_reason") or finish
            logprobs += ((choice.get("logprobs") or {}).get("content")) or []
            for part in ("content", "refusal"):
                message[part] += found(delta, str, part) if delta.get(part) else ""
            for piece in delta.get("tool_calls") or ():
                function = found(piece, dict, "function")
                call = calls.setdefault(piece.get("index", len(calls)), {"id": "", "function": {"name": "", "arguments": ""}})
                call["id"] = call["id"] or piece.get("id") or ""
                for part in ("name", "arguments"):
                    call["function"][part] += found(function, str, part) if function.get(part) else ""
        if finish is None:
            raise ShapeError("a stream that says how it ended: it broke off in the middle")
        message["tool_calls"] = list(calls.values())
        choice = {"message": message, "finish_reason": finish, "logprobs": {"content": logprobs}}
        return {"choices": [choice], "usage": usage}

    def answer(self, body: Json) -> Answer:
        """The first choice: what is said, or what is said in refusing."""
        choice = found(body, dict, "choices", 0)
        message = found(choice, dict, "message")
        said = message.get("content") or message.get("refusal") or ""
        calls = found(message, list, "tool_calls") if message.get("tool_calls") else []
        return Answer(
            text=found({"content": said}, str, "content"),
            tool_calls=tuple(_call(call) for call in calls),
            finish=FINISHES.get(str(choice.get("finish_reason")), "stop"),
            logprobs=logprobs_of((choice.get("logprobs") or {}).get("content") or ()),
            tokens_read=tokens_of(body, "prompt_tokens"),
            tokens_written=tokens_of(body, "completion_tokens"),
        )


def _call(call: Any) -> ToolCall:
    """A call as the model wrote it: arguments are text, and need not be JSON."""
    function = found(call, dict, "function")
    arguments = found(function, str, "arguments") if function.get("arguments") else ""
    return ToolCall(name=found(function, str, "name"), arguments=arguments, id=str(call.get("id") or ""))

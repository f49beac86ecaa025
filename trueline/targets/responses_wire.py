"""OpenAI's responses API: POST /responses. Nothing is stored on the server: each question brings its whole conversation.

https://platform.openai.com/docs/api-reference/responses
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from trueline.core.types import Conversation, Finish, Message, Sampling, ToolCall
from trueline.targets.wire import Answer, Json, ShapeError, complaint, found, logprobs_of, parameters, tokens_of

FINISHES: Mapping[str, Finish] = {"max_output_tokens": "length", "content_filter": "filtered"}
ENDS = ("response.completed", "response.incomplete", "response.failed")


@dataclass(frozen=True, kw_only=True)
class ResponsesWire:
    """The responses API, with tools; it has no seed."""

    path: str = "/responses"

    def headers(self, key: str) -> dict[str, str]:
        """As a bearer; none without a key."""
        return {"authorization": f"Bearer {key}"} if key else {}

    def question(self, model: str, conversation: Conversation, sampling: Sampling, *, stream: bool, logprobs: bool) -> Json:
        """The body of the request."""
        asked: Json = {
            "model": model,
            "input": [item for message in conversation.messages for item in _items(message)],
            "temperature": sampling.temperature,
            "max_output_tokens": sampling.max_tokens,
            "store": False,
        }
        if conversation.tools:
            asked["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": parameters(tool),
                    "strict": False,  # strict is the default there, and refuses most schemas
                }
                for tool in conversation.tools
            ]
        if logprobs:
            asked["include"] = ["message.output_text.logprobs"]
        if stream:
            asked["stream"] = True
        return asked

    def gather(self, events: Sequence[Json]) -> Json:
        """The last event holds the whole reply."""
        whole = next((event for event in events if event.get("type") in ENDS), None)
        if whole is None:
            raise ShapeError("a stream that says how it ended: it broke off in the middle")
        return found(whole, dict, "response")

    def answer(self, body: Json) -> Answer:
        """All texts and calls of the output, in order; what the model thought meanwhile is not part of it."""
        if said := complaint(body):
            raise ShapeError("a reply without an error in it", said)
        items = [item for item in found(body, list, "output") if isinstance(item, dict)]
        parts = [part for item in items if item.get("type") == "message" for part in found(item, list, "content")]
        reason = (body.get("incomplete_details") or {}).get("reason")
        logprobs = [token for part in parts for token in part.get("logprobs") or ()]
        return Answer(
            text="".join(found(part, str, "refusal" if part.get("type") == "refusal" else "text") for part in parts),
            tool_calls=tuple(
                ToolCall(
                    name=found(item, str, "name"), arguments=str(item.get("arguments") or ""), id=found(item, str, "call_id")
                )
                for item in items
                if item.get("type") == "function_call"
            ),
            finish=FINISHES.get(str(reason), "stop"),
            logprobs=logprobs_of(logprobs),
            tokens_read=tokens_of(body, "input_tokens"),
            tokens_written=tokens_of(body, "output_tokens"),
        )


def _items(message: Message) -> Iterator[Json]:
    """A turn as items: what was said, and each call or its result as an item of its own."""
    if message.role == "tool":
        yield {"type": "function_call_output", "call_id": message.tool_call_id, "output": message.text}
        return
    if message.text or not message.tool_calls:
        yield {"role": message.role, "content": message.text}
    for call in message.tool_calls:
        yield {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": call.arguments}

"""The stream of a message: a start, blocks that start, grow and stop one after the other, and how it stopped.

https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from trueline.guard.exchange import Path
from trueline.guard.wires.bodies import Json, WireError
from trueline.guard.wires.forms import Where
from trueline.guard.wires.messages_shapes import EVENT
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.sse import Event
from trueline.guard.wires.usage import counts

NO_USAGE = {"input_tokens": 0, "output_tokens": 0}
_GROWS = {"text": "text", "partial_json": "input", "thinking": "thinking", "signature": "signature"}
_BEGINS = ("id", "name", "input", "text", "thinking", "signature")  # what else a block starts with is complete
# https://docs.anthropic.com/en/api/errors
_TYPES = {
    401: "authentication_error", 403: "permission_error", 404: "not_found_error", 413: "request_too_large", 429:
    "rate_limit_error", 504: "timeout_error", 529: "overloaded_error",
}  # fmt: skip


def error_body(status: int, code: str, message: str) -> Json:
    """An error as Anthropic writes it, and the code beside."""
    kind = _TYPES.get(status, "invalid_request_error" if status < 500 else "api_error")
    return {"type": "error", "error": {"type": kind, "message": message, "code": code}}


def refused(text: str) -> Json:
    """That a message stopped because it refuses."""
    details = {"type": "refusal", "category": None, "explanation": text}
    return {"stop_reason": "refusal", "stop_sequence": None, "stop_details": details}


@dataclass(slots=True)
class MessagesForm:
    """One stream of a message."""

    model: str
    id: str
    shape: Shape = EVENT
    usage: Json = field(default_factory=dict)
    started: bool = False  # here and below: what the client has
    blocks: int = 0
    open: int | None = None
    told: bool = False  # why it stopped

    def where(self, event: Json, path: Path) -> Where | None:
        """What a delta brings, and what a block starts with, belongs to the block."""
        if path[0] == "delta" and event.get("type") == "content_block_delta" and len(path) == 2 and path[1] in _GROWS:
            return Where(("content", _index(event), _GROWS[str(path[1])]))
        if path[0] == "content_block" and path[1] in _BEGINS:
            return Where(("content", _index(event), *path[1:]))
        return None

    def known(self, path: Path, text: str) -> bool:
        """Nothing is said again that the client said."""
        return False

    def group(self, path: Path) -> Path:
        """A call is a block."""
        return path[:2]

    def completes(self, event: Json) -> Iterable[Path]:
        """A block is complete when it stops, and all are when the message does."""
        self.usage |= counts(event.get("usage")) or {}
        if event.get("type") == "message_start":
            self.usage |= counts(event["message"].get("usage")) or {} if isinstance(event.get("message"), dict) else {}
        if str(event.get("type")).startswith("content_block_"):
            block = ("content", _index(event))
            return [block] if event["type"] == "content_block_stop" else []
        return [()] if event.get("type") in ("message_delta", "message_stop") else []

    def ends(self, event: Json) -> bool:
        """See Form."""
        return event.get("type") in ("message_stop", "error")

    def done(self, missing: bool) -> bool:
        """There is no [DONE] in this format."""
        return False

    def sent(self, event: Json) -> None:
        """See Form."""
        kind = event.get("type")
        if kind == "message_start":
            self.started = True
        elif kind == "content_block_start":
            self.open = _index(event)
            self.blocks = self.open + 1
        elif kind == "content_block_stop":
            self.open = None
        elif kind == "message_delta":
            self.told = True

    def refuse(self, text: str, said: Callable[[Path], str]) -> Iterator[Event]:
        """The open block stops; where there was none, one says no; and the message stops for that reason."""
        usage = NO_USAGE | self.usage
        if not self.started:
            head = {"id": self.id, "type": "message", "role": "assistant", "model": self.model, "content": []}
            message = {**head, "stop_reason": None, "stop_sequence": None, "usage": usage}
            yield _event({"type": "message_start", "message": message})
        if self.open is not None:
            yield _event({"type": "content_block_stop", "index": self.open})
        if not self.blocks:
            yield _event({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}})
            yield _event({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}})
            yield _event({"type": "content_block_stop", "index": 0})
        if not self.told:
            yield _event({"type": "message_delta", "delta": refused(text), "usage": usage})
        yield _event({"type": "message_stop"})

    def fail(self, status: int, code: str, message: str) -> Iterator[Event]:
        """An event that is an error."""
        yield _event(error_body(status, code, message))


def _event(body: Json) -> Event:
    return Event(body["type"], orjson.dumps(body))


def _index(event: Json) -> int:
    index = event.get("index")
    if type(index) is not int or index < 0:
        raise WireError("expected the index of a block, a whole number", status=502, code="upstream_error")
    return index

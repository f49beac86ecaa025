"""The stream of a chat completion, and of a legacy completion: chunks with choices, and [DONE].

https://platform.openai.com/docs/api-reference/chat/streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from trueline.guard.exchange import Path
from trueline.guard.wires.bodies import Json, WireError
from trueline.guard.wires.chat_shapes import REPLY
from trueline.guard.wires.forms import Where
from trueline.guard.wires.openai import error_body
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.sse import Event
from trueline.guard.wires.usage import counts

CALLS = "tool_calls"


@dataclass(slots=True)
class ChatForm:
    """One stream of chunks."""

    model: str
    id: str
    created: int
    shape: Shape = REPLY
    kind: str = "chat.completion.chunk"
    read: dict[int, bool] = field(default_factory=dict)  # choices, and whether the upstream has finished them
    had: dict[int, bool] = field(default_factory=dict)  # choices that the client has begun to get, and whether it has their end
    usage: Json | None = None

    def where(self, event: Json, path: Path) -> Where | None:
        """Text of a delta belongs to the message of its choice; what stands in no choice stands for itself."""
        if path[0] != "choices" or len(path) < 3 or path[2] not in ("delta", "text"):
            return None
        choice = event["choices"][path[1]]
        if path[2] == "text":
            return Where(("choices", _index(choice, path[1]), "text"))
        rest = list(path[3:])
        if len(rest) > 2 and rest[0] == CALLS:
            rest[1] = _index(choice["delta"][CALLS][rest[1]], rest[1])
            # Some servers write name and id again in every chunk; clients differ in whether they add them up.
            return Where(("choices", _index(choice, path[1]), "message", *rest), repeats=rest[-1] in ("id", "name"))
        return Where(("choices", _index(choice, path[1]), "message", *rest))

    def known(self, path: Path, text: str) -> bool:
        """Nothing is said again that the client said."""
        return False

    def group(self, path: Path) -> Path:
        """A call is one of a list, or the one of old."""
        return path[:5] if path[3:4] == (CALLS,) else path[:4]

    def completes(self, event: Json) -> Iterable[Path]:
        """A choice is complete when it says why it finished."""
        if isinstance(event.get("usage"), dict):
            self.usage = counts(event["usage"])
        for index, finished in _choices(event):
            self.read[index] = self.read.get(index, False) or finished
            if finished:
                yield ("choices", index)

    def ends(self, event: Json) -> bool:
        """Only an error ends a stream before [DONE]."""
        return bool(event.get("error"))

    def done(self, missing: bool) -> bool:
        """It does; some servers leave it out."""
        return not missing or (bool(self.read) and all(self.read.values()))

    def sent(self, event: Json) -> None:
        """See Form."""
        if isinstance(event.get("id"), str):
            self.id = event["id"] or self.id
        if isinstance(event.get("model"), str):
            self.model = event["model"] or self.model
        if type(event.get("created")) is int:
            self.created = event["created"]
        for index, finished in _choices(event):
            self.had[index] = self.had.get(index, False) or finished

    def refuse(self, text: str, said: Callable[[Path], str]) -> Iterator[Event]:
        """Every choice that is open says no, and ends as filtered content does."""
        for index in [index for index, finished in self.had.items() if not finished] or ([] if self.had else [0]):
            start = {} if index in self.had else {"role": "assistant", "content": text}  # behind what was said it adds nothing
            yield self._chunk([self._choice(index, {**start, "refusal": text}, None)])
            yield self._chunk([self._choice(index, {}, "content_filter")])
        if self.usage:
            yield self._chunk([], self.usage)
        yield Event("", b"[DONE]")

    def fail(self, status: int, code: str, message: str) -> Iterator[Event]:
        """An error in place of a chunk, which clients raise."""
        yield Event("", orjson.dumps(error_body(status, code, message)))

    def _choice(self, index: int, delta: Json, finish: str | None) -> Json:
        if self.kind == "text_completion":
            return {"index": index, "text": delta.get("refusal", ""), "logprobs": None, "finish_reason": finish}
        return {"index": index, "delta": delta, "logprobs": None, "finish_reason": finish}

    def _chunk(self, choices: list[Json], usage: Json | None = None) -> Event:
        told = {"id": self.id, "object": self.kind, "created": self.created, "model": self.model, "choices": choices}
        return Event("", orjson.dumps(told | {"usage": usage} if usage else told))


def _choices(event: Json) -> Iterator[tuple[int, bool]]:
    choices = event.get("choices")
    for at, choice in enumerate(choices if isinstance(choices, list) else ()):
        if isinstance(choice, dict):
            yield _index(choice, at), choice.get("finish_reason") is not None


def _index(item: Any, default: Any) -> int:
    """The number of a choice or of a call, which is where it stands if it does not say."""
    index = item.get("index", default) if isinstance(item, dict) else default
    if type(index) is not int or index < 0:
        raise WireError("expected an index that is a whole number", status=502, code="upstream_error")
    return index

"""The stream of the responses API: items that are added, grow and are done, each text told in deltas and then as a whole.

What is told again is edited as its deltas were. https://platform.openai.com/docs/api-reference/responses-streaming
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from trueline.guard.exchange import Path
from trueline.guard.wires.bodies import Json, WireError
from trueline.guard.wires.forms import Where
from trueline.guard.wires.responses_shapes import EVENT
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.sse import Event
from trueline.guard.wires.usage import counts

NO_USAGE = {
    "input_tokens": 0,
    "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 0,
}
# What a delta adds to, and its done event tells again: where in the item the text stands.
_TEXTS: Mapping[str, tuple[str, ...]] = {
    "response.output_text": ("content", "content_index", "text"),
    "response.refusal": ("content", "content_index", "refusal"),
    "response.reasoning_text": ("content", "content_index", "text"),
    "response.reasoning_summary_text": ("summary", "summary_index", "text"),
    "response.function_call_arguments": ("arguments",),
    "response.mcp_call_arguments": ("arguments",),
    "response.custom_tool_call_input": ("input",),
    "response.code_interpreter_call_code": ("code",),
}
_GROWS = ("delta", "text", "refusal", "arguments", "input", "code")  # any other string is complete when it comes
_PARTS = {
    "response.content_part": ("content", "content_index"),
    "response.reasoning_summary_part": ("summary", "summary_index"),
}
_ENDS = ("response.completed", "response.incomplete", "response.failed")


def skeleton(name: str, created: int, model: str) -> Json:
    """A response in which nothing is said yet."""
    return {
        "id": name,
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "model": model,
        "output": [],
        "parallel_tool_calls": True,
        "temperature": None,
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "usage": None,
    }


def refusing(text: str) -> Json:
    """The part of a message that refuses."""
    return {"type": "refusal", "refusal": text}


@dataclass(slots=True)
class ResponsesForm:
    """One stream of a response."""

    response: Json  # as the client has it, or will
    asked: Mapping[Path, str]  # what the upstream may repeat of the request
    id: str
    shape: Shape = EVENT
    usage: Json | None = None
    begun: bool = False  # here and below: what the client has
    number: int = -1
    items: dict[int, Json] = field(default_factory=dict)
    open: set[int] = field(default_factory=set)
    parts: dict[tuple[int, str, int], Json] = field(default_factory=dict)  # of an item: its content and its summaries
    open_parts: set[tuple[int, str, int]] = field(default_factory=set)

    def where(self, event: Json, path: Path) -> Where | None:
        """A string of a delta, a part, an item or of the whole belongs to the output; all but deltas tell it again."""
        stem, again = _kind(event)
        if path[0] == "response":
            within = len(path) > 3 and path[1] == "output" and _belongs(event["response"]["output"][path[2]], path)
            return Where(("output", *path[2:]), adds=False, repeats=True) if within else None
        if path[0] == "item":
            at = ("output", _number(event, "output_index"), *path[1:])
            return Where(at, adds=not again, repeats=True) if _belongs(event["item"], path) else None
        if path[-1] not in _GROWS:
            return None
        if path[0] == "part" and stem in _PARTS:
            return Where((*_part(event, stem), *path[1:]), adds=not again, repeats=True)
        if len(path) > 1:
            return None
        if stem in _TEXTS:
            return Where(_text(event, stem), adds=not again, repeats=again)
        return None if again else Where(("deltas", stem, *(event.get(name, 0) for name in ("output_index", "command_index"))))

    def known(self, path: Path, text: str) -> bool:
        """The head of a response repeats the request."""
        return path[0] == "response" and self.asked.get(path[1:]) == text

    def group(self, path: Path) -> Path:
        """A call is an item."""
        return path[:2]

    def completes(self, event: Json) -> Iterable[Path]:
        """A text is complete when it is told again, an item when it is done, all when the response is."""
        stem, again = _kind(event)
        if event.get("type") in _ENDS:
            response = event.get("response")
            self.usage = counts(response.get("usage")) if isinstance(response, dict) else None
            return [()]
        if stem in _PARTS:
            _part(event, stem)  # the place of a part is checked, since it has no end of its own
        if stem == "response.output_item":
            item = ("output", _number(event, "output_index"))
            return [item] if again else []
        return [_text(event, stem)] if stem in _TEXTS and again else []

    def ends(self, event: Json) -> bool:
        """See Form."""
        return event.get("type") in (*_ENDS, "error")

    def done(self, missing: bool) -> bool:
        """There is no [DONE] in this format."""
        return False

    def sent(self, event: Json) -> None:
        """See Form."""
        stem, again = _kind(event)
        if type(event.get("sequence_number")) is int:
            self.number = event["sequence_number"]
        if isinstance(event.get("response"), dict):
            self.response, self.begun = event["response"], True
        if stem == "response.output_item" and isinstance(event.get("item"), dict):
            index = _number(event, "output_index")
            self.items[index] = event["item"]
            (self.open.discard if again else self.open.add)(index)
        if stem in _PARTS and isinstance(event.get("part"), dict):
            _, item, name, index = _part(event, stem)
            key = (int(item), str(name), int(index))
            self.parts[key] = event["part"]
            (self.open_parts.discard if again else self.open_parts.add)(key)

    def refuse(self, text: str, said: Callable[[Path], str]) -> Iterator[Event]:
        """All that is open is done as far as it came; where no message was begun, one refuses; the response is incomplete."""
        if not self.begun:
            yield self._event("response.created", response=self.response | {"status": "in_progress"})
        for index in sorted(self.open):
            yield from self._shut(index, said)
        if not any(item.get("type") == "message" for item in self.items.values()):
            yield from self._say_no(max(self.items, default=-1) + 1, text)
        output = [self.items[index] for index in sorted(self.items)]
        ending = {"status": "incomplete", "incomplete_details": {"reason": "content_filter"}, "output": output}
        usage = self.usage or (None if self.begun else NO_USAGE)
        yield self._event("response.incomplete", response=self.response | ending | {"usage": usage})

    def fail(self, status: int, code: str, message: str) -> Iterator[Event]:
        """An event that is an error."""
        yield self._event("error", code=code, message=message, param=None)

    def _shut(self, index: int, said: Callable[[Path], str]) -> Iterator[Event]:
        """An item that is open, and its parts, are done."""
        item = dict(self.items[index])
        for key in sorted(key for key in self.parts if key[0] == index):
            _, name, place = key
            field = "refusal" if self.parts[key].get("type") == "refusal" else "text"
            if key in self.open_parts:
                part = self.parts[key] = self.parts[key] | {field: said(("output", index, name, place, field))}
                where = {"item_id": item.get("id", ""), "output_index": index, _PARTS_AT[name]: place}
                if name == "content" and item.get("type") == "message":
                    stem = "response.refusal" if field == "refusal" else "response.output_text"
                    told = {field: part[field]} | ({} if field == "refusal" else {"logprobs": []})
                    yield self._event(f"{stem}.done", **where, **told)
                stem = "response.content_part" if name == "content" else "response.reasoning_summary_part"
                yield self._event(f"{stem}.done", **where, part=part)
            item[name] = [self.parts[other] for other in sorted(self.parts) if other[:2] == key[:2]]
        self.items[index] = item | {"status": "incomplete"}
        yield self._event("response.output_item.done", output_index=index, item=self.items[index])

    def _say_no(self, index: int, text: str) -> Iterator[Event]:
        """A message that refuses, from its beginning to its end."""
        item = {"id": f"msg_{self.id}", "type": "message", "role": "assistant", "status": "in_progress", "content": []}
        where = {"item_id": item["id"], "output_index": index, "content_index": 0}
        done = self.items[index] = item | {"status": "incomplete", "content": [refusing(text)]}
        yield self._event("response.output_item.added", output_index=index, item=item)
        yield self._event("response.content_part.added", **where, part=refusing(""))
        yield self._event("response.refusal.delta", **where, delta=text)
        yield self._event("response.refusal.done", **where, refusal=text)
        yield self._event("response.content_part.done", **where, part=refusing(text))
        yield self._event("response.output_item.done", output_index=index, item=done)

    def _event(self, kind: str, **members: object) -> Event:
        self.number += 1
        return Event(kind, orjson.dumps({"type": kind, "sequence_number": self.number, **members}))


_PARTS_AT = {"content": "content_index", "summary": "summary_index"}


def _kind(event: Json) -> tuple[str, bool]:
    """The type of an event without its last word, and whether that is `done`."""
    stem, _, last = str(event.get("type")).rpartition(".")
    return stem, last == "done"


def _belongs(item: object, path: Path) -> bool:
    """Whether a string of an item is told with it as a whole: what grows, and all that a call says but its id."""
    said = isinstance(item, dict) and item.get("type") in ("message", "reasoning")
    return path[-1] in _GROWS if said else path[-1] != "id"


def _text(event: Json, stem: str) -> Path:
    words = (_number(event, word) if word.endswith("_index") else word for word in _TEXTS[stem])
    return ("output", _number(event, "output_index"), *words)


def _part(event: Json, stem: str) -> tuple[str | int, ...]:
    name, index = _PARTS[stem]
    return ("output", _number(event, "output_index"), name, _number(event, index))


def _number(event: Json, name: str) -> int:
    number = event.get(name)
    if type(number) is not int or number < 0:
        raise WireError(f"expected {name} to be a whole number", status=502, code="upstream_error")
    return number

"""What every wire does: bytes of one format to an Exchange and back, edits and verdicts in that format.

A wire is pure: no client, no clock, no state. Whoever has the connection hands it bytes and sends what it gives.

>>> from trueline.guard.exchange import Edit
>>> from trueline.guard.wires import edit_request, wire_of
>>> wire = wire_of("POST", "/v1/chat/completions")
>>> body = b'{"model": "m", "messages": [{"role": "user", "content": "my card is 4111"}], "odd": 1}'
>>> exchange = wire.read_request(body)
>>> [(piece.place, piece.text) for piece in exchange.asked]
[('other', 'm'), ('user', 'my card is 4111'), ('other', 'odd')]
>>> edit_request(body, [Edit(path=("messages", 0, "content"), start=11, end=15, text="[card]")])[45:]
b'"content": "my card is [card]"}], "odd": 1}'
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import orjson

from trueline.guard.exchange import Edit, Exchange
from trueline.guard.wires.bodies import Json, WireError, read_object, refuse_twice
from trueline.guard.wires.shapes import Shape, Walked, walk
from trueline.guard.wires.spans import edit_body
from trueline.guard.wires.spelling import spelled
from trueline.guard.wires.streams import Stream

JSON_TYPE = {"content-type": "application/json"}
SSE_TYPE = {"content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache"}


class Reply(NamedTuple):
    """What goes back to the client: the status of HTTP, the headers that the format needs, the body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a reply of the guard's own is called, since a wire has neither clock nor chance."""

    id: str = "guard"
    created: int = 0  # seconds since 1970


STAMP = Stamp()


class Wire(Protocol):
    """One wire format."""

    @property
    def endpoint(self) -> str:
        """Its name: chat, responses, messages, count_tokens, embeddings, completions, models."""

    def read_request(self, body: bytes) -> Exchange:
        """What is asked, every string of it a piece. Raises WireError for what has no one meaning in this format."""

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """The exchange with what was said to it. Raises WireError (502)."""

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """A reply that refuses, streamed where a stream was asked for. `reply`, the upstream's, gives its usage.

        Where the format has no way to refuse, it is an error with that code (default: content_filter).
        """

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """An error in the shape of this format."""

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """The machine that a streamed reply goes through. Raises WireError (502) where the format has no streams."""


def no_stream(endpoint: str) -> Stream:
    """What an endpoint without streams has to say to one."""
    raise WireError(f"expected one reply of {endpoint}, got a stream of events", status=502, code="upstream_error")


def read_body(body: bytes, shape: Shape, status: int = 400) -> tuple[Json, Walked]:
    """The tree of a body, and its pieces: of a request, or with another status of a reply. Raises WireError."""
    tree = read_object(body, status)
    walked = walk(tree, shape, "input" if status == 400 else "output", status)
    refuse_twice(body, walked.keys, status)
    return tree, walked


def edit_request(body: bytes, edits: Iterable[Edit]) -> bytes:
    """A request of any format with its edits made: all other bytes stay. Raises KeyError for a path that leads nowhere."""
    return edit_body(body, edits)


def edit_reply(body: bytes, edits: Iterable[Edit]) -> bytes:
    """A reply of any format with its edits made; log-probabilities, annotations and citations of an edited text are emptied."""
    edits = tuple(edits)
    return edit_body(body, edits, spelled(orjson.loads(body), (edit.path for edit in edits))) if edits else body


def as_reply(status: int, body: Json) -> Reply:
    """A JSON body with its header."""
    return Reply(status, JSON_TYPE, orjson.dumps(body))

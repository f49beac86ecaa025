"""The list of models, GET /v1/models and /v1/models/NAME, of OpenAI and Anthropic: nothing is asked, and what is said is
read."""

from __future__ import annotations

from dataclasses import dataclass, replace

from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange
from trueline.guard.wires import openai
from trueline.guard.wires.bodies import WireError
from trueline.guard.wires.parts import OTHER
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.wire import STAMP, Reply, Stamp, no_stream, read_body

_MODEL = dict.fromkeys(
    ("id", "created", "owned_by", "display_name", "created_at", "type", "has_more", "first_id", "last_id", "permission"), OTHER
)
_KIND = Shape(quiet=frozenset(("list", "model")))
_REPLY = Shape(fields={**_MODEL, "object": _KIND, "data": Shape(fields=_MODEL | {"object": _KIND, "type": _KIND})})


@dataclass(frozen=True, kw_only=True)
class ModelsWire:
    """Which models there are."""

    endpoint: str = "models"

    def read_request(self, body: bytes) -> Exchange:
        """A request without a body. Raises WireError where it has one."""
        if body:
            raise WireError("expected no body beside GET, got one; leave it out")
        return Exchange(endpoint=self.endpoint, conversation=Conversation(), asked=())

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire."""
        return replace(exchange, said=tuple(read_body(body, _REPLY, 502)[1].pieces))

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """An error: a list cannot refuse."""
        return openai.error(403, code or "content_filter", text)

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return openai.error(status, code, message, param)

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """There is none."""
        return no_stream(self.endpoint)

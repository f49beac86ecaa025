"""OpenAI's embeddings: POST /v1/embeddings.   https://platform.openai.com/docs/api-reference/embeddings

What is embedded is stored and found again, so that it is read like any other text. A vector cannot refuse: that is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange
from trueline.guard.wires import openai
from trueline.guard.wires.completions import is_tokens, prompts_of
from trueline.guard.wires.parts import OTHER, USAGE, text_at
from trueline.guard.wires.shapes import ANY, Shape
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.wire import STAMP, Reply, Stamp, no_stream, read_body

_REQUEST = Shape(
    strict=True,
    fields={"input": ANY["user"], "encoding_format": Shape(quiet=frozenset(("float", "base64")))}
    | dict.fromkeys(("model", "dimensions", "user"), OTHER),
)
_LIST = Shape(quiet=frozenset(("list", "embedding")))
_REPLY = Shape(
    fields={
        "object": _LIST,
        "model": OTHER,
        "usage": USAGE,
        "data": Shape(fields={"object": _LIST, "index": OTHER, "embedding": Shape(media="here")}),
    }
)


@dataclass(frozen=True, kw_only=True)
class EmbeddingsWire:
    """Texts in, vectors out."""

    endpoint: str = "embeddings"

    def read_request(self, body: bytes) -> Exchange:
        """See Wire."""
        tree, walked = read_body(body, _REQUEST)
        openai.check_head(tree, 1)
        return Exchange(
            endpoint=self.endpoint,
            conversation=Conversation().say("user", "\n".join(prompts_of(tree.get("input")))),
            asked=tuple(walked.pieces),
            model=text_at(tree, "model"),
            unread=("input",) if is_tokens(tree.get("input")) else (),
        )

    def read_reply(self, exchange: Exchange, body: bytes) -> Exchange:
        """See Wire."""
        return replace(exchange, said=tuple(read_body(body, _REPLY, 502)[1].pieces))

    def refusal(self, exchange: Exchange, text: str, *, stamp: Stamp = STAMP, reply: bytes = b"", code: str = "") -> Reply:
        """An error: 400, as OpenAI answers what its policy does not allow."""
        return openai.error(400, code or "content_filter", text)

    def error(self, status: int, code: str, message: str, param: str = "") -> Reply:
        """See Wire."""
        return openai.error(status, code, message, param)

    def stream(self, exchange: Exchange, stamp: Stamp = STAMP) -> Stream:
        """There is none."""
        return no_stream(self.endpoint)

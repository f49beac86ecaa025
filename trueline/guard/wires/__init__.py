"""Adapters between wire formats and the neutral Exchange: reading, byte-exact editing, verdicts and streams of each format.

A path that no wire is for is refused: what nobody reads does not pass.

>>> wire_of("POST", "/v1/embeddings").endpoint, wire_of("POST", "/v1/audio/speech")
('embeddings', None)
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from trueline.guard.wires.bodies import WireError
from trueline.guard.wires.channels import LateEditError
from trueline.guard.wires.chat import ChatWire
from trueline.guard.wires.completions import CompletionsWire
from trueline.guard.wires.embeddings import EmbeddingsWire
from trueline.guard.wires.forms import Delta
from trueline.guard.wires.literals import LITERAL, hidden
from trueline.guard.wires.messages import CountTokensWire, MessagesWire
from trueline.guard.wires.models import ModelsWire
from trueline.guard.wires.responses import ResponsesWire
from trueline.guard.wires.streams import Stream
from trueline.guard.wires.wire import Reply, Stamp, Wire, edit_reply, edit_request

WIRES: Mapping[tuple[str, str], Wire] = {
    ("POST", "/v1/chat/completions"): ChatWire(),
    ("POST", "/v1/responses"): ResponsesWire(),
    ("POST", "/v1/messages"): MessagesWire(),
    ("POST", "/v1/messages/count_tokens"): CountTokensWire(),
    ("POST", "/v1/embeddings"): EmbeddingsWire(),
    ("POST", "/v1/completions"): CompletionsWire(),
    ("GET", "/v1/models"): ModelsWire(),
}
_MODEL = re.compile(r"/v1/models(?:/[A-Za-z0-9_:-][A-Za-z0-9._:-]{0,127}){1,3}", re.ASCII)


def wire_of(method: str, path: str) -> Wire | None:
    """The wire of an endpoint; None where there is none."""
    if method == "GET" and _MODEL.fullmatch(path):
        return WIRES["GET", "/v1/models"]
    return WIRES.get((method, path))


__all__ = [
    "LITERAL", "WIRES", "Delta", "LateEditError", "Reply", "Stamp", "Stream", "Wire", "WireError", "edit_reply", "edit_request",
    "hidden", "wire_of",
]  # fmt: skip

"""What passes through a guard, in one shape for every wire format: an Exchange of Pieces.

A wire reads a request or a reply into pieces: every string of the JSON, those in fields that nobody knows included, so that
nothing is unread because it stood in an unexpected place. A path says where a piece stands, so that an edit lands there alone.

>>> piece = Piece(side="input", place="user", text="hello", path=("messages", 0, "content"))
>>> apply_edits("call 555 now", [Edit(path=piece.path, start=5, end=8, text="[phone]")])
'call [phone] now'
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from trueline.core.types import Conversation, Tool, ToolCall

Side = Literal["input", "output"]  # what a client sends, what a model says
Place = Literal["system", "user", "assistant", "tool_call", "tool_result", "tool_schema", "reasoning", "other"]
Path = tuple[str | int, ...]  # keys and indices from the root of the JSON; of a piece that is a key: ends with KEY

INPUT_PLACES: tuple[Place, ...] = (
    "system", "user", "assistant", "tool_call", "tool_result", "tool_schema", "reasoning", "other",
)  # fmt: skip
OUTPUT_PLACES: tuple[Place, ...] = ("assistant", "tool_call", "reasoning", "other")
KEY = -1  # the last word of a path that names a key of an object and not a value


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """One string of an exchange: which side it is on, whose it is, and where it stands."""

    side: Side
    place: Place
    text: str
    path: Path = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """Put `text` in place of characters start to end (exclusive) of the piece at that path."""

    path: Path
    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request, and the reply to it as far as it is there.

    `calls` are the tool calls of the reply, `tools` those on offer; calls of earlier turns stand in the conversation.
    """

    endpoint: str  # chat, responses, messages, embeddings, completions
    conversation: Conversation  # the request in the words of core
    asked: tuple[Piece, ...]
    said: tuple[Piece, ...] = ()
    calls: tuple[ToolCall, ...] = ()
    model: str = ""
    stream: bool = False
    unread: tuple[str, ...] = ()  # media that no rail can read (image, audio, file): where they stand
    tools: tuple[Tool, ...] = field(default=())

    def pieces(self, side: Side) -> tuple[Piece, ...]:
        """The pieces of one side."""
        return self.asked if side == "input" else self.said


def apply_edits(text: str, edits: Iterable[Edit]) -> str:
    """The text with all edits made. Where two overlap, both spans go, and the texts of both stand there."""
    parts, at = [], 0
    for start, end, new in merged(edits):
        parts += (text[at:start], new)
        at = end
    return "".join((*parts, text[at:]))


def merged(edits: Iterable[Edit]) -> list[tuple[int, int, str]]:
    """Edits of one piece as spans that do not overlap, in order."""
    spans: list[tuple[int, int, str]] = []
    for edit in sorted(edits, key=lambda e: (e.start, e.end)):
        if spans and edit.start < spans[-1][1]:
            start, end, text = spans[-1]
            spans[-1] = (start, max(end, edit.end), text if edit.text in text else text + edit.text)
        else:
            spans.append((edit.start, edit.end, edit.text))
    return spans

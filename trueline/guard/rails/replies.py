"""What the rails of the output read: each reply of an exchange as one text, and the documents that it had to go by.

>>> said = (Piece(side="output", place="assistant", text="yes", path=("choices", 0, "message", "content")),
...         Piece(side="output", place="assistant", text="no", path=("choices", 1, "message", "content")))
>>> [reply.text for reply in replies(Exchange(endpoint="chat", conversation=Conversation(), asked=(), said=said))]
['yes', 'no']
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueline.core.types import Conversation
from trueline.guard.exchange import Exchange, Path, Piece, Place


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One of the replies to a request: its text without reasoning, and its pieces."""

    text: str
    pieces: tuple[Piece, ...]


def replies(exchange: Exchange, places: Sequence[Place] = ("assistant",)) -> list[Reply]:
    """The replies, one for each choice; where a wire has no choices, all pieces are one reply."""
    groups: dict[Path, list[Piece]] = {}
    for piece in exchange.said:
        if piece.place in places and piece.text:
            groups.setdefault(piece.path[:2] if piece.path[:1] == ("choices",) else (), []).append(piece)
    return [Reply(text="\n".join(piece.text for piece in group), pieces=tuple(group)) for group in groups.values()]


def question(conversation: Conversation) -> str:
    """What the user asked last."""
    return next((message.text for message in reversed(conversation.messages) if message.role == "user"), "")


def documents(exchange: Exchange, places: Sequence[Place]) -> list[Piece]:
    """The pieces of the request that stand in these places."""
    return [piece for piece in exchange.asked if piece.place in places and piece.text]

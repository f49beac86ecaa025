"""A small scan for tests of rails: plain search on the text as written, on the folded one, and in what base64 hides."""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from dataclasses import dataclass

import re2

from trueline.core.types import Conversation, Message, ToolCall
from trueline.guard.exchange import Exchange, Piece, Place, Side, apply_edits
from trueline.guard.rail import Hit, Pattern, Rail
from trueline.guard.ruling import Ruling

INVISIBLE = re.compile("[\u200b-\u200f\u2060\ufeff]")


def folded(text: str) -> str:
    """One form of each letter, no accents, nothing invisible, lower case."""
    letters = unicodedata.normalize("NFKD", INVISIBLE.sub("", text))
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn").lower()


@dataclass(frozen=True)
class FakeScan:
    """Finds patterns one by one; a hit in a view that moves characters covers the whole piece."""

    rail: Rail

    def folded(self, piece: Piece) -> str:
        return folded(piece.text)

    def hits(self, piece: Piece) -> list[Hit]:
        found = [hit for pattern in self.rail.patterns() for hit in _hits(pattern, piece.text)]
        return sorted(found, key=lambda hit: (hit.start, hit.end))


def check(rail: Rail, exchange: Exchange, side: Side = "input") -> Ruling:
    """The rail's ruling on one side of an exchange."""
    return rail.check(exchange, side, FakeScan(rail))


def asked(*texts: str, place: Place = "user") -> Exchange:
    """A request whose pieces are these texts."""
    return Exchange(endpoint="chat", conversation=talk(*texts), asked=pieces(*texts, place=place))


def said(reply: str, question: str = "", *calls: ToolCall, system: str = "", documents: tuple[str, ...] = ()) -> Exchange:
    """A question and its reply, with the pieces of both."""
    conversation = Conversation(
        messages=(
            Message(role="system", text=system),
            Message(role="user", text=question),
            *(Message(role="tool", text=document) for document in documents),
        )
    )
    given = pieces(system, place="system") + pieces(question) + pieces(*documents, place="tool_result")
    spoken = [Piece(side="output", place="assistant", text=reply, path=("choices", 0, "message", "content"))]
    spoken += [
        Piece(
            side="output", place="tool_call", text=call.arguments, path=("choices", 0, "message", "tool_calls", n, "function")
        )
        for n, call in enumerate(calls)
    ]
    return Exchange(endpoint="chat", conversation=conversation, asked=given, said=tuple(spoken), calls=calls)


def pieces(*texts: str, place: Place = "user") -> tuple[Piece, ...]:
    """Pieces of a request, each at a path of its own."""
    return tuple(
        Piece(side="input", place=place, text=t, path=("messages", place, n, "content")) for n, t in enumerate(texts) if t
    )


def talk(*texts: str) -> Conversation:
    """What a user said, turn by turn."""
    return Conversation(messages=tuple(Message(role="user", text=text) for text in texts))


def call(tool: str, **arguments: object) -> ToolCall:
    """A tool call with JSON arguments."""
    return ToolCall(name=tool, arguments=json.dumps(arguments), id=f"call-{tool}")


def edited(ruling: Ruling, exchange: Exchange, side: Side = "input") -> str:
    """The first piece of a side as the ruling's edits leave it."""
    piece = exchange.pieces(side)[0]
    return apply_edits(piece.text, [edit for edit in ruling.edits if edit.path == piece.path])


def _hits(pattern: Pattern, text: str) -> list[Hit]:
    plain = [("plain", text, True)]
    if not pattern.exact or pattern.kind == "literal":
        plain.append(("folded", folded(text), len(folded(text)) == len(text)))
        plain.extend(("base64", decoded, False) for decoded in _decoded(text))
    found: dict[tuple[int, int], Hit] = {}  # a span that several views show is reported once, as it stands in the first
    for view, reading, same_places in plain:
        wanted = re2.escape(pattern.text.lower()) if pattern.kind == "literal" else pattern.text
        for match in re2.finditer(wanted, reading):
            if pattern.kind == "literal" and not _is_word(reading, *match.span()):
                continue
            if pattern.keywords and not any(folded(word) in folded(match.group()) for word in pattern.keywords):
                continue
            start, end = match.span() if same_places else (0, len(text))
            found.setdefault((start, end), Hit(pattern=pattern.name, start=start, end=end, view=view, text=match.group()))
    return list(found.values())


def _is_word(text: str, start: int, end: int) -> bool:
    return not (text[start - 1 : start].isalpha() or text[end : end + 1].isalpha())


def _decoded(text: str) -> list[str]:
    found = []
    for run in re.findall(r"[A-Za-z0-9+/]{16,}={0,2}", text):
        try:
            found.append(base64.b64decode(run, validate=True).decode())
        except (binascii.Error, UnicodeDecodeError):
            continue
    return found

"""A tiny gateway for tests: one exchange, its rulings, and a policy that can be asked again."""

from dataclasses import dataclass

from trueline.core.types import Conversation, ToolCall
from trueline.guard.audit.record import Basis
from trueline.guard.exchange import Edit, Exchange, Piece, Side
from trueline.guard.ruling import Ruling, allow, flag, fold, redact

BASIS = Basis(policy="p1", version="3", models={"tier0": "d1"}, software={"trueline": "1"})
QUIET = 1000.0  # seconds between two looks of the feeding thread: it works when the audit closes


def exchange(asked: str = "hello", said: str = "") -> Exchange:
    """A request, and a reply where something is said."""
    piece = Piece(side="input", place="user", text=asked, path=("messages", 0, "content"))
    answer = Piece(side="output", place="assistant", text=said, path=("choices", 0, "message", "content"))
    return Exchange(
        endpoint="chat",
        conversation=Conversation().say("user", asked),
        asked=(piece,),
        said=(answer,) if said else (),
        calls=(ToolCall(name="look"),) if said else (),
        model="m",
    )


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Takes a word out wherever it stands, and flags long texts."""

    word: str = "plum"
    basis: Basis = BASIS

    def rails(self, exchange: Exchange, side: Side) -> list[Ruling]:
        """What each rail says."""
        edits = [
            Edit(path=piece.path, start=at, end=at + len(self.word), text="[word]")
            for piece in exchange.pieces(side)
            if (at := piece.text.find(self.word)) >= 0
        ]
        long = any(len(piece.text) > 100 for piece in exchange.pieces(side))
        return [
            redact("words", "a word", edits) if edits else allow("words"),
            flag("length", "long") if long else allow("length"),
        ]

    def decide(self, exchange: Exchange, side: Side) -> Ruling:
        """All of them together."""
        return fold(self.rails(exchange, side))

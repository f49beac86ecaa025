"""What a format says of its stream: which text a string of an event belongs to, when that is complete, and how a stream ends.

Each wire with streams has a Form of its own, made for one stream. All else that a stream needs is the same for every format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple, Protocol

from trueline.guard.exchange import Path, Place
from trueline.guard.wires.bodies import Json
from trueline.guard.wires.shapes import Shape
from trueline.guard.wires.sse import Event


class Delta(NamedTuple):
    """More text of a channel: it begins at character `start`. After `final` the channel grows no more."""

    path: Path
    place: Place
    text: str
    start: int
    final: bool


class Where(NamedTuple):
    """The channel of a string in an event: the string adds to it, or repeats what it has, or does what of the two it can."""

    path: Path
    adds: bool = True
    repeats: bool = False


class Form(Protocol):
    """What a format says of its stream. It holds what the client has been sent, and nothing else that changes."""

    @property
    def shape(self) -> Shape:
        """Of the JSON of an event."""

    def where(self, event: Json, path: Path) -> Where | None:
        """The channel of the string at that path; None for a string that stands for itself."""

    def known(self, path: Path, text: str) -> bool:
        """Whether a string of an event repeats what the client itself has said at that place, and was checked there."""

    def group(self, path: Path) -> Path:
        """What a channel of a tool call belongs to: the path of the call."""

    def completes(self, event: Json) -> Iterable[Path]:
        """Beginnings of the paths of channels that grow no more after that event; asked of each event once, in order."""

    def ends(self, event: Json) -> bool:
        """Whether the stream is complete with this event."""

    def done(self, missing: bool) -> bool:
        """Whether [DONE] ends it; `missing`: whether it may be put there where the upstream left it out."""

    def sent(self, event: Json) -> None:
        """The client has that event, as edited."""

    def refuse(self, text: str, said: Callable[[Path], str]) -> Iterator[Event]:
        """Events that end the stream well from where the client is, and say no; `said` is what it has at a path."""

    def fail(self, status: int, code: str, message: str) -> Iterator[Event]:
        """Events that say that the stream has failed."""

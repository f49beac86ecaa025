"""The texts of a stream: those that grow event by event, and those that are complete when they come.

A text lets characters go once they are released, edited where it was asked for; it holds them back until then.

>>> from trueline.guard.exchange import Edit
>>> said = Growing(("content",), "assistant")
>>> said.add("my card is 41"), said.add("11, thanks")
(0, 13)
>>> said.release(23, [Edit(path=("content",), start=11, end=15, text="[card]")])
>>> said.leave(0, "my card is 41"), said.leave(13, "11, thanks")
('my card is [card]', ', thanks')
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from trueline.guard.exchange import Edit, Path, Place, merged
from trueline.guard.wires.spans import outermost

Span = tuple[int, int, str]


class LateEditError(ValueError):
    """An edit of characters that have left: the stream cannot be made right any more, only ended."""


@dataclass(slots=True)
class Fixed:
    """A string that is complete; the same string in later events is the same text, with the same edits."""

    path: Path
    place: Place
    text: str
    host: Growing | None = None  # the text in which it is a literal
    released: bool = False
    left: bool = False  # an event with it has left
    edits: list[Edit] = field(default_factory=list)

    def release(self, upto: int, edits: Iterable[Edit]) -> None:
        """It leaves whole or not at all."""
        self.released = self.released or upto >= len(self.text)
        new = [edit for edit in edits if edit not in self.edits]
        if new and self.left:
            raise LateEditError(f"the text at {self.path} has left, and cannot be edited any more")
        self.edits += new
        if self.host is not None:
            self.host.hide(new)

    def free(self, end: int) -> bool:
        """Whether it may leave."""
        return self.released


@dataclass(slots=True)
class Growing:
    """The text at one path of a reply, as far as it has come."""

    path: Path
    place: Place
    size: int = 0
    released: int = 0
    final: bool = False
    left: int = 0  # characters that have left
    changed: bool = False  # whether they left as other ones
    hidden: list[Fixed] = field(default_factory=list)  # literals in it that its escapes hide; known at its end
    _fragments: list[str] = field(default_factory=list)
    _sent: list[str] = field(default_factory=list)
    _spans: list[Span] = field(default_factory=list)  # edits yet to be made
    _known: set[Span] = field(default_factory=set)
    _inner: list[Edit] = field(default_factory=list)  # edits in literals

    def add(self, text: str) -> int:
        """More text; where it begins."""
        self._fragments.append(text)
        self.size += len(text)
        return self.size - len(text)

    @property
    def text(self) -> str:
        """All of it."""
        if len(self._fragments) > 1:
            self._fragments[:] = ["".join(self._fragments)]
        return self._fragments[0] if self._fragments else ""

    def release(self, upto: int, edits: Iterable[Edit]) -> None:
        """Let characters before `upto` go; an edit that reaches beyond waits, and what is behind its start with it."""
        upto = min(upto, self.size)
        new: list[Edit] = []
        for start, end, text in merged(edits):
            if (start, end, text) in self._known:
                continue
            if end > upto:
                upto = min(upto, start)
                break
            self._known.add((start, end, text))
            new.append(self._in_time(start, end, text))
        self._take(new)
        self.released = max(self.released, upto)

    def hide(self, edits: Iterable[Edit]) -> None:
        """Edits of literals in it: their paths lead on from its own."""
        edits = tuple(edits)
        for edit in outermost(self.text, edits, len(self.path)):
            self._in_time(edit.start, edit.end, edit.text)
        self._inner += edits

    def free(self, end: int) -> bool:
        """Whether the characters before `end` may leave."""
        return self.released >= end and all(literal.released for literal in self.hidden)

    def passed(self) -> bool:
        """Whether it is complete, and may leave."""
        return self.final and self.free(self.size)

    def leave(self, start: int, text: str) -> str | None:
        """A text of it, which begins at `start`, leaves: what stands for it, None where it does not change. In order, once."""
        if self._inner:
            self._take(outermost(self.text, self._inner, len(self.path)))
            self._inner.clear()
        end = self.left = start + len(text)
        parts: list[str] = []
        at, made = start, 0
        rest: list[Span] = []  # of an edit that reaches beyond: characters of the next part that go
        for first, after, new in self._spans:
            if first > end or first == end < after:  # what replaces characters goes where the first of them stood
                break
            parts += (text[at - start : first - start], new)
            at, made = after, made + 1
            if after > end:
                rest.append((end, after, ""))
        changes = bool(parts)
        parts.append(text[at - start :])
        self._spans = rest + self._spans[made:]
        said = "".join(parts)
        self._sent.append(said)
        self.changed = self.changed or changes
        return said if changes else None

    def whole(self) -> str:
        """What has left."""
        return "".join(self._sent)

    def _in_time(self, start: int, end: int, text: str) -> Edit:
        if start < self.left or (self.final and self.left == self.size):
            raise LateEditError(f"characters {start} to {end} of {self.path} have left, and cannot be edited any more")
        return Edit(path=self.path, start=start, end=end, text=text)

    def _take(self, new: Iterable[Edit]) -> None:
        known = (Edit(path=self.path, start=start, end=end, text=text) for start, end, text in self._spans)
        self._spans = merged([*known, *new])

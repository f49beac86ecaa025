"""Server-sent events, read from bytes in any split and written again.

https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
Only `event` and `data` pass: an `id`, a `retry`, a comment and an unknown field are no part of any format here, and whatever no
rail reads does not leave.

>>> reader = EventReader()
>>> list(reader.feed(b"\\xef\\xbb\\xbf: hi\\r\\nevent: note\\r\\nda")), list(reader.feed(b"ta: one\\r\\ndata: two\\r\\n\\r\\n"))
([], [Event(name='note', data=b'one\\ntwo')])
>>> write_event(Event("note", b"one\\ntwo"))
b'event: note\\ndata: one\\ndata: two\\n\\n'
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from trueline.guard.wires.bodies import WireError

LARGEST = 2**23  # bytes of one event; the last of a stream may hold the whole reply
_LINE_END = re.compile(rb"\r\n|\r|\n")
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One event: its name, empty where it has none, and its data, lines joined by a line feed."""

    name: str
    data: bytes


class EventReader:
    """Bytes as they come, and the events that are complete. What no blank line ends is no event."""

    def __init__(self, largest: int = LARGEST) -> None:
        self._largest = largest
        self._parts: list[bytes] = []  # of a line that has not ended
        self._begun = False
        self._after_cr = False  # a line feed that comes next ends no second line
        self._name = ""
        self._data: list[bytes] = []
        self._size = 0

    def feed(self, data: bytes) -> Iterator[Event]:
        """Every event that these bytes complete. Raises WireError (502) for one that is too large."""
        at = 0
        if self._after_cr and data:
            at = 1 if data[:1] == b"\n" else 0
            self._after_cr = False
        while match := _LINE_END.search(data, at):
            self._grow(data[at : match.start()])
            at = match.end()
            self._after_cr = match[0] == b"\r" and at == len(data)
            line = b"".join(self._parts)
            self._parts.clear()
            if event := self._line(line):
                yield event
        if at < len(data):
            self._grow(data[at:])

    def _grow(self, part: bytes) -> None:
        self._parts.append(part)
        self._size += len(part)
        if self._size > self._largest:
            raise WireError(f"expected an event of at most {self._largest} bytes, got more", status=502, code="upstream_error")

    def _line(self, line: bytes) -> Event | None:
        if not self._begun:
            self._begun = True
            line = line.removeprefix(_BOM)
        if not line:
            event = Event(self._name, b"\n".join(self._data)) if self._data else None
            self._name, self._data, self._size = "", [], 0
            return event if event and event.data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            self._data.append(value.removeprefix(b" "))
        elif name == b"event":
            self._name = value.removeprefix(b" ").decode("utf-8", "replace")
        else:
            self._size -= len(line)
        return None


def write_event(event: Event) -> bytes:
    """An event as bytes, with the blank line that ends it."""
    head = b"event: " + event.name.encode() + b"\n" if event.name else b""
    return head + b"data: " + event.data.replace(b"\n", b"\ndata: ") + b"\n\n"

"""A streamed reply on its way through the guard: nothing leaves before it was released, and nothing leaves out of order.

Every string of every event is text of a channel. A channel is the path at which that text stands in the whole reply that the
stream amounts to (`("choices", 0, "message", "content")`), so that an edit means the same in a stream and out of it; a string
that does not grow is a channel of its own, complete at once. Events wait in one line, and the first goes once all its text is
released: so ends and counts come after the last text, and an unchanged event leaves as the bytes of data that came. Calls of
tools are whole or nothing: an event with a part of one waits until the call is complete and all of it is released.

>>> from trueline.guard.wires import wire_of
>>> wire = wire_of("POST", "/v1/chat/completions")
>>> stream = wire.stream(wire.read_request(b'{"model": "m", "messages": [], "stream": true}'))
>>> event = b'data: {"choices": [{"index": 0, "delta": {"content": "call 555"}, "finish_reason": %s}]}\\n\\n'
>>> for delta in stream.feed(event % b"null" + event % b'"stop"' + b"data: [DONE]\\n\\n"):
...     print(delta.path[-1], delta.start, repr(delta.text), delta.final)
content 0 'call 555' False
content 8 'call 555' False
content 16 '' True
>>> from trueline.guard.exchange import Edit
>>> content = ("choices", 0, "message", "content")
>>> stream.release(content, 16, [Edit(path=content, start=5, end=13, text="# ")])
>>> print(stream.take().decode())
data: {"choices": [{"index": 0, "delta": {"content": "call # "}, "finish_reason": null}]}
<BLANKLINE>
data: {"choices": [{"index": 0, "delta": {"content": "555"}, "finish_reason": "stop"}]}
<BLANKLINE>
data: [DONE]
<BLANKLINE>
<BLANKLINE>
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import replace

import orjson

from trueline.guard.exchange import KEY, OUTPUT_PLACES, Edit, Exchange, Path, Piece, Place
from trueline.guard.wires.bodies import Json, WireError, read_object, refuse_twice
from trueline.guard.wires.channels import Fixed, Growing
from trueline.guard.wires.forms import Delta, Form
from trueline.guard.wires.held import Held, Part, call_of, name_of
from trueline.guard.wires.literals import LITERAL, hidden
from trueline.guard.wires.shapes import walk
from trueline.guard.wires.spans import edit_body, outer
from trueline.guard.wires.spelling import spelled
from trueline.guard.wires.sse import Event, EventReader, write_event

DONE = b"[DONE]"
MOST_KNOWN = 4096  # strings that are remembered, and told once for all events that have them
MOST_CHANNELS = 2**14


class Stream:
    """One streamed reply. See the module.

    feed -> (deltas) -> release -> take, until the upstream ends; then end -> (deltas) -> release -> close. At a block: abort.
    """

    def __init__(self, exchange: Exchange, form: Form) -> None:
        self._asked = exchange
        self._form = form
        self._reader = EventReader()
        self._grown: dict[Path, Growing] = {}
        self._calls: dict[Path, list[Growing]] = {}
        self._fixed: dict[Path, Fixed] = {}
        self._known: dict[tuple[Place, str], Fixed] = {}
        self._line: deque[Held] = deque()
        self._unread: list[str] = []
        self._number = 0
        self._complete = False  # the upstream has said that it is at its end
        self._over = False  # so has the client been told

    def feed(self, data: bytes) -> list[Delta]:
        """What the upstream's bytes add. Raises WireError (502) for what is no stream of this format."""
        return [delta for event in self._reader.feed(data) if not self._complete for delta in self._read(event)]

    def release(self, path: Path, upto: int, edits: Iterable[Edit] = ()) -> None:
        """Let the characters before `upto` of a channel leave, with the edits in them.

        `edits` may be all that are known of the channel: one that was made is not made again, and one that reaches beyond
        `upto` waits, and all from its start on with it. Raises LateEditError, a ValueError, for an edit of what has left.
        """
        channel = self._grown.get(path) or self._fixed[path]
        channel.release(upto, edits)

    def take(self) -> bytes:
        """All that may leave by now, in the order in which it came."""
        sent: list[bytes] = []
        while self._line and not self._over and self._free(self._line[0]):
            sent.append(self._send(self._line.popleft()))
        return b"".join(sent)

    def end(self) -> list[Delta]:
        """The upstream has no more bytes: every channel is final."""
        if not self._complete and self._form.done(True):
            self._done()
        return list(self._finals([()]))

    def close(self) -> bytes:
        """The last bytes: what may still leave, and an error where the upstream broke off or something was not released."""
        rest = self.take()
        if self._line and not self._over:
            return rest + self.fail(500, "not_released", "part of the reply was not checked, and does not pass")
        if not self._complete:
            return rest + self.fail(502, "upstream_error", "the upstream broke off before its reply was complete")
        return rest

    def abort(self, text: str) -> bytes:
        """End the stream as the format refuses: what waits is dropped, and no call of a tool is left half said."""
        return self._finish(self._form.refuse(text, self._said))

    def fail(self, status: int, code: str, message: str) -> bytes:
        """End the stream with an error of its format."""
        return self._finish(self._form.fail(status, code, message))

    @property
    def usage(self) -> Json | None:
        """The tokens that the upstream has counted so far."""
        return self._form.usage

    @property
    def complete(self) -> bool:
        """Whether the upstream has said that its reply is at its end."""
        return self._complete

    @property
    def exchange(self) -> Exchange:
        """The exchange with all that was said so far in channels that grow, whether released or not."""
        grown = [text for channel in self._grown.values() if channel.size for text in (channel, *channel.hidden)]
        return replace(
            self._asked,
            said=tuple(Piece(side="output", place=text.place, text=text.text, path=text.path) for text in grown),
            calls=tuple(map(call_of, self._calls.values())),
            unread=(*self._asked.unread, *self._unread),
        )

    def _read(self, event: Event) -> Iterator[Delta]:
        """Put an event into the line, and tell what is new in it."""
        if event.data.lstrip().startswith(DONE):
            if self._form.done(False):
                self._done()
                yield from self._finals([()])
            return
        self._number += 1
        tree = read_object(event.data, 502)
        walked = walk(tree, self._form.shape, "output", 502)
        refuse_twice(event.data, walked.keys, 502)
        self._unread += walked.unread
        held = Held(event, tree)
        for piece in walked.pieces:
            if not self._form.known(piece.path, piece.text):
                yield from self._piece(held, tree, piece)
        self._line.append(held)
        self._complete = self._form.ends(tree)
        yield from self._finals([()] if self._complete else self._form.completes(tree))

    def _done(self) -> None:
        self._complete = True
        self._line.append(Held(Event("", DONE), None))

    def _piece(self, held: Held, tree: Json, piece: Piece) -> Iterator[Delta]:
        """One string of an event, to the channel where it belongs."""
        if piece.place not in OUTPUT_PLACES:
            piece = replace(piece, place="other")
        where = self._form.where(tree, outer(piece.path)) if piece.path[-1] != KEY else None
        if where is None:
            yield from self._fix(held, piece)
        elif LITERAL not in piece.path:  # what a channel hides in escapes is told at its end
            channel = self._grown.get(where.path)
            if channel is not None and where.repeats and channel.text == piece.text:
                held.parts.append(Part(piece.path, channel, piece.text, repeats=True))
            elif channel is None or where.adds:
                yield self._grow(held, piece, where.path, channel)
            else:
                yield from self._fix(held, piece)

    def _fix(self, held: Held, piece: Piece) -> Iterator[Delta]:
        """A string that stands for itself; one that came before is not told again."""
        fixed = self._known.get((piece.place, piece.text))
        if fixed is None:
            path = ("events", self._number, *piece.path)
            fixed = self._fixed[path] = Fixed(path, piece.place, piece.text)
            if len(self._known) < MOST_KNOWN:
                self._known[piece.place, piece.text] = fixed
            yield Delta(path, piece.place, piece.text, 0, True)
        held.parts.append(Part(piece.path, fixed, piece.text))

    def _grow(self, held: Held, piece: Piece, path: Path, channel: Growing | None) -> Delta:
        """A string that adds to a channel."""
        if channel is None:
            channel = self._open(path, piece.place)
        if channel.final:
            raise WireError(f"expected no more text at {path}, got some", status=502, code="upstream_error")
        start = channel.add(piece.text)
        held.parts.append(Part(piece.path, channel, piece.text, start))
        if channel.place == "tool_call":
            held.calls.append(self._form.group(path))
        return Delta(path, channel.place, piece.text, start, False)

    def _open(self, path: Path, place: Place) -> Growing:
        if len(self._grown) >= MOST_CHANNELS:
            raise WireError(f"expected at most {MOST_CHANNELS} texts, got more", status=502, code="upstream_error")
        channel = self._grown[path] = Growing(path, place)
        if place == "tool_call":
            self._calls.setdefault(self._form.group(path), []).append(channel)
        return channel

    def _finals(self, beginnings: Iterable[Path]) -> Iterator[Delta]:
        """Close channels, and tell what they hide in escapes."""
        for beginning in beginnings:
            for channel in self._grown.values():
                if channel.final or channel.path[: len(beginning)] != beginning:
                    continue
                channel.final = True
                yield Delta(channel.path, channel.place, "", channel.size, True)
                for path, text in hidden(channel.text, channel.path):
                    literal = self._fixed[path] = Fixed(path, channel.place, text, channel)
                    channel.hidden.append(literal)
                    yield Delta(path, channel.place, text, 0, True)

    def _free(self, held: Held) -> bool:
        """Whether all that an event says is released."""
        return all(part.channel.free(part.start + len(part.text)) for part in held.parts) and all(
            channel.passed() for call in held.calls for channel in self._calls[call]
        )

    def _send(self, held: Held) -> bytes:
        """The bytes of an event that leaves; the form hears what the client knows by it."""
        event, tree = held.event, held.tree
        values: dict[Path, bytes] = {}
        edits: list[Edit] = []
        for part in held.parts:
            new = self._leave(part, edits)
            if new is not None:
                values[part.at] = orjson.dumps(new)
        if tree is not None:
            if values or edits:
                beside = spelled(tree, [*values, *(edit.path for edit in edits)])
                event = event._replace(data=edit_body(event.data, edits, beside | values))
                tree = orjson.loads(event.data)
            event = event._replace(name=name_of(event.name, tree))
            self._form.sent(tree)
        self._over = self._complete and not self._line
        return write_event(event)

    def _leave(self, part: Part, edits: list[Edit]) -> str | None:
        """What stands for a string of an event that leaves, None where it is as it was; edits of a fixed one are told apart."""
        channel = part.channel
        if isinstance(channel, Growing):
            if part.repeats:
                return channel.whole() if channel.changed else None
            return channel.leave(part.start, part.text)
        channel.left = True
        edits += (replace(edit, path=part.at) for edit in channel.edits)
        if (channel.place, channel.text) not in self._known:
            self._fixed.pop(channel.path, None)
        return None

    def _said(self, path: Path) -> str:
        channel = self._grown.get(path)
        return channel.whole() if channel is not None else ""

    def _finish(self, events: Iterator[Event]) -> bytes:
        if self._over:
            return b""
        self._over = True
        self._line.clear()
        return b"".join(map(write_event, events))

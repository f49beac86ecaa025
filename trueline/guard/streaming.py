"""A streamed reply under a chain: what may leave, and when.

A policy releases in one of two ways. `checked`: nothing leaves before every rail has read the whole reply, unless each rail
of the output needs no more than the text so far. `text`: what no pattern can reach any more leaves at once, with its
redactions made; rails that need more speak at the end, and can then only end the stream with a refusal. Which of the two it
is says `Chain.streams`.

    judge = Streamed(chain=chain, stream=wire.stream(exchange))
    async for data in upstream: send(await judge.feed(data))
    send(await judge.end())
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from trueline.guard.chain import Chain, Outcome
from trueline.guard.exchange import Edit, Exchange, Path, Piece, apply_edits
from trueline.guard.scan.growing import Growing
from trueline.guard.wires.forms import Delta
from trueline.guard.wires.streams import Stream

LATE = "a rail's word came after what it is about had left"


@dataclass(slots=True, kw_only=True)
class _Channel:
    """The text of one path: all that came, and how far it may leave."""

    piece: Piece
    growing: Growing | None  # where text leaves as it grows
    edits: list[Edit] = field(default_factory=list)
    released: int = 0


@dataclass(kw_only=True)
class Streamed:
    """One streamed reply. `outcome` is what was decided on it, once it is at its end, or was stopped."""

    chain: Chain
    stream: Stream
    outcome: Outcome | None = None
    _channels: dict[Path, _Channel] = field(default_factory=dict)

    async def feed(self, data: bytes) -> bytes:
        """What the client is sent for some bytes of the upstream's. Raises WireError for what is no stream."""
        return await self._told(self.stream.feed(data), self.stream.complete)

    async def end(self) -> bytes:
        """What the client is sent once the upstream has no more."""
        if self.outcome is not None:
            return b"" if self.outcome.stopped else self.stream.close()
        return await self._told(self.stream.end(), True) + self.stream.close()

    @property
    def over(self) -> bool:
        """Whether nothing more will be sent, whatever the upstream says."""
        return self.outcome is not None and (self.outcome.stopped or self.outcome.ruling.action == "rewrite")

    @property
    def exchange(self) -> Exchange:
        """The exchange with all that was said so far."""
        said = tuple(channel.piece for channel in self._channels.values())
        return replace(self.stream.exchange, said=said)

    async def _told(self, deltas: Iterable[Delta], complete: bool) -> bytes:
        if self.over:
            return b""
        for delta in deltas:
            channel = self._take(delta)
            if channel.growing is not None and (stop := self._early(channel, channel.growing, delta)):
                return self._stop(stop)
        if complete and self.outcome is None:
            outcome = await self.chain.judge(self.exchange, "output")
            if outcome.stopped or outcome.ruling.action == "rewrite":
                return self._stop(outcome)
            self.outcome = outcome
            for path, channel in self._channels.items():
                if not self._release_all(path, channel, outcome):
                    return self._stop(self.chain.stopped("output", outcome, LATE))
        return self.stream.take()

    def _take(self, delta: Delta) -> _Channel:
        channel = self._channels.get(delta.path)
        if channel is None:
            piece = Piece(side="output", place=delta.place, text="", path=delta.path)
            growing = Growing(self.chain.scanner) if self.chain.streams == "text" else None
            channel = self._channels[delta.path] = _Channel(piece=piece, growing=growing)
        channel.piece = replace(channel.piece, text=channel.piece.text + delta.text)
        return channel

    def _early(self, channel: _Channel, growing: Growing, delta: Delta) -> Outcome | None:
        """Release what no pattern can reach any more; what a rail says where it must not leave.

        The end of a text that has grown waits for the word of those who read all of the reply.
        """
        released, alone = growing.feed(delta.text), delta.final and bool(delta.text)
        found = bool(released.found)
        if alone:  # a string that stands for itself
            released = growing.close()
            found = found or bool(released.found)
        if released.exhausted or (delta.final and not alone):
            return None
        if found:  # only then can a rail that reads patterns say anything but allow
            said = replace(channel.piece, text=channel.piece.text[: released.end])
            outcome = self.chain.early(replace(self.stream.exchange, said=(said,)), "output")
            if outcome.stopped:
                return outcome
            channel.edits = [edit for ruling in outcome.rulings for edit in ruling.edits]
        if released.end > channel.released:
            self.stream.release(delta.path, released.end, channel.edits)
            channel.released = released.end
        return None

    def _release_all(self, path: Path, channel: _Channel, outcome: Outcome) -> bool:
        """Release a channel to its end as the chain has decided; False where it has already left otherwise."""
        text = channel.piece.text
        wanted = outcome.texts.get(path, text)
        if channel.released == 0:
            edits = [Edit(path=path, start=0, end=len(text), text=wanted)] if wanted != text else []
        else:
            before = apply_edits(text[: channel.released], channel.edits)
            if not wanted.startswith(before):
                return False
            rest = Edit(path=path, start=channel.released, end=len(text), text=wanted[len(before) :])
            edits = [*channel.edits, rest] if wanted != text else []
        self.stream.release(path, len(text), edits)
        return True

    def _stop(self, outcome: Outcome) -> bytes:
        self.outcome = outcome
        rewritten = outcome.ruling.action == "rewrite"
        return self.stream.abort(outcome.ruling.decision.text if rewritten else self.chain.policy.message)

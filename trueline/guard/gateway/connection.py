"""One connection to the upstream, as HTTP/1.1 has it (RFC 9112): a request at a time, its reply read as it comes.

    connection.send([head, body], until)          # loop time by which the whole reply must be there
    await connection.begun()                      # connection.status, connection.headers
    while data := await connection.read(): ...
    connection.reusable                           # only after a reply that was whole, and with nothing behind it

httptools (llhttp) parses, and refuses what two programs could read differently: two lengths, a line end of one character. A
length beside a transfer coding, and a coding other than chunked, are refused here. What comes when nothing was asked ends the
connection, so that no reply is ever taken for the answer to another's question.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Sequence

import httptools

KEPT = 15.0  # seconds that a connection is kept without a request on it
FRAMING = 2**16  # bytes of a reply that are no body (its head above all), beside eight for each byte of the body
HELD = 2**18  # bytes that are read ahead of who reads a stream
STALE = 1.0  # seconds within which a kept connection turns out to have been closed before it was asked


class UpstreamError(Exception):
    """No whole reply came from the upstream; `status` is what a client is told: 502 it failed, 504 it took too long."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


class StaleError(UpstreamError):
    """The connection was closed as the request was written, before any byte of a reply: where it was kept, ask once more."""

    def __init__(self) -> None:
        super().__init__(502, "the upstream has closed the connection")


class Connection(asyncio.Protocol):
    """A connection, from its opening to its end; `lost` is called at the end."""

    def __init__(self, loop: asyncio.AbstractEventLoop, idle_seconds: float, lost: Callable[[Connection], None]) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}  # by name in small letters; of several, the values one after the other
        self._loop, self._idle, self._lost = loop, idle_seconds, lost
        self._parser = httptools.HttpResponseParser(self)
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = self._heard = self._until = math.inf
        self._waiter: asyncio.Future[None] | None = None
        self._error: UpstreamError | None = None
        self._parts: list[bytes] = []  # of the body, that nobody has read yet
        self._raw = self._body = self._held = 0  # bytes that came, those of the body, and those not read yet
        self._busy = self._paused = self._closed = False
        self._headed = self._whole = self._interim = self._keeps = self._to_the_end = False

    @property
    def reusable(self) -> bool:
        """Whether another request may be sent."""
        return self._whole and self._keeps and not self._parts and not self._closed and not self._unsent()

    def send(self, data: Sequence[bytes], until: float) -> None:
        """Write a request. Raises StaleError where the connection has been closed."""
        if self._closed:
            raise StaleError
        self.status, self.headers, self._parts, self._error = 0, {}, [], None
        self._raw = self._body = self._held = 0
        self._headed = self._whole = self._interim = self._keeps = self._to_the_end = False
        self._busy, self._heard, self._until = True, self._loop.time(), until
        self._transport.writelines(data)
        self._watch()

    async def begun(self) -> None:
        """Wait for the head of the reply. Raises UpstreamError, StaleError."""
        while not self._headed:
            if self._error is not None:
                raise self._error
            await self._more()

    async def read(self) -> bytes:
        """What has come of the body since; nothing at its end. Raises UpstreamError where it breaks off."""
        while not self._parts:
            if self._error is not None:
                raise self._error
            if self._whole:
                return b""
            await self._more()
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts, self._held = [], 0
        if self._paused:
            self._paused, self._heard = False, self._loop.time()
            self._transport.resume_reading()
        return data

    def keep(self) -> None:
        """Wait for the next request, for as long as a connection is kept."""
        self._busy, self._heard = False, self._loop.time()
        self._watch()

    def close(self) -> None:
        """End it at once, whatever is under way."""
        self._closed = True
        self._transport.abort()

    # What the event loop says.

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # of TCP, and of TLS
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._whole or not self._busy:  # nobody has asked for this
            self.close()
            return
        self._heard = self._loop.time()
        self._raw += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            self._fail(UpstreamError(502, "the upstream's reply is not HTTP, or its length can be read in two ways"))
            return
        if self._raw - self._body * 8 > FRAMING:  # a chunk of one byte has five others around it
            self._fail(UpstreamError(502, f"the upstream's reply has a head of more than {FRAMING:,} bytes"))
        elif self._held > HELD and not self._paused and not self._whole:
            self._paused = True
            self._transport.pause_reading()
        if self._headed:
            self._wake()

    def connection_lost(self, error: Exception | None) -> None:
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._headed and self._to_the_end and error is None:
            self._whole = True
        elif not self._whole and self._error is None:
            stale = not self._raw and self._loop.time() - self._heard < STALE
            self._error = StaleError() if stale else UpstreamError(502, "the upstream's reply broke off")
        self._wake()
        del self._parser  # it holds this connection, and is held by it
        self._lost(self)

    # What the parser says.

    def on_message_begin(self) -> None:
        if self._whole:
            raise ValueError("a second reply to one request")

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._headed:  # a trailer is of no use to anyone here
            key, text = name.decode("latin-1").lower(), value.decode("latin-1")
            self.headers[key] = f"{self.headers[key]}, {text}" if key in self.headers else text

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < 200:  # but for 101, another protocol, which the parser raises HttpParserUpgrade for
            self._interim, self.headers = True, {}
            return
        coding, length = self.headers.get("transfer-encoding"), self.headers.get("content-length")
        if coding is not None and (coding.lower() != "chunked" or length is not None):
            raise ValueError("a transfer coding other than chunked, or a length beside it")
        self._to_the_end = coding is None and length is None
        self._keeps = self._parser.should_keep_alive()
        self.status, self._headed = status, True

    def on_body(self, data: bytes) -> None:
        self._parts.append(data)
        self._body += len(data)
        self._held += len(data)

    def on_message_complete(self) -> None:
        if self._interim:
            self._interim = False
        else:
            self._whole = True

    # Waiting, and time.

    def _more(self) -> asyncio.Future[None]:
        self._waiter = self._loop.create_future()
        return self._waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def _fail(self, error: UpstreamError) -> None:
        """End it; a reply that was whole before stays so."""
        if not self._whole:
            self._error = error
        self._wake()
        self.close()

    def _unsent(self) -> int:
        return self._transport.get_write_buffer_size()

    def _due(self) -> float:
        """When time is up for what is under way, or for waiting."""
        if not self._busy:
            return self._heard + KEPT
        return min(self._until, math.inf if self._paused else self._heard + self._idle)

    def _watch(self) -> None:
        """See to it that somebody looks when time is up. One timer serves many requests: it is only ever moved forward."""
        due = self._due()
        if self._timer is None or self._timer_at > due:
            if self._timer is not None:
                self._timer.cancel()
            self._timer, self._timer_at = self._loop.call_at(due, self._look), due

    def _look(self) -> None:
        self._timer = None
        if self._closed:
            return
        if self._loop.time() < self._due():
            self._watch()
        elif not self._busy or self._whole:
            self.close()
        else:
            self._fail(UpstreamError(504, "the upstream took too long"))

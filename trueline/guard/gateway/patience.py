"""How long a connection may ask nothing, or read nothing: uvicorn's protocol with an end to its patience.

A client that opens a connection and sends no request, or sends one header in a minute, holds a place and never reaches the app,
so no limit of the policy ends it (slow loris). Here a head must be there within HEAD seconds, and where all places are taken,
whoever has asked nothing for PATIENCE seconds makes room, the longest first. Connections with a request under way keep theirs.
A client that was never answered is told 408 or 503 on the way out; one that waits between two requests is closed, as is usual.
A client that does not take what waits to be written within UNREAD seconds is cut off, for its exchange holds a place too.

    uvicorn.Config(app, http=patient(), limit_concurrency=4096)
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEAD = 10.0  # seconds from the first byte of a head, or from a connection's begin, to the head's end
UNREAD = 60.0  # seconds in which a client must take what is buffered for it, some 64 KB
LATE = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
FULL = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
PATIENCE = 2.0  # seconds without a request after which a connection makes room for another


def patient() -> type[HttpToolsProtocol]:
    """A protocol for one server: its connections know of each other."""
    return type("Patient", (_Patient,), {"waiting": {}})


class _Patient(HttpToolsProtocol):
    """A connection that is closed where it keeps others waiting."""

    waiting: ClassVar[dict[_Patient, float]]  # connections without a request, since when, the longest first
    _late: asyncio.TimerHandle | None = None
    _unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._make_room()
        self._wait()
        self._late = self.loop.call_later(HEAD, self._close, LATE)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._idle and self._late is None and not self.transport.is_closing():  # a part of a head, after another request
            self._late = self.loop.call_later(HEAD, self._close, LATE)

    def on_headers_complete(self) -> None:
        self.waiting.pop(self, None)
        self._in_time()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self._idle:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self.waiting.pop(self, None)
        self._in_time()
        self._read()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._unread = self.loop.call_later(UNREAD, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        self._read()

    def _read(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    @property
    def _idle(self) -> bool:
        return self.cycle is None or self.cycle.response_complete

    def _wait(self) -> None:
        self.waiting.pop(self, None)
        self.waiting[self] = self.loop.time()

    def _in_time(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _make_room(self) -> None:
        """Close connections that have waited the longest, and long enough, until there is a place."""
        while self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            first = next(iter(self.waiting), None)
            if first is None or self.loop.time() - self.waiting[first] < PATIENCE:
                return
            self.connections.discard(first)  # its place is free now, and not once its end is noticed
            first._close(FULL)

    def _close(self, said: bytes) -> None:
        self.waiting.pop(self, None)
        self._in_time()
        if self.cycle is None:
            self.transport.write(said)
        self.transport.close()

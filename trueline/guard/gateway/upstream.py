"""The endpoint behind the gateway: connections that are kept, limits of time and size, and errors in words of ours.

async with Upstream(url="http://127.0.0.1:8000", limits=Limits()) as upstream:
    async with upstream.ask("POST", "/v1/chat/completions", headers, body) as came:
        came.status, came.headers, await came.whole()

A request is written once. It is written again, over a connection of its own, only where it went to a kept connection that was
closed at that moment, before any byte of a reply. There are no redirects and no cookies; where the environment names a proxy
(HTTP_PROXY, HTTPS_PROXY, NO_PROXY), proxied.py takes the place of this.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import quote, urlsplit

from trueline.guard.gateway.connection import Connection, StaleError, UpstreamError
from trueline.guard.policy import Limits

__all__ = ["Came", "Upstream", "UpstreamError"]
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A reply whose head is there, and whose body is still to be read."""

    status: int
    headers: Mapping[str, str]  # by name in small letters
    read: Callable[[], Awaitable[bytes]]  # the next bytes; none at the end
    most: int  # bytes of the body

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamError where it breaks off or is too long."""
        size = 0
        while piece := await self.read():
            size = self._counted(size + len(piece))
            yield piece

    async def whole(self) -> bytes:
        """The whole body. Raises UpstreamError as above."""
        parts, size = [], 0
        while piece := await self.read():
            size = self._counted(size + len(piece))
            parts.append(piece)
        return b"".join(parts)

    def _counted(self, size: int) -> int:
        if size > self.most:
            raise UpstreamError(502, f"the upstream's reply has more than {self.most:,} bytes")
        return size


@dataclass(kw_only=True)
class Upstream:
    """One address that is asked; any number of requests at a time."""

    url: str  # without the path: http://127.0.0.1:8000
    limits: Limits
    _kept: dict[Connection, None] = field(default_factory=dict, repr=False)  # without a request, the latest last

    def __post_init__(self) -> None:
        parts = urlsplit(self.url)
        assert parts.hostname, "an upstream has a host"
        self._host = parts.hostname if parts.hostname.isascii() else parts.hostname.encode("idna").decode()
        self._port = parts.port or _PORTS[parts.scheme]
        self._tls = _tls() if parts.scheme == "https" else None
        self._path = quote(parts.path, safe="/%:@!$&'()*+,;=~")
        host = f"[{self._host}]" if ":" in self._host else self._host
        shown = host if self._port == _PORTS[parts.scheme] else f"{host}:{self._port}"
        self._always = f"host: {shown}\r\naccept-encoding: identity\r\n"

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        return self

    async def __aexit__(self, *_: object) -> None:
        for connection in list(self._kept):
            connection.close()

    def ask(
        self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None
    ) -> AbstractAsyncContextManager[Came]:
        """Send a request, and give what comes. Raises UpstreamError before the first byte and at any later one."""
        lines = [f"{name}: {value}\r\n" for name, value in headers]
        if body is not None or method == "POST":
            lines.append(f"content-length: {len(body or b'')}\r\n")
        head = f"{method} {self._path}{path} HTTP/1.1\r\n{self._always}{''.join(lines)}\r\n"
        if head.count("\r") != head.count("\n") or head.count("\n") != len(lines) + 4:  # nobody adds a line
            raise UpstreamError(400, "a header of the request has a line end in it")
        return _Asking(self, [head.encode("latin-1"), body] if body else [head.encode("latin-1")])

    async def begin(self, data: Sequence[bytes]) -> Connection:
        """A connection on which the head of the reply has come."""
        until = self._loop.time() + self.limits.total_seconds
        if self._kept:
            with suppress(StaleError):
                return await _begun(self._kept.popitem()[0], data, until)
        return await _begun(await self._connect(), data, until)

    def end(self, connection: Connection) -> None:
        """Keep a connection for the next request, or end it where its reply was not read to its end."""
        if connection.reusable:
            self._kept[connection] = None
            connection.keep()
        else:
            connection.close()

    async def _connect(self) -> Connection:
        limits, loop = self.limits, self._loop
        try:
            async with asyncio.timeout(limits.connect_seconds):
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, limits.idle_seconds, self._lost), self._host, self._port, ssl=self._tls
                )
        except TimeoutError:
            raise UpstreamError(504, "the upstream took too long") from None
        except OSError:
            raise UpstreamError(502, "the upstream cannot be reached") from None
        return connection

    def _lost(self, connection: Connection) -> None:
        self._kept.pop(connection, None)


class _Asking:
    """A request under way: entered when the head of its reply is there, left when no more of it is wanted."""

    __slots__ = ("_connection", "_data", "_upstream")

    def __init__(self, upstream: Upstream, data: Sequence[bytes]) -> None:
        self._upstream, self._data = upstream, data

    async def __aenter__(self) -> Came:
        self._connection = connection = await self._upstream.begin(self._data)
        if connection.headers.get("content-encoding", "identity").lower() != "identity":
            connection.close()
            raise UpstreamError(502, "the upstream's reply is encoded, for which nobody asked")
        most = self._upstream.limits.reply_bytes
        return Came(status=connection.status, headers=connection.headers, read=connection.read, most=most)

    async def __aexit__(self, *_: object) -> None:
        self._upstream.end(self._connection)


async def _begun(connection: Connection, data: Sequence[bytes], until: float) -> Connection:
    connection.send(data, until)
    try:
        await connection.begun()
    except BaseException:
        connection.close()
        raise
    return connection


def _tls() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context

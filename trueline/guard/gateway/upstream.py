"""The endpoint behind the gateway: connections that are kept, limits of time and size, and errors in words of ours.

async with Upstream(url="http://127.0.0.1:8000", limits=Limits()) as upstream:
    async with upstream.ask("POST", "/v1/chat/completions", headers, body) as came:
        came.status, came.headers, await came.whole()
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Self

import aiohttp

from trueline.guard.policy import Limits

KEPT = 15.0  # seconds that a connection is kept without a request on it
PIECE = 2**16  # bytes that are read at a time


class UpstreamError(Exception):
    """No whole reply came from the upstream; `status` is what a client is told: 502 it failed, 504 it took too long."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(why)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Came:
    """A reply whose head is there, and whose body is still to be read."""

    status: int
    headers: Mapping[str, str]
    body: aiohttp.StreamReader
    most: int

    async def pieces(self) -> AsyncIterator[bytes]:
        """The body as it comes. Raises UpstreamError where it breaks off or is too long."""
        read = 0
        with _told():
            async for piece in self.body.iter_any():
                read += len(piece)
                if read > self.most:
                    raise UpstreamError(502, f"the upstream's reply has more than {self.most:,} bytes")
                yield piece

    async def whole(self) -> bytes:
        """The whole body. Raises UpstreamError as above."""
        return b"".join([piece async for piece in self.pieces()])


@dataclass(kw_only=True)
class Upstream:
    """One address that is asked; any number of requests at a time."""

    url: str  # without the path: http://127.0.0.1:8000
    limits: Limits
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=self.limits.total_seconds,
                sock_connect=self.limits.connect_seconds,
                sock_read=self.limits.idle_seconds,
            ),
            skip_auto_headers=("user-agent", "accept", "accept-encoding", "content-type"),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    @asynccontextmanager
    async def ask(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes | None) -> AsyncIterator[Came]:
        """Send a request, and give what comes. Raises UpstreamError before the first byte and at any later one."""
        assert self._session is not None, "an upstream is asked within `async with`"
        with _told():
            asking = self._session.request(
                method, self.url + path, data=body, headers=[*headers, ("accept-encoding", "identity")], allow_redirects=False
            )
            async with asking as came:
                yield Came(status=came.status, headers=came.headers, body=came.content, most=self.limits.reply_bytes)


class _told:  # noqa: N801 - reads as the word that it is at the place where it stands
    """Turn what the library raises into words that hold nothing of what was sent or came."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        if error is None or isinstance(error, UpstreamError):
            return
        if isinstance(error, (aiohttp.ServerTimeoutError, asyncio.TimeoutError)):
            raise UpstreamError(504, "the upstream took too long") from None
        if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ClientOSError)):
            raise UpstreamError(502, "the upstream cannot be reached") from None
        if isinstance(error, aiohttp.ClientError):
            raise UpstreamError(502, f"the upstream's reply broke off or is not HTTP ({type(error).__name__})") from None

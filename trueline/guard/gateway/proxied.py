"""The upstream behind a proxy that the environment names: aiohttp asks in place of connections of our own.

    upstream_of("https://api.example.com", limits)         # Proxied where HTTPS_PROXY stands for it, else Upstream

What this machine itself offers is never asked for through a proxy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from trueline.guard.gateway.connection import KEPT
from trueline.guard.gateway.upstream import Came, Upstream, UpstreamError
from trueline.guard.policy import Limits

if TYPE_CHECKING:
    import aiohttp

_HERE = ("localhost", "127.0.0.1", "::1")


def upstream_of(url: str, limits: Limits) -> Upstream:
    """The upstream at an address, through a proxy where the environment says so."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = None if host in _HERE or proxy_bypass(host) else getproxies().get(parts.scheme)
    return Proxied(url=url, limits=limits, proxy=proxy) if proxy else Upstream(url=url, limits=limits)


@dataclass(kw_only=True)
class Proxied(Upstream):
    """An upstream that is asked through a proxy."""

    proxy: str = field(repr=False)  # URL; it may hold a password
    _session: aiohttp.ClientSession | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        import aiohttp  # loaded only where there is a proxy

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
        with _Told():
            asking = self._session.request(
                method, self.url + path, data=body, headers=[*headers, ("accept-encoding", "identity")],
                allow_redirects=False, proxy=self.proxy,
            )  # fmt: skip
            async with asking as came:

                async def read() -> bytes:
                    with _Told():
                        return await came.content.readany()

                found = {name.lower(): value for name, value in came.headers.items()}
                yield Came(status=came.status, headers=found, read=read, most=self.limits.reply_bytes)


class _Told:
    """Turns what the library raises into words that hold nothing of what was sent or came."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        import aiohttp

        if error is None or isinstance(error, UpstreamError):
            return
        if isinstance(error, (aiohttp.ServerTimeoutError, asyncio.TimeoutError)):
            raise UpstreamError(504, "the upstream took too long") from None
        if isinstance(error, (aiohttp.ClientConnectorError, aiohttp.ClientOSError)):
            raise UpstreamError(502, "the upstream cannot be reached") from None
        if isinstance(error, aiohttp.ClientError):
            raise UpstreamError(502, f"the upstream's reply broke off or is not HTTP ({type(error).__name__})") from None

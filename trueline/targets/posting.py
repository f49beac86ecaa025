"""One POST after another to one address, over connections that are kept open: the only file that knows the HTTP library.

What comes is read piece by piece up to a limit, also while it is decompressed, and is never followed elsewhere. No cookie is
kept. A proxy is taken from the environment, once. What goes wrong is told in words of ours: the library's may hold what was
sent.

    async with posting("http://localhost:8000/v1/chat/completions", headers, 2**20) as post:
        reply = await post(b"{}")
"""

from __future__ import annotations

import zlib
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit, urlunsplit

from trueline.targets.errors import UnreachableError, quoted

if TYPE_CHECKING:
    import aiohttp

KEPT = 5.0  # seconds that a connection is kept without a question on it; a server seldom closes it sooner
LONGEST_HEADER = 2**16  # bytes; gateways write long ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What a server sent: its body whole, or a little more than the limit; `headers` are asked for in lower case."""

    status: int
    reason: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def sends_on(self) -> bool:
        """Whether it names another address to go to."""
        return self.status in (301, 302, 303, 307, 308) and "location" in self.headers


Post = Callable[[bytes], Awaitable[Reply]]
Posting = Callable[[str, Mapping[str, str], int], AbstractAsyncContextManager[Post]]


class NoReplyError(Exception):
    """No whole reply came. Its text says why, in words that hold nothing of what was sent or came."""


@asynccontextmanager
async def posting(
    url: str, headers: Mapping[str, str], most_bytes: int, resolver: aiohttp.abc.AbstractResolver | None = None
) -> AsyncIterator[Post]:
    """Open a way to post to an address, for this event loop; its connections are closed at the end.

    It limits neither time nor connections: whoever posts does, and a connection is opened where none is free.
    A `resolver` looks names up in place of the usual one; where a proxy is asked, names are the proxy's to look up.
    """
    import aiohttp  # a tenth of a second of loading, spent only where a remote target is opened

    proxy = _proxy(url)
    to_proxy = {}
    if url.startswith("https:"):
        to_proxy = proxy.headers  # with the wish for a tunnel, through which it sees nothing
    else:
        headers = {**headers, **proxy.headers}
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT, resolver=None if proxy.url else resolver),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(),
        auto_decompress=False,
        max_line_size=LONGEST_HEADER,
        max_field_size=LONGEST_HEADER,
    ) as session:
        # Headers go with each request: those of a session go to a proxy too, the key among them.
        options = {
            "headers": {"accept-encoding": "gzip", **headers},
            "proxy": proxy.url,
            "proxy_headers": to_proxy,
            "allow_redirects": False,
        }

        async def post(question: bytes) -> Reply:
            try:
                async with session.post(url, data=question, **options) as came:
                    body = await _read(came, most_bytes)
            except aiohttp.ClientError as error:
                raise NoReplyError(_trouble(error)) from None
            return Reply(status=came.status, reason=came.reason or "", headers=came.headers, body=body)

        yield post


@dataclass(frozen=True, kw_only=True)
class _Proxy:
    """Who stands between: its address without a password, and the header that holds that; no address where nobody does."""

    url: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


def _proxy(url: str) -> _Proxy:
    """What the environment names for an address: HTTP_PROXY, HTTPS_PROXY or ALL_PROXY, and NO_PROXY for what needs none."""
    from urllib.request import getproxies, proxy_bypass  # loads Python's own HTTP client

    parts, known = urlsplit(url), getproxies()
    named = known.get(parts.scheme) or known.get("all")
    if not named or proxy_bypass(parts.netloc):
        return _Proxy()
    proxy = urlsplit(named if "://" in named else f"http://{named}")
    if proxy.scheme not in ("http", "https"):
        raise UnreachableError(
            f"expected a proxy http://HOST:PORT in the environment, got one of {quoted(proxy.scheme)}; "
            f"name another, or put {quoted(parts.hostname or '')} into NO_PROXY"
        )
    bare = urlunsplit(proxy._replace(netloc=proxy.netloc.rpartition("@")[2]))
    if not proxy.username:
        return _Proxy(url=bare)
    login = b64encode(f"{unquote(proxy.username)}:{unquote(proxy.password or '')}".encode())
    return _Proxy(url=bare, headers={"proxy-authorization": f"Basic {login.decode()}"})


async def _read(came: aiohttp.ClientResponse, most: int) -> bytes:
    """The body, or a little more than `most` bytes of a longer one. Raises NoReplyError where it cannot be decompressed.

    It is inflated here, since what a library allows a few bytes to become differs from one version to the next.
    """
    body, encoding = bytearray(), came.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "gzip", "x-gzip", "deflate"):
        raise NoReplyError("the reply is compressed in a way that was not asked for")
    inflate = None if encoding == "identity" else zlib.decompressobj(wbits=32 + zlib.MAX_WBITS)  # told by its first bytes
    async for piece in came.content.iter_any():
        try:
            body += inflate.decompress(piece, most + 1 - len(body)) if inflate else piece
        except zlib.error:
            raise NoReplyError("the reply cannot be decompressed") from None
        if len(body) > most or (inflate and inflate.unused_data):  # what follows a compressed reply may have no end
            break
    return bytes(body)


def _trouble(error: aiohttp.ClientError) -> str:
    """What happened, told by the kind of the error alone."""
    import aiohttp

    match error:
        case aiohttp.ClientConnectorCertificateError():
            return "expected a certificate that this machine trusts (TLS), and the server's is not one"
        case aiohttp.ClientSSLError():
            return "expected a server that speaks TLS, found one with which no encrypted connection comes about"
        case aiohttp.ClientConnectorError():
            return "expected a server, found none that takes a connection"
        case aiohttp.ClientPayloadError() | aiohttp.ClientConnectionError():
            return "the connection broke off before the reply was whole"
        case aiohttp.ClientHttpProxyError():
            return "the proxy does not let the request through"
        case aiohttp.ClientResponseError():
            return "what came is no reply in HTTP that can be read"
    return f"the request failed ({type(error).__name__})"

"""A request as the gateway takes it in: within its limits, in one reading, or refused with a word on what to do.

What two programs may read differently is refused and not guessed at: a body that is encoded, a header that stands twice, a
query with anything in it that is not plain. So the upstream reads what the rails have read.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from trueline.guard.gateway.headers import single
from trueline.guard.policy import Limits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_PLAIN_QUERY = re.compile(rb"[A-Za-z0-9._~=&-]{0,256}")  # api-version=2025-01-01&beta=true: nothing that could hold a sentence


class Refused(Exception):  # noqa: N818 - a client's request is refused: it is no error of the gateway
    """A request that is not passed on: HTTP status, code, what to do; `wait` in seconds until it may be asked again."""

    def __init__(self, status: int, code: str, message: str, *, wait: float | None = None) -> None:
        super().__init__(message)
        self.status, self.code, self.wait = status, code, wait


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request: its head, and its body as it came."""

    method: str
    path: str  # with the query, as it goes to the upstream
    headers: list[tuple[bytes, bytes]]
    body: bytes = field(repr=False)


async def read(scope: Message, receive: Receive, limits: Limits) -> Asked:
    """The whole request. Raises Refused."""
    headers, query = list(scope["headers"]), scope.get("query_string", b"")
    if not _PLAIN_QUERY.fullmatch(query):
        raise Refused(
            400, "bad_query", "expected a query of plain names and values, 256 characters at most; text goes into the body"
        )
    path = scope["path"] + (f"?{query.decode()}" if query else "")
    body = await _body(headers, receive, limits) if scope["method"] == "POST" else b""
    return Asked(method=scope["method"], path=path, headers=headers, body=body)


async def _body(headers: list[tuple[bytes, bytes]], receive: Receive, limits: Limits) -> bytes:
    try:
        coding, kind, length = single(headers, b"content-encoding", b"content-type", b"content-length")
    except ValueError as error:
        raise Refused(400, "bad_header", str(error)) from None
    if coding not in (None, "", "identity"):
        raise Refused(415, "encoded_body", f"expected a body without content-encoding, got {coding!r:.40}; send it as it is")
    if kind is not None and not _is_json(kind):
        raise Refused(415, "not_json", f"expected content-type application/json, got {kind!r:.60}")
    if length is not None and length.isdigit() and int(length) > limits.body_bytes:
        raise Refused(413, "body_too_large", f"expected at most {limits.body_bytes:,} bytes, got {int(length):,}; send less")
    try:
        async with asyncio.timeout(limits.body_seconds):
            return await _received(receive, limits.body_bytes)
    except TimeoutError:
        raise Refused(
            408, "body_timeout", f"expected the whole body within {limits.body_seconds:g} s; send it at once"
        ) from None


async def _received(receive: Receive, most: int) -> bytes:
    """The whole body; most come in one message."""
    parts = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionAbortedError("the client has gone")
        part: bytes = message.get("body", b"")
        if len(parts) + len(part) > most:
            raise Refused(413, "body_too_large", f"expected at most {most:,} bytes, got more; send less")
        if not message.get("more_body", False):
            return bytes(parts) + part if parts else bytes(part)
        parts += part


@lru_cache(maxsize=64)
def _is_json(kind: str) -> bool:
    """JSON in UTF-8: another charset would be read as one text here and as another there."""
    name, _, rest = kind.partition(";")
    charset = rest.strip().lower().removeprefix("charset=").strip('"')
    return name.strip().lower() == "application/json" and charset in ("", "utf-8", "utf8")

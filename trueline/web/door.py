"""Who may come in: programs of this machine, not the web pages that its browser shows; who has the key; not too many at once.

A page of any site can make a browser send requests to 127.0.0.1. Browsers say so in `Origin`, which must be our own address.
A site that has its name point at 127.0.0.1 (DNS rebinding) sends its own name as `Host`, which must be a loopback's.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from trueline.core.records import json_line
from trueline.web.errors import EndpointError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
OPEN = ("/health",)  # paths that tell nothing, and need no key


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the door asks of who comes."""

    loopback: bool = True  # only names of this machine are taken as Host
    key: str = field(default="", repr=False)  # nothing: none is asked for
    at_once: int = 256  # requests that may be under way


class Door:
    """An app with the door before it."""

    def __init__(self, app: ASGIApp, rules: Rules) -> None:
        self.app, self.rules, self.inside = app, rules, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer it here."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        try:
            check(self.rules, Headers(scope=scope), scope["path"])
            if self.inside >= self.rules.at_once:
                raise EndpointError(
                    429, f"{self.inside} requests are under way; ask again in a moment", code="too_many", wait=1
                )
        except EndpointError as fault:
            await answer(fault)(scope, receive, send)
            return
        self.inside += 1
        try:
            await self.app(scope, receive, send)
        finally:
            self.inside -= 1


def check(rules: Rules, headers: Mapping[str, str], path: str) -> None:
    """Raise an EndpointError for who may not come in."""
    host = headers.get("host", "")
    if rules.loopback and host_name(host) not in LOOPBACK:
        raise EndpointError(403, f"expected a Host of {', '.join(LOOPBACK)}, got {host!r:.80}; ask this machine by one of them")
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        raise EndpointError(403, f"requests of web pages are not served, this one comes from {origin!r:.80}; use a program")
    if rules.key and path not in OPEN:
        shown = headers.get("authorization", "")
        if not hmac.compare_digest(shown.encode(), f"Bearer {rules.key}".encode()):
            came = "another" if shown else "none"
            raise EndpointError(401, f"expected the endpoint's key as a bearer, got {came}; set it", code="invalid_api_key")


def answer(fault: EndpointError) -> Response:
    """A fault as a response."""
    return Response(json_line(fault.body()), fault.status, fault.headers(), media_type="application/json")


def host_name(host: str) -> str:
    """A Host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.partition(":")[0].lower()

"""What lies between the network and the pages: who is asked for by name, where a POST comes from, and what is said to browsers.

Everything that the pages show may be hostile: what models said, what attackers wrote, names of files. Templates escape it; this
is the second wall. The policy lets a page load scripts and styles of this site alone, by file: no inline script, no handler in
an attribute, no style attribute, no frame, no form to elsewhere, no connection to elsewhere.

A POST must say that it comes from this very site, by `Origin` or `Sec-Fetch-Site`, beside the token that its form shows.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trueline.web.door import LOOPBACK, host_name

POLICY = "; ".join(
    (
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "connect-src 'self'",
        "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
    )
)  # fmt: skip
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer, browsers send the Origin of this site's own forms as null
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}
SAFE = ("GET", "HEAD")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """How the site is reached: `hosts` are the names that it is asked by; `tls` where a proxy before it speaks HTTPS."""

    hosts: tuple[str, ...] = LOOPBACK
    tls: bool = False

    def fault(self, method: str, headers: Headers) -> str:
        """Why a request is turned away, or nothing."""
        host = headers.get("host", "")
        if host_name(host) not in self.hosts:  # a foreign name that points here (DNS rebinding) tells itself
            return f"expected a Host of {', '.join(self.hosts)}; ask by one of them, or start trueline web with --name"
        if method in SAFE:
            return ""
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        own = f"{'https' if self.tls else 'http'}://{host}"
        if (origin is not None and origin != own) or site not in (None, "same-origin"):
            return "this was sent by a page of another site; open the page here, and send its form"
        return ""


class Wall:
    """The pages behind it."""

    def __init__(self, app: ASGIApp, outside: Outside) -> None:
        self.app, self.outside = app, outside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Turn a request away or let it in, and put the headers on what is answered."""
        if scope["type"] != "http":
            return

        async def dressed(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("cache-control", "no-store")
                if self.outside.tls:
                    headers["strict-transport-security"] = "max-age=31536000"
            await send(message)

        fault = self.outside.fault(scope["method"], Headers(scope=scope))
        handled = PlainTextResponse(fault + "\n", 403) if fault else self.app
        await handled(scope, receive, dressed)

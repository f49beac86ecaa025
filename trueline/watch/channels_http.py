"""Alerts to an address: a webhook that gets the alert as JSON, signed, and one of Slack's kind that gets blocks.

Only http and https, redirects are not followed, and what is answered is not read beyond a few kilobytes. The address is looked
up where the connection is made, and one of a private network (this machine, 10.0.0.0/8 and their like) is refused unless the
word says `private:`, because words come from whoever may write a watch, and what listens inside a network trusts who asks from
inside. Link-local ones (169.254.169.254 hands out a cloud's credentials) are refused whatever is said. Where the environment
names a proxy, it is the proxy that looks names up, and only addresses written in digits can be refused here.

A receiver checks `trueline-signature: t=SECONDS,v1=HEX` with the secret that both know, and drops what is old or came before:

>>> signature(b"secret", 1764288000, b'{"id": "a1"}')[:20]
't=1764288000,v1=8cf9'
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any
from urllib.parse import urlsplit

from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver

from trueline.evaluate.shape import visible
from trueline.targets.http import AGAIN
from trueline.targets.patience import retry_after
from trueline.targets.posting import NoReplyError, Reply, posting
from trueline.watch.alerts import Alert, headline, payload
from trueline.watch.channels import ENVIRONMENT, PRIVATE, ChannelWordError, UndeliveredError

TIMEOUT = 15.0  # seconds of one try
MOST_BYTES = 4096  # of an answer; nothing of it is needed
SLACK_TEXT = 2900  # characters of a section; Slack takes 3000
NAT64 = IPv6Network("64:ff9b::/96")  # in which an IPv4 address is written
METADATA = IPv6Address("fd00:ec2::254")  # of a cloud; its IPv4 form is link-local


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a channel posts. Only its name is shown."""

    name: str
    url: str = field(repr=False)
    private: bool = False  # said to lie in a private network


@dataclass(frozen=True, kw_only=True)
class Webhook:
    """Posts the alert as JSON; signed where there is a secret."""

    address: Address
    secret: bytes = field(default=b"", repr=False)
    now: Callable[[], float] = time.time

    @property
    def name(self) -> str:
        """The host, or the variable that holds the address."""
        return self.address.name

    async def send(self, alert: Alert) -> None:
        """Hand an alert over once; its id is in the header `trueline-alert`, so that one that comes twice can be dropped."""
        body = json.dumps(payload(alert), sort_keys=True).encode()
        headers = {"trueline-alert": alert.id}
        if self.secret:
            headers["trueline-signature"] = signature(self.secret, int(self.now()), body)
        await _post(self.address, body, headers)


@dataclass(frozen=True, kw_only=True)
class Slack:
    """Posts blocks, as Slack and those that are compatible with it read them."""

    address: Address

    @property
    def name(self) -> str:
        """The variable that holds the address, or the host."""
        return self.address.name

    async def send(self, alert: Alert) -> None:
        """Hand an alert over once."""
        await _post(self.address, json.dumps(blocks(alert)).encode(), {})


def blocks(alert: Alert) -> dict[str, Any]:
    """An alert as Slack's blocks. `verbatim`: nothing in it becomes a link or calls anybody."""
    title, where = headline(alert), f"watch {alert.name}, round {alert.number}, alert {alert.id}"
    return {
        "text": escaped(title, 300),
        "unfurl_links": False,
        "unfurl_media": False,
        "blocks": [
            {"type": "header", "text": {"type": "plain_text", "text": escaped(title, 150), "emoji": False}},
            {"type": "section", "text": {"type": "mrkdwn", "text": escaped(alert.text, SLACK_TEXT), "verbatim": True}},
            {"type": "context", "elements": [{"type": "mrkdwn", "text": escaped(where, 300), "verbatim": True}]},
        ],
    }


def escaped(text: str, most: int) -> str:
    """Escape what Slack reads as its own, and cut what is too long, never inside an escape.

    >>> escaped("<!channel> & more", 99)
    '&lt;!channel&gt; &amp; more'
    """
    kept: list[str] = []
    length = 0
    for char in text:
        word = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}.get(char, char)
        length += len(word)
        if length > most - 1:
            return "".join(kept) + "…"
        kept.append(word)
    return "".join(kept)


def signature(secret: bytes, at: int, body: bytes) -> str:
    """Sign a body and the second at which it is sent, by HMAC-SHA256 (RFC 2104) over `SECONDS.BODY`."""
    return f"t={at},v1={hmac.new(secret, b'%d.' % at + body, hashlib.sha256).hexdigest()}"


def address(kind: str, word: str, environment: Mapping[str, str]) -> Address:
    """Read URL, private:URL, env:NAME or private:env:NAME. No error shows an address."""
    private = word.startswith(PRIVATE)
    url = word.removeprefix(PRIVATE)
    name = ""
    if url.startswith(ENVIRONMENT):
        variable = url.removeprefix(ENVIRONMENT)
        name, url = f"{kind}:env:{visible(variable, 60)}", environment.get(variable, "")
        if not url:
            raise ChannelWordError(f"expected the address of {name} in the environment, found nothing; set it and try again")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    odd = any(char.isspace() or not char.isprintable() or char == "\\" for char in url)
    odd = odd or (host.rpartition(".")[2][:1].isdigit() and not _is_address(host))  # 2130706433 and 127.1 are this machine
    if parts.scheme not in ("http", "https") or not host or odd or "@" in parts.netloc:
        raise ChannelWordError(f"expected {kind}:http(s)://HOST/..., without a login, or {kind}:env:NAME that holds one")
    # Two addresses of one host have two names, and neither tells the other's path.
    name = name or f"{kind}:{visible(host, 80)}#{hashlib.sha256(url.encode()).hexdigest()[:6]}"
    if (why := _forbidden(host, private)) is not None:
        raise ChannelWordError(f"{name}: {why}")
    return Address(name=name, url=url, private=private)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _forbidden(host: str, private: bool) -> str | None:
    """Why nothing is sent to an address written in digits; None for others, and for names."""
    try:
        found = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    if isinstance(found, IPv6Address):
        within: IPv4Address | None = found.ipv4_mapped or found.sixtofour
        if found in NAT64:
            within = IPv4Address(int(found) & 0xFFFFFFFF)
        found = within or found
    if found.is_link_local or found == METADATA:
        return "a link-local address is never sent to; name another"
    if not private and (not found.is_global or found.is_multicast):
        return "an address of a private network is sent to only where the word says so, as in webhook:private:URL"
    return None


class _Guarded(AbstractResolver):
    """Looks names up, and gives no address to which nothing may be sent: the one that is checked is the one that is used."""

    def __init__(self, private: bool) -> None:
        self._private, self._inner = private, ThreadedResolver()
        self.why = ""

    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        found = await self._inner.resolve(host, port, family)
        reasons = [_forbidden(one["host"], self._private) for one in found]
        self.why = next((reason for reason in reasons if reason), "")
        if self.why:  # one such address among several is reason enough
            raise OSError("an address that is not sent to")
        return found

    async def close(self) -> None:
        await self._inner.close()


async def _post(place: Address, body: bytes, headers: Mapping[str, str]) -> None:
    guarded = _Guarded(place.private)
    more = {"content-type": "application/json", "user-agent": "trueline-watch", **headers}
    try:
        async with asyncio.timeout(TIMEOUT), posting(place.url, more, MOST_BYTES, guarded) as post:
            reply = await post(body)
    except TimeoutError:
        raise UndeliveredError(f"{place.name}: no answer within {TIMEOUT:g} s", again=True) from None
    except NoReplyError as error:
        if guarded.why:
            raise UndeliveredError(f"{place.name}: {guarded.why}") from None
        raise UndeliveredError(f"{place.name}: {error}", again=True) from None
    if not 200 <= reply.status < 300:
        raise _refused(place, reply)


def _refused(place: Address, reply: Reply) -> UndeliveredError:
    if reply.sends_on:
        return UndeliveredError(f"{place.name}: it names another address ({reply.status}), and is not followed there")
    again = reply.status in AGAIN or reply.status >= 500
    wait = retry_after(reply.headers, time.time()) if again else None
    return UndeliveredError(f"{place.name}: expected 2xx, got {reply.status}", again=again, wait=wait)

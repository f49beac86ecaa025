"""Which headers pass a gateway, in either direction, and which are its own.

Hop-by-hop headers belong to one connection (RFC 9110, section 7.6.1); lengths and codings belong to a body that may be edited.

>>> forwarded([(b"Connection", b"x-mine"), (b"X-Mine", b"1"), (b"accept", b"*/*")], None)
[('accept', '*/*')]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

Raw = Iterable[tuple[bytes, bytes]]
OWN = "x-trueline-"
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
OF_A_BODY = frozenset(("content-length", "content-encoding", "accept-encoding", "host", "expect", "digest", "content-md5"))
KEYS = frozenset(("authorization", "x-api-key", "api-key"))  # by which a client is known; never passed on beside a key of ours
COOKIES = frozenset(("cookie", "set-cookie"))


def forwarded(headers: Raw, key: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The headers of a request as the upstream gets them; `key` are those that replace the client's own keys, or None."""
    kept = [(name, value) for name, value in _end_to_end(headers) if name not in COOKIES]
    if key is None:
        return kept
    return [(name, value) for name, value in kept if name not in KEYS] + list(key.items())


def returned(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """The headers of a reply as the client gets them, without any that only the gateway may set."""
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in _end_to_end(raw) if name not in COOKIES]


def raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def one(headers: Raw, name: bytes) -> str | None:
    """The value of a header that may stand once; None where there is none. Raises ValueError where it stands twice."""
    found = [value for key, value in headers if key.lower() == name]
    if len(found) > 1:
        raise ValueError(f"expected the header {name.decode()} once, got it {len(found)} times")
    return found[0].decode("latin-1") if found else None


def _end_to_end(headers: Raw) -> list[tuple[str, str]]:
    """Without what is of the connection, of the body, or named as ours; names in lower case."""
    read = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    listed = {word.strip().lower() for name, value in read if name == "connection" for word in value.split(",")}
    out = HOP_BY_HOP | OF_A_BODY | listed
    return [(name, value) for name, value in read if name not in out and not name.startswith(OWN)]

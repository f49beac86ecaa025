"""Which headers pass a gateway, in either direction, and which are its own.

Hop-by-hop headers belong to one connection (RFC 9110, section 7.6.1); lengths and codings belong to a body that may be edited.

>>> forwarded([(b"Connection", b"x-mine"), (b"X-Mine", b"1"), (b"accept", b"*/*")], None)
[('accept', '*/*')]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

Raw = Iterable[tuple[bytes, bytes]]
OWN = "x-trueline-"
HOP_BY_HOP = frozenset(
    ("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
     "transfer-encoding", "upgrade")
)  # fmt: skip
OF_A_BODY = frozenset(("content-length", "content-encoding", "accept-encoding", "host", "expect", "digest", "content-md5"))
KEYS = frozenset(("authorization", "x-api-key", "api-key"))  # by which a client is known; never passed on beside a key of ours
COOKIES = frozenset(("cookie", "set-cookie"))
STAYING = HOP_BY_HOP | OF_A_BODY | COOKIES


def forwarded(headers: Raw, key: Mapping[str, str] | None) -> list[tuple[str, str]]:
    """The headers of a request as the upstream gets them; `key` are those that replace the client's own keys, or None."""
    read = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in headers]
    kept = _end_to_end(read)
    if key is None:
        return kept
    return [(name, value) for name, value in kept if name not in KEYS] + list(key.items())


def returned(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers of a reply as the client gets them, without any that only the gateway may set."""
    return dict(_end_to_end([(name.lower(), value) for name, value in headers.items()]))


def raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as ASGI wants them."""
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]


def single(headers: Raw, *names: bytes) -> list[str | None]:
    """The values of headers that may stand once; None for one that is not there. Raises ValueError where one stands twice."""
    found: dict[bytes, str | None] = dict.fromkeys(names)
    for key, value in headers:
        name = key.lower()
        if name in found:
            if found[name] is not None:
                raise ValueError(f"expected the header {name.decode()} once, got it twice")
            found[name] = value.decode("latin-1")
    return list(found.values())


def _end_to_end(headers: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Without what is of the connection, of the body, or of one client, or named as ours; the names are in lower case."""
    listed = [value for name, value in headers if name == "connection"]
    out = STAYING.union(word.strip().lower() for value in listed for word in value.split(",")) if listed else STAYING
    return [(name, value) for name, value in headers if name not in out and not name.startswith(OWN)]

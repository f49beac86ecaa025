"""Which host an address leads to, and whether that host is on a list: strict, since readers of addresses differ.

An address that two readers may take differently (a user before the host, a backslash, a blank, an escape in the host) has no
host here, and what has none is on no list.

>>> on_list("https://docs.example.com/a?b=1", ("*.example.com",)), on_list("https://example.com@evil.test/", ("example.com",))
(True, False)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

_HOST = re.compile(r"[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?\.?")


def on_list(url: str, hosts: Sequence[str]) -> bool:
    """Whether an http(s) address leads to one of these hosts; `*.example.com` is every host below example.com."""
    host = host_of(url)
    return bool(host) and any(
        host.endswith(name[1:]) if name.startswith("*.") else host == name for name in map(str.lower, hosts)
    )


def host_of(url: str) -> str:
    """The host of an address with scheme http or https (or none: //host/), in lower case; empty where that is not certain."""
    try:
        parts = urlsplit(url)
        plain = parts.netloc.lower().rpartition(":")[0] if parts.port is not None else parts.netloc.lower()
    except ValueError:
        return ""
    if parts.scheme not in ("http", "https", "") or not _HOST.fullmatch(plain):
        return ""
    return plain.rstrip(".")


def is_host(name: str) -> bool:
    """Whether a setting names a host, or all below one."""
    return _HOST.fullmatch(name.removeprefix("*.").lower()) is not None

"""The gateway's keys: made once and shown once, kept as digests, looked up in memory.

A key is `tl-ID-SECRET`; the secret is 256 random bits, which nobody can try out, so that a plain SHA-256 is right for it: a
slow hash (bcrypt, argon2) is for passwords that people choose. While there are no keys, only this machine is let in.

    shown, row = make_key("batch job", requests_a_minute=60)       # show it once; save the row
    ring = Keyring(database); ring.refresh()                       # and again every few seconds
    admitted = ring.admit("tl-...", peer="10.0.0.7")               # a KeyRow, ANYONE on loopback, or a refusal
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

from trueline.store.keys import KeyRow, keys, revoke_key, save_key
from trueline.store.opening import Database

PREFIX = "tl"
ANYONE = KeyRow(id="", label="loopback", digest="", created="")  # who is let in while there are no keys
_NOBODY = KeyRow(id="", label="", digest="0" * 64, created="")


class KeyRefusedError(PermissionError):
    """No key, or none that is let in. The text names no key, and does not say whether one exists."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one key may ask for; 0 is no limit."""

    requests_a_minute: int = 0
    burst: int = 0  # requests at once; 0: those of a minute
    bytes_a_minute: int = 0  # of requests
    tokens_a_day: int = 0  # of a day in UTC

    def __post_init__(self) -> None:
        if min(self.requests_a_minute, self.burst, self.bytes_a_minute, self.tokens_a_day) < 0:
            raise ValueError(f"expected limits of 0 (none) or more, got {self}")
        if self.burst and not self.requests_a_minute:
            raise ValueError("expected requests_a_minute beside burst, got a burst alone; a burst is of a rate")


def make_key(label: str, limits: Limits | None = None) -> tuple[str, KeyRow]:
    """Make a key: the text to show once, and the row to keep."""
    if not label.strip() or len(label) > 100 or not label.isprintable():
        raise ValueError(f"expected a label of 1 to 100 printable characters, got {label[:100]!r}")
    limits = limits or Limits()
    id_, secret = secrets.token_hex(6), secrets.token_urlsafe(32)
    row = KeyRow(
        id=id_,
        label=label.strip(),
        digest=_digest(secret),
        created=_now(),
        requests_a_minute=limits.requests_a_minute,
        burst=limits.burst,
        bytes_a_minute=limits.bytes_a_minute,
        tokens_a_day=limits.tokens_a_day,
    )
    return f"{PREFIX}-{id_}-{secret}", row


def add(database: Database, label: str, limits: Limits | None = None) -> str:
    """Make and keep a key, and return the text to show once."""
    shown, row = make_key(label, limits)
    save_key(database, row)
    return shown


def revoke(database: Database, id: str) -> None:  # noqa: A002 - what the command calls it
    """Revoke a key by its id. Raises ValueError where there is none."""
    if not revoke_key(database, id, _now()):
        raise ValueError(f"expected the id of a key, got {id[:40]!r}; list them: trueline guard keys list")


class Keyring:
    """The keys in memory. While the database is away, the keys that were read last still hold: a revocation waits for it."""

    def __init__(self, read: Callable[[], list[KeyRow]]) -> None:
        self._read = read
        self._rows: dict[str, KeyRow] | None = None

    @classmethod
    def of(cls, database: Database) -> Keyring:
        """A keyring that reads from a database."""
        return cls(lambda: keys(database))

    def refresh(self) -> bool:
        """Read the keys again, and say whether any has changed. It waits for the database: call it in a thread."""
        before, self._rows = self._rows, {row.id: row for row in self._read()}
        return before != self._rows

    def admit(self, key: str, peer: str) -> KeyRow:
        """Whose key it is. Raises KeyRefusedError; before the first `refresh`, for everyone."""
        if self._rows is None:
            raise KeyRefusedError("the keys are not read yet")
        if not self._rows:
            if is_loopback(peer):
                return ANYONE
            raise KeyRefusedError(
                "no key is configured, so only this machine is let in; make one: trueline guard keys add LABEL"
            )
        prefix, _, rest = key.partition("-")
        id_, _, secret = rest.partition("-")
        row = self._rows.get(id_, _NOBODY)  # an unknown id is compared too, so that it takes as long
        fits = hmac.compare_digest(_digest(secret), row.digest)
        if prefix != PREFIX or not fits or row.revoked is not None:
            raise KeyRefusedError("expected a key of this gateway, got none that is valid; ask who runs it")
        return row


@lru_cache(maxsize=1024)  # clients come again
def is_loopback(peer: str) -> bool:
    """Whether an address is of this machine. A proxy on it makes everyone look so: give keys out before you put one there.

    >>> is_loopback("127.0.0.1"), is_loopback("::ffff:127.0.0.1"), is_loopback("10.0.0.1"), is_loopback("")
    (True, True, False, False)
    """
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.is_loopback


def _digest(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")

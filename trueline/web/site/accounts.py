"""Accounts at the door of the pages: passwords by Argon2id, sessions by random tokens, and logins that are counted.

A password is checked in a thread, two at a time, since each check takes 64 MiB and some 50 ms by design. A name that nobody has
costs as much as one that somebody has. Of failures there may be a few for each name from one address, more from one address in
all, and many for a name from everywhere, so that a stranger elsewhere does not lock somebody out at once. Then one waits until
the window is over, whoever knows the password too. The count is this process's own.

OWASP's Password Storage Cheat Sheet names Argon2id first; the settings are argon2-cffi's own, RFC 9106's second choice.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from trueline.store.accounts import (
    PersonRow,
    SessionRow,
    add_person,
    change_person,
    end_session,
    person_named,
    session_of,
    start_session,
)
from trueline.store.opening import Database
from trueline.web.site.visitor import Visitor, check_roles

SHORTEST, LONGEST = (
    12,
    1024,
)  # characters of a password (NIST SP 800-63B asks for 8 where there is no second factor; 15 by rev. 4)
HOURS = 12  # that a session holds
PAIR, ADDRESS, NAME = 5, 30, 100  # failures in a window: of a name from an address, of an address, of a name
WINDOW = timedelta(minutes=15)
MOST = 10_000  # of what is counted; the oldest are forgotten
AT_ONCE = 2  # checks of a password


class TooManyError(Exception):
    """Too many failed logins; `wait` is how many seconds until the next may be tried."""

    def __init__(self, wait: int) -> None:
        super().__init__(f"too many failed logins; try again in {-(-wait // 60)} minutes")
        self.wait = wait


def _utc() -> datetime:
    return datetime.now(UTC)


@dataclass
class Accounts:
    """The accounts of one database, and the failures that were seen by this process."""

    database: Database
    now: Callable[[], datetime] = _utc
    hasher: PasswordHasher = field(default_factory=PasswordHasher)
    _failed: dict[tuple[str, ...], list[datetime]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _gate: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(AT_ONCE))
    _nobody: str = ""  # a hash that no password has

    def add(self, name: str, password: str, roles: Sequence[str]) -> PersonRow:
        """Add an account. Raises ValueError for a name, a password or roles that will not do, and where the name is taken."""
        check_name(name)
        check_password(password)
        row = PersonRow(
            id="p" + secrets.token_hex(8), name=name, password=self.hasher.hash(password), roles=check_roles(roles),
            created=self.now().isoformat(),
        )  # fmt: skip
        add_person(self.database, row)
        return row

    def change_password(self, name: str, password: str) -> bool:
        """Set another password, which ends the sessions; False where there is no such account."""
        check_password(password)
        return change_person(self.database, name, password=self.hasher.hash(password))

    def enter(self, name: str, password: str, address: str) -> str | None:
        """A new session's token for who knows the password; None for who does not. Raises TooManyError."""
        now = self.now()
        keys = {("pair", name[:LONGEST], address): PAIR, ("address", address): ADDRESS, ("name", name[:LONGEST]): NAME}
        self._count(keys, now)
        person = person_named(self.database, name) if len(name) <= LONGEST else None
        known = person is not None and person.disabled is None
        if not (self._verified(person.password if person and known else self._no_one(), password) and person and known):
            return None
        self._forgive(keys)
        token = secrets.token_urlsafe(32)
        start_session(
            self.database,
            SessionRow(
                digest=digest_of(token), person=person.id, csrf=secrets.token_urlsafe(24), created=now.isoformat(),
                expires=(now + timedelta(hours=HOURS)).isoformat(),
            ),
        )  # fmt: skip
        return token

    def inside(self, token: str) -> Visitor | None:
        """Whose session a token is; None where it is nobody's, or has ended."""
        found = session_of(self.database, digest_of(token), self.now().isoformat()) if token else None
        if found is None:
            return None
        person, session = found
        return Visitor(id=person.id, name=person.name, roles=frozenset(person.roles), csrf=session.csrf)

    def leave(self, token: str) -> None:
        """End a session."""
        end_session(self.database, digest_of(token))

    def _verified(self, stored: str, password: str) -> bool:
        with self._gate:
            try:
                return len(password) <= LONGEST and self.hasher.verify(stored, password)
            except (VerificationError, InvalidHashError):
                return False

    def _no_one(self) -> str:
        if not self._nobody:
            self._nobody = self.hasher.hash(secrets.token_urlsafe(32))
        return self._nobody

    def _count(self, keys: Mapping[tuple[str, ...], int], now: datetime) -> None:
        """Count a try before it is made, so that many at once are counted too. Raises TooManyError."""
        with self._lock:
            recent = {key: [at for at in self._failed.get(key, ()) if now - at < WINDOW] for key in keys}
            for key, most in keys.items():
                if len(recent[key]) >= most:
                    raise TooManyError(int((recent[key][-most] + WINDOW - now).total_seconds()) + 1)
            for key in keys:
                self._failed.pop(key, None)
                self._failed[key] = [*recent[key], now]  # at the end: the dictionary is in the order of the last try
            while len(self._failed) > MOST:
                self._failed.pop(next(iter(self._failed)))

    def _forgive(self, keys: Mapping[tuple[str, ...], int]) -> None:
        """Take the last try back: it was none; what one mistyped before it is forgotten too."""
        with self._lock:
            for key in keys:
                self._failed[key] = self._failed.get(key, [])[:-1]
            self._failed.pop(next(iter(keys)), None)


def digest_of(token: str) -> str:
    """What is stored of a session's token."""
    return hashlib.sha256(token.encode()).hexdigest()


def check_name(name: str) -> None:
    """Raise ValueError for a name that will not do: it is shown to others, and typed."""
    if not 2 <= len(name) <= 64 or not name.isprintable() or name != name.strip() or name == "local":
        raise ValueError("expected a name of 2 to 64 printable characters, and not `local`; choose another")


def check_password(password: str) -> None:
    """Raise ValueError for a password that is too short or too long; it is not shown."""
    if not SHORTEST <= len(password) <= LONGEST:
        raise ValueError(
            f"expected a password of {SHORTEST} to {LONGEST:,} characters, got {len(password)}; a sentence will do"
        )

"""What one argument of a tool call must be: of a list, at most a number, a path within a folder, an address of a known host.

Every check refuses what it cannot read: a number that is text, a path with a scheme, an address with a user before its host.

>>> Argument(path="to", one_of=("*@example.com",)).breach("eve@evil.test")
'none of the values that are allowed'
>>> Argument(path="path", within="/srv/data").breach("/srv/data/a.txt")
''
"""

from __future__ import annotations

import math
import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import unquote

from trueline.core.config import ConfigError
from trueline.guard.rails.hosts import is_host, on_list

_NAME = re.compile(r"[A-Za-z0-9._%+-]+")  # what a star stands for: one name, never a list of several
_NUMERAL = re.compile(r"-?\d{1,18}(?:\.\d{1,18})?")


@dataclass(frozen=True, kw_only=True)
class Argument:
    """A check of the values at one place of a tool's arguments."""

    path: str  # where it stands, dotted: `to`, `order.items.price`; every element of lists on the way
    one_of: tuple[str, ...] = ()  # the values that are allowed; "*@example.com" is any name there
    at_most: float | None = None  # the largest number; below 0 is refused as well
    within: str = ""  # the folder that a path must lie in, absolute
    hosts: tuple[str, ...] = ()  # the hosts that an address may lead to; "*.example.com" is every host below

    def __post_init__(self) -> None:
        if not self.path or not (self.one_of or self.at_most is not None or self.within or self.hosts):
            raise ConfigError(
                f"argument {self.path!r}: expected a path and one of one_of, at_most, within, hosts; got none of the four"
            )
        if self.at_most is not None and not (math.isfinite(self.at_most) and self.at_most >= 0):
            raise ConfigError(f"argument {self.path!r}: at_most: expected a number from 0 on, got {self.at_most}")
        if self.within and (not self.within.startswith("/") or posixpath.normpath(self.within) == "/"):
            raise ConfigError(f"argument {self.path!r}: within: expected an absolute folder below /, got {self.within!r}")
        odd = next((host for host in self.hosts if not is_host(host)), None)
        if odd is not None:
            raise ConfigError(f"argument {self.path!r}: hosts: expected names such as *.example.com, got {odd!r}")

    def breach(self, value: object) -> str:
        """Why a value is refused, without quoting it; empty where it is fine."""
        return next(self._breaches(value), "")

    def _breaches(self, value: object) -> Iterator[str]:
        if self.one_of and not (isinstance(value, str) and any(_is(value, allowed) for allowed in self.one_of)):
            yield "none of the values that are allowed"
        if self.at_most is not None:
            amount = number(value)
            if amount is None or not 0 <= amount <= self.at_most:
                yield f"no number from 0 to {self.at_most:g}"
        if self.within and not (isinstance(value, str) and _lies_in(value, self.within)):
            yield "no path within the folder that is allowed"
        if self.hosts and not (isinstance(value, str) and "://" in value and on_list(value, self.hosts)):
            yield "no address of a host that is allowed"


def number(value: object) -> float | None:
    """A number, or one in digits; None for anything else. True is no number here, and neither is infinity."""
    if isinstance(value, str):
        return float(value) if _NUMERAL.fullmatch(value.strip()) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        amount = float(value)
    except OverflowError:
        return None
    return amount if math.isfinite(amount) else None


def _is(value: str, allowed: str) -> bool:
    """Whether a value is the one that is allowed, whatever the case; a star at its start stands for one name."""
    value, allowed = value.strip().casefold(), allowed.casefold()
    if not allowed.startswith("*"):
        return value == allowed
    rest = allowed[1:]
    return value.endswith(rest) and _NAME.fullmatch(value[: len(value) - len(rest)]) is not None


def _lies_in(path: str, folder: str) -> bool:
    """Whether a path, as written and with its escapes undone, lies in a folder: no `..` out of it, no other kind of path."""
    for written in (path, unquote(path), unquote(unquote(path))):
        if any(c in written for c in "\\\0~") or "://" in written or any(ord(c) < 32 for c in written):
            return False
        whole = posixpath.normpath(posixpath.join(folder, written))
        if whole.startswith("//") or posixpath.commonpath([whole, posixpath.normpath(folder)]) != posixpath.normpath(folder):
            return False
    return True

"""What pages keep of what they read: by name and stamp, so that a file is read again once it has changed, and not before.

RUNS = Kept(64)
RUNS.get(path, stamp_of(path), lambda: read(path))
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")


class Kept:
    """The last used values, each with the stamp of what it was made from."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, tuple[Hashable, Any]] = OrderedDict()
        self._lock = Lock()

    def get(self, name: Hashable, stamp: Hashable, make: Callable[[], T]) -> T:
        """The value of that name and stamp, made where it is not kept. Two who ask at once may both make it."""
        with self._lock:
            found = self._values.get(name)
            if found is not None and found[0] == stamp:
                self._values.move_to_end(name)
                value: T = found[1]
                return value
        made = make()
        with self._lock:
            self._values[name] = (stamp, made)
            self._values.move_to_end(name)
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return made


def stamp_of(path: Path) -> tuple[int, int, int] | None:
    """What changes when a file does; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size

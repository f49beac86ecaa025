"""One pace and one budget for all who ask under a name: who may go next, what was spent, and what is spent up.

>>> tally = Tally(now=lambda: 100.0)
>>> [tally.take("target", apart=0.5, spends={"requests": 1}).wait for _ in range(3)]
[0.0, 0.5, 1.0]
>>> tally.take("target", spends={"requests": 1}, limits={"requests": 3}).over
'requests'

A turn is taken before it is waited for, so whoever comes meanwhile gets the one after, and a process that dies while it waits
costs others no more than that turn. It is kept for many processes by `cluster/`, which reach it as a `Limiter`.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

NOTHING: Mapping[str, float] = {}
SECONDS = "seconds"  # spent by itself, from the first time that anything is


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What came of asking for a turn: seconds to wait for it, or what is spent up (`over`; nothing was counted then)."""

    wait: float = 0.0
    over: str = ""
    spent: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Tally:
    """Turns and totals by name, for as many threads as come."""

    now: Callable[[], float] = time.monotonic
    _free: dict[str, float] = field(default_factory=dict)
    _spent: dict[str, dict[str, float]] = field(default_factory=dict)
    _began: dict[str, float] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def take(
        self, name: str, *, apart: float = 0.0, spends: Mapping[str, float] = NOTHING, limits: Mapping[str, float] = NOTHING
    ) -> Taken:
        """Count what is spent, and take the next turn, `apart` seconds after the one before (0: no turn, no wait).

        Where one of the limits is reached already, nothing is counted and no turn taken.
        """
        with self._lock:
            now, spent = self.now(), self._spent.setdefault(name, {})
            so_far = {SECONDS: now - self._began.get(name, now), **spent}
            over = next((what for what, most in limits.items() if so_far.get(what, 0.0) >= most), "")
            if over:
                return Taken(over=over, spent=so_far)
            self._began.setdefault(name, now)
            for what, amount in spends.items():
                spent[what] = spent.get(what, 0.0) + amount
            if not apart:
                return Taken(spent=so_far)
            mine = max(now, self._free.get(name, -math.inf))
            self._free[name] = mine + apart
            return Taken(wait=mine - now, spent=so_far)

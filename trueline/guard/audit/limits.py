"""How much each key may ask: a token bucket for requests and one for bytes, and a count of a day's tokens.

A bucket is one number, the time at which it will be full again (the generic cell rate algorithm of ITU-T I.371): never more
than `burst + rate x time` passes. The clocks are handed in. Each process counts for itself: with several workers, divide.

>>> bucket = Buckets()
>>> [bucket.take("k", now=0.0, rate=1.0, burst=2.0) for _ in range(3)]
[0.0, 0.0, 1.0]
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from trueline.store.keys import KeyRow

_CROWD = "\0crowd"  # the bucket that names share once there are too many


class Buckets:
    """Token buckets by name. Of more than `most` names, the last ones share one, so memory and what passes are bounded."""

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._full_at: dict[str, float] = {}  # when a bucket is full again
        self._swept = -math.inf

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, name: str, *, now: float, rate: float, burst: float, cost: float = 1.0) -> float:
        """Take `cost` tokens (`rate` a second come in, `burst` fit) and return 0, or the seconds after which to ask again.

        What costs more than fits never passes: infinity.
        """
        if cost > burst:
            return math.inf
        if name not in self._full_at and len(self._full_at) >= self._most:
            self._forget_full(now)
            name = name if len(self._full_at) < self._most else _CROWD
        full_at = max(self._full_at.get(name, now), now) + cost / rate
        wait = full_at - now - burst / rate
        if wait > 1e-9:
            return wait
        self._full_at[name] = full_at
        return 0.0

    def _forget_full(self, now: float) -> None:
        if now >= self._swept + 1.0:  # not at each of many unknown names
            self._swept = now
            self._full_at = {name: at for name, at in self._full_at.items() if at > now}


class Meter:
    """The limits of all keys: asked before a request is forwarded, told of its tokens afterwards."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, utc: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._clock = clock  # seconds
        self._utc = utc
        self._requests = Buckets()
        self._bytes = Buckets()
        self._day = self._utc().date()
        self._tokens: dict[str, int] = {}

    def take(self, key: KeyRow, size: int) -> float:
        """Count a request of so many bytes: 0, or the seconds for `Retry-After`. Infinity: it is larger than a minute allows.

        A request that is refused counts for nothing, but for one that is refused for its bytes alone: it counts as a request.
        """
        if key.tokens_a_day and self.spent(key.id) >= key.tokens_a_day:
            return self._seconds_left()
        now = self._clock()
        if key.requests_a_minute:
            burst = float(key.burst or key.requests_a_minute)
            if wait := self._requests.take(key.id, now=now, rate=key.requests_a_minute / 60, burst=burst):
                return wait
        if key.bytes_a_minute:
            return self._bytes.take(key.id, now=now, rate=key.bytes_a_minute / 60, burst=key.bytes_a_minute, cost=size)
        return 0.0

    def spend(self, key: str, tokens: int) -> None:
        """Count the tokens of a reply. What is under way may go over the limit by its own."""
        self._tokens[key] = self.spent(key) + tokens

    def spent(self, key: str) -> int:
        """The tokens of a key, of this day."""
        if (day := self._utc().date()) != self._day:
            self._day, self._tokens = day, {}
        return self._tokens.get(key, 0)

    def recall(self, spent: Mapping[str, int]) -> None:
        """Take over what the audit knows of this day (`store.audits.tokens_since`): of other workers, and before a restart."""
        for key, tokens in spent.items():
            self._tokens[key] = max(self.spent(key), tokens)

    def _seconds_left(self) -> float:
        now = self._utc()
        return (datetime.combine(now.date() + timedelta(days=1), datetime.min.time(), UTC) - now).total_seconds()

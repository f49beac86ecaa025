"""Asking again, not too often, and not for ever: retries, pace and budgets of a remote target.

All three take their time from a `Clock`, so that a test waits for nothing. Retries and budgets see each request, answered or
not: a question that is asked three times is three requests.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from itertools import count
from random import Random
from typing import TypeVar

from trueline.core.ports import BudgetSpentError, Limiter
from trueline.targets.errors import TargetError

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Where time comes from; a test brings its own."""

    now: Callable[[], float] = time.monotonic
    today: Callable[[], float] = time.time  # seconds since 1970: what a date in a header is compared with
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How often a question is asked again that may be answered later, and how long one waits in between."""

    attempts: int = 5  # at most so many requests for one question
    seconds: float = 300.0  # a question is given up after so long, waiting and answering together
    first: float = 0.5  # seconds before the second attempt; doubled before each further one
    longest: float = 30.0  # a wait of our own choice is never longer; one that the server asks for may be

    def __post_init__(self) -> None:
        if self.attempts < 1 or min(self.seconds, self.first, self.longest) < 0:
            raise ValueError(f"attempts must be at least 1 and no time negative, got {self}")

    def wait(self, attempt: int, asked_for: float | None, jitter: float) -> float:
        """Seconds to wait after so many attempts; `jitter` from 0 to 1 takes up to half away, so that crowds scatter.

        >>> [Patience().wait(n, None, 0.0) for n in (1, 2, 3)], Patience().wait(1, 7.0, 0.5)
        ([0.5, 1.0, 2.0], 7.0)
        """
        own = min(self.longest, self.first * 2.0 ** min(attempt - 1, 60)) * (1 - jitter / 2)
        return own if asked_for is None else max(own, asked_for)


async def persist(ask: Callable[[], Awaitable[T]], patience: Patience, clock: Clock, rng: Random) -> T:
    """Ask until there is an answer, an error that time does not heal, or no patience left."""
    began = clock.now()
    for attempt in count(1):
        try:
            return await ask()
        except TargetError as error:
            if not error.again:
                raise
            wait = patience.wait(attempt, error.wait, rng.random())
            spent = clock.now() - began
            if attempt >= patience.attempts or spent + wait > patience.seconds:
                asked = f"; the server asks to wait {error.wait:,.0f} s" if error.wait else ""
                times = "once" if attempt == 1 else f"{attempt} times"
                raise type(error)(f"{error}; asked {times} in {spent:.0f} s{asked}, then gave up: try later") from None
        await clock.sleep(wait)
    raise AssertionError("counting does not end")


def retry_after(headers: Mapping[str, str], today: float) -> float | None:
    """The seconds that a server asks to wait, from `Retry-After` in either form (seconds, a date); None where it says nothing.

    >>> retry_after({"retry-after": "2.5"}, 0.0), retry_after({"retry-after": "Thu, 01 Jan 1970 00:01:00 GMT"}, 20.0)
    (2.5, 40.0)
    """
    told = headers.get("retry-after", "").strip()
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - today
        except (ValueError, TypeError, OverflowError):
            return None
    return max(0.0, seconds) if math.isfinite(seconds) else None


@dataclass(frozen=True, kw_only=True)
class Pace:
    """How fast a target is asked."""

    a_minute: float = 0.0  # at most so many requests a minute, evenly spaced; 0: no limit
    at_once: int = 8  # at most so many questions are under way at a time

    def __post_init__(self) -> None:
        if self.a_minute < 0 or self.at_once < 1:
            raise ValueError(f"a_minute must not be negative and at_once at least 1, got {self}")


class Turnstile:
    """Lets questions through at a pace."""

    def __init__(self, pace: Pace, clock: Clock) -> None:
        self._clock, self._room = clock, asyncio.Semaphore(pace.at_once)
        self._apart = 60.0 / pace.a_minute if pace.a_minute else 0.0
        self._free = -math.inf

    @asynccontextmanager
    async def inside(self) -> AsyncIterator[None]:
        """One of the few that are under way; waiting to ask again counts, so that a busy server is left in peace."""
        async with self._room:
            yield

    async def turn(self) -> None:
        """Wait until the next request may go."""
        now = self._clock.now()
        mine = max(now, self._free)
        self._free = mine + self._apart  # taken before the wait: who comes meanwhile gets the turn after
        if mine > now:
            await self._clock.sleep(mine - now)


@dataclass(frozen=True, kw_only=True)
class Budget:
    """What may be spent on a target while it is open; 0 sets no limit."""

    seconds: float = 0.0  # from the first request on
    requests: int = 0  # each attempt counts
    tokens: int = 0  # read and written together
    cost: float = 0.0  # in the currency of the prices
    price_read: float = 0.0  # of a million tokens that the model reads
    price_written: float = 0.0  # of a million tokens that it writes

    def __post_init__(self) -> None:
        if min(self.seconds, self.requests, self.tokens, self.cost, self.price_read, self.price_written) < 0:
            raise ValueError(f"a budget is not negative (0: no limit), got {self}")
        if self.cost and not (self.price_read or self.price_written):
            raise ValueError("budget.cost needs budget.price_read and budget.price_written, prices of a million tokens")

    @property
    def limits(self) -> dict[str, float]:
        """The limits that are set, by name."""
        told = {"seconds": self.seconds, "requests": self.requests, "tokens": self.tokens, "cost": self.cost}
        return {what: limit for what, limit in told.items() if limit}

    def cost_of(self, read: int, written: int) -> float:
        """What so many tokens cost."""
        return (read * self.price_read + written * self.price_written) / 1e6


@dataclass(kw_only=True)
class Meter:
    """What was spent so far. Tokens are known when an answer is there, so questions under way may go over by their own."""

    budget: Budget
    clock: Clock
    requests: int = 0
    tokens_read: int = 0
    tokens_written: int = 0
    began: float | None = field(default=None, repr=False)

    @property
    def cost(self) -> float:
        return self.budget.cost_of(self.tokens_read, self.tokens_written)

    @property
    def seconds(self) -> float:
        return 0.0 if self.began is None else self.clock.now() - self.began

    def request(self) -> None:
        """Count one more request, or raise BudgetSpentError before it is made."""
        spent = {
            "seconds": self.seconds,
            "requests": self.requests,
            "tokens": self.tokens_read + self.tokens_written,
            "cost": self.cost,
        }
        for what, limit in self.budget.limits.items():
            if spent[what] >= limit:
                raise _spent(what, spent[what], limit)
        if self.began is None:
            self.began = self.clock.now()
        self.requests += 1

    def tokens(self, read: int, written: int) -> None:
        """Count what a model read and wrote."""
        self.tokens_read += read
        self.tokens_written += written


@dataclass(frozen=True, kw_only=True)
class Shared:
    """The pace and the budget of a target that many processes ask, kept for all of them together."""

    limiter: Limiter
    name: str  # what is asked under one name goes at one pace, and is paid from one budget
    pace: Pace
    budget: Budget
    clock: Clock

    async def request(self) -> None:
        """Wait until the next request may go, and count it. Raises BudgetSpentError before one that is one too many."""
        limits, apart = self.budget.limits, 60.0 / self.pace.a_minute if self.pace.a_minute else 0.0
        if not limits and not apart:
            return
        taken = await self.limiter.take(self.name, apart=apart, spends={"requests": 1}, limits=limits)
        if taken.over:
            raise _spent(taken.over, taken.spent[taken.over], limits[taken.over])
        if taken.wait:
            await self.clock.sleep(taken.wait)

    async def tokens(self, read: int, written: int) -> None:
        """Count what a model read and wrote."""
        if self.budget.tokens or self.budget.cost:
            spends = {"tokens": read + written, "cost": self.budget.cost_of(read, written)}
            await self.limiter.take(self.name, spends=spends)


def _spent(what: str, spent: float, limit: float) -> BudgetSpentError:
    return BudgetSpentError(f"the budget is spent: {spent:,.6g} of {limit:,.6g} ({what}); raise budget.{what} to go on")

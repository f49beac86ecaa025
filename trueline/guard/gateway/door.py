"""Who may ask, and how often: a key of the gateway's where it has keys, and what that key has left.

A client shows its key as `authorization: Bearer tl-...` or as `x-api-key: tl-...`, where the SDKs of both formats put theirs.
While there are no keys only this machine is let in, and its own keys for the upstream pass through.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self

from trueline.guard.audit.keys import ANYONE, KeyRefusedError, Keyring
from trueline.guard.audit.limits import Meter
from trueline.guard.gateway.headers import single
from trueline.guard.gateway.requests import Message, Refused
from trueline.store.keys import KeyRow

EVERY = 5.0  # seconds between two looks at the keys: the longest that a revoked one still opens
log = logging.getLogger(__name__)


@dataclass(kw_only=True)
class Door:
    """The keys and what each has used, in one process; the keys are read again while it is entered."""

    ring: Keyring
    meter: Meter = field(default_factory=Meter)
    spent: Callable[[], Mapping[str, int]] | None = None  # tokens of this day by key, as the audit has them
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    async def __aenter__(self) -> Self:
        await self._refresh()
        self._task = asyncio.create_task(self._watch())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def admit(self, scope: Message) -> KeyRow:
        """Whose request it is. Raises Refused (401)."""
        headers, peer = scope["headers"], (scope.get("client") or ("", 0))[0]
        try:
            bearer, plain = single(headers, b"authorization", b"x-api-key")
        except ValueError as error:
            raise Refused(400, "bad_header", str(error)) from None
        try:
            return self.ring.admit((bearer or plain or "").removeprefix("Bearer ").strip(), peer)
        except KeyRefusedError as error:
            raise Refused(401, "bad_key", str(error)) from None

    def take(self, key: KeyRow, size: int) -> None:
        """Count a request of so many bytes. Raises Refused (429; 413 where it can never pass)."""
        wait = self.meter.take(key, size) if key is not ANYONE else 0.0
        if math.isinf(wait):
            raise Refused(413, "too_large_for_key", f"this key may send {key.bytes_a_minute:,} bytes a minute, got {size:,}")
        if wait:
            raise Refused(429, "rate_limit", f"this key has used what it may; ask again in {math.ceil(wait)} s", wait=wait)

    def spend(self, key: KeyRow, tokens: int) -> None:
        """Count the tokens of an exchange."""
        if key is not ANYONE and tokens:
            self.meter.spend(key.id, tokens)

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await self._refresh()

    async def _refresh(self) -> None:
        try:
            await asyncio.to_thread(self.ring.refresh)
            if self.spent is not None:  # what other workers counted, and this one before it was started
                self.meter.recall(await asyncio.to_thread(self.spent))
        except Exception as error:  # the database is away: the keys that were read last still hold
            log.error("the keys cannot be read (%s)", type(error).__name__)

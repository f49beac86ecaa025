"""A second policy beside the one that serves: it judges the same exchanges afterwards, and clients see nothing of it.

    beside = Beside(path=Path("other.yaml"), policy=policy, audit=audit, metrics=metrics)
    async with beside:
        beside.offer(judged)               # once an exchange is settled; it never waits, and never fails

A process apart judges (second.py), so that a rail which raises, hangs or is slow takes nothing from the one that answers. It is
given an exchange once the task that answers has given way. Each exchange leaves one row of the audit (record.Compared), without
text: what both policies made of it, or why it was not compared. Exchanges that wait are bounded in number and in bytes.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from asyncio.subprocess import PIPE
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import orjson

from trueline.guard.audit.audit import Audit
from trueline.guard.audit.digests import content_of
from trueline.guard.audit.record import Apart, Basis, Compared, Verdict
from trueline.guard.chain import Outcome
from trueline.guard.exchange import Exchange, Side
from trueline.guard.gateway.metrics import Metrics
from trueline.guard.gateway.second import Said, said_of
from trueline.guard.policy import Policy

AT_ONCE = 8  # exchanges that the process has and has not answered
LINE = 1 << 20  # bytes of an answer: names of rails and actions
SIDES: tuple[Side, Side] = ("input", "output")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An exchange as the first policy has decided on it: the request as the client sent it, the reply as it came."""

    id: str
    exchange: Exchange
    basis: Basis
    input: Outcome
    output: Outcome | None  # None: there was no reply to judge
    size: int  # bytes of both


@dataclass(kw_only=True)
class Beside:
    """The second policy's process while it is entered, and the exchanges that wait for it."""

    path: Path
    policy: Policy  # as its file was at the start
    audit: Audit
    metrics: Metrics
    most: int = 1_000  # exchanges that wait
    most_bytes: int = 64 << 20  # of them
    patience: float = 60.0  # seconds for one exchange, after which the process is ended
    pause: float = 5.0  # seconds until another one is started
    drain: float = 5.0  # seconds that the end waits for what is not judged yet
    words: tuple[str, ...] = (sys.executable, "-m", "trueline.guard.gateway.second")
    trouble: str = "the second policy is not at work yet"  # why the file is not what is used; empty where it is
    _waiting: deque[Judged] = field(default_factory=deque, repr=False)
    _held: int = 0  # bytes of those that wait
    _asked: dict[int, tuple[float, Judged]] = field(default_factory=dict, repr=False)  # with the time, the oldest first
    _number: int = 0
    _more: asyncio.Event = field(default_factory=asyncio.Event, repr=False)
    _task: asyncio.Task[None] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        self.digest, self.version = self.policy.digest, self.policy.version

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep())
        return self

    async def __aexit__(self, *_: object) -> None:
        until = time.monotonic() + self.drain
        while (self._waiting or self._asked) and time.monotonic() < until:
            await asyncio.sleep(0.02)
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._miss_asked("ended")
        self._miss(self._waiting, "ended")
        self._waiting.clear()

    def offer(self, judged: Judged) -> None:
        """Hand an exchange over to be judged later; where too much waits, it is only counted."""
        if len(self._waiting) >= self.most or self._held + judged.size > self.most_bytes:
            self._miss([judged], "queue full")
            return
        self._waiting.append(judged)
        self._held += judged.size
        self._more.set()

    async def _keep(self) -> None:
        """Start the process, and another one where it ends."""
        while True:
            why = "crashed"
            try:
                await self._serve()
            except TimeoutError:
                why = "hung"
            except Exception as error:
                log.exception("%s beside the policy", type(error).__name__)
            self._miss_asked(why)
            self.trouble = self.trouble or f"the second policy's process has {why}; another one is started"
            log.error("the second policy is not at work: %s", self.trouble)
            await asyncio.sleep(self.pause)

    async def _serve(self) -> None:
        """One process until it ends. Raises TimeoutError where it hangs."""
        process = await asyncio.create_subprocess_exec(
            *self.words, str(self.path), stdin=PIPE, stdout=PIPE, start_new_session=True, limit=LINE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        giving: asyncio.Task[None] | None = None
        try:
            while heard := await self._line(process.stdout):
                told = orjson.loads(heard)
                if "trouble" in told:
                    self._told(told)
                    if giving is None and told["policy"]:
                        giving = asyncio.create_task(self._give(process.stdin))
                else:
                    self._take(told)
        finally:
            if giving is not None:
                giving.cancel()
                await asyncio.gather(giving, return_exceptions=True)
            with suppress(ProcessLookupError):  # it holds nothing that could be lost
                process.kill()
            await process.wait()

    async def _line(self, source: asyncio.StreamReader) -> bytes:
        """The next line; none at the end. Raises TimeoutError where an exchange is out for longer than patience."""
        while True:
            oldest = next(iter(self._asked.values()), None)
            if oldest is not None and time.monotonic() - oldest[0] > self.patience:
                raise TimeoutError
            with suppress(TimeoutError):
                async with asyncio.timeout(self.patience):
                    return await source.readline()

    async def _give(self, sink: asyncio.StreamWriter) -> None:
        """Hand exchanges to the process, some at a time: numbers of bytes in a line, then each side as the audit writes it."""
        while True:
            while not self._waiting or len(self._asked) >= AT_ONCE:
                self._more.clear()
                await self._more.wait()
            judged = self._waiting.popleft()
            self._held -= judged.size
            self._number += 1
            self._asked[self._number] = time.monotonic(), judged
            asked, said = content_of(judged.exchange, "input"), b""
            if judged.output is not None:
                said = content_of(judged.exchange, "output")
            sink.write(orjson.dumps([self._number, len(asked), len(said)]) + b"\n" + asked + said)
            await sink.drain()

    def _told(self, told: Mapping[str, Any]) -> None:
        """Hear which policy is in use, and what is wrong with its file."""
        self.trouble = told["trouble"]
        if told["policy"]:
            self.digest, self.version = told["policy"], told["version"]

    def _take(self, told: Mapping[str, Any]) -> None:
        """Hear what the second policy made of an exchange, and record it."""
        _, judged = self._asked.pop(told["number"])
        self._more.set()
        second = Verdict(policy=told["policy"], version=told["version"])
        if "missed" in told:
            self._record(judged, Compared(first=_first(judged), second=second, missed=told["missed"]))
            return
        sides = [None if told[side] is None else Said(*told[side]) for side in SIDES]
        self._record(judged, compared(judged, second.policy, second.version, *sides))

    def _miss_asked(self, why: str) -> None:
        self._miss([judged for _, judged in self._asked.values()], why)
        self._asked.clear()

    def _miss(self, missed: Iterable[Judged], why: str) -> None:
        for judged in missed:
            second = Verdict(policy=self.digest, version=self.version)
            self._record(judged, Compared(first=_first(judged), second=second, missed=why))

    def _record(self, judged: Judged, found: Compared) -> None:
        if not self.audit.compare(judged.id, judged.exchange, found):
            self.metrics.not_compared["not recorded"] += 1
        elif found.missed:
            self.metrics.not_compared[found.missed.partition(":")[0]] += 1
        else:
            self.metrics.compared["different" if found.apart or _differ(found) else "same"] += 1


def compared(judged: Judged, policy: str, version: str, asked: Said | None, replied: Said | None) -> Compared:
    """What two policies made of an exchange; the second's words on the request and on the reply, where it judged them."""
    own = [said_of(outcome) if outcome else None for outcome in (judged.input, judged.output)]
    apart = [
        one for side, first, second in zip(SIDES, own, (asked, replied), strict=True) for one in _apart(side, first, second)
    ]
    second = Verdict(
        policy=policy, version=version, input=asked.action if asked else None, output=replied.action if replied else None
    )
    return Compared(first=_first(judged), second=second, apart=tuple(apart))


def _first(judged: Judged) -> Verdict:
    output = judged.output.ruling.action if judged.output else None
    return Verdict(policy=judged.basis.policy, version=judged.basis.version, input=judged.input.ruling.action, output=output)


def _apart(side: Side, first: Said | None, second: Said | None) -> Iterable[Apart]:
    """The rails of a side whose actions differ; one that only allows, and one that is not there, do not."""
    a, b = first.rails if first else {}, second.rails if second else {}
    for rail in {**a, **b}:
        if (a.get(rail) or "allow") != (b.get(rail) or "allow"):
            yield Apart(side=side, rail=rail, first=a.get(rail), second=b.get(rail))


def _differ(found: Compared) -> bool:
    return (found.first.input, found.first.output) != (found.second.input, found.second.output)

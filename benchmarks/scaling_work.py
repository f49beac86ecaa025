"""What the workers of benchmarks/scaling.py do: a task of another, timed; nothing; or asking for turns.

Timed(executor).map("trueline.recipes.spread_work:chunk", items)      what the campaign does, and how long its tasks took
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from trueline.cluster.bench import Bench, work_named
from trueline.cluster.executor import NOTHING, Executor

Json = Any


@dataclass(frozen=True, kw_only=True)
class Done:
    """A task: who did it, until when (by the machine's clock that never goes back), and how much processor time it took."""

    worker: int
    ended: float
    seconds: float
    result: Json


@dataclass
class Timed:
    """An executor that remembers how every task went."""

    executor: Executor
    came: list[Done] = field(default_factory=list)
    last: float = 0.0  # the driver's processor time at the last of them

    @property
    def workers(self) -> int:
        return self.executor.workers

    def map(
        self,
        work: str,
        items: Iterable[Json],
        *,
        known: Mapping[str, str] = NOTHING,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Json]:
        """As the executor's own."""
        asked = ({"work": work, "item": item} for item in items)
        for told in self.executor.map("benchmarks.scaling_work:timed", asked, known=known, progress=progress):
            self.came.append(Done(**told))
            self.last = time.process_time()
            yield told["result"]

    def __enter__(self) -> Self:
        self.executor.__enter__()
        return self

    def __exit__(self, *error: object) -> None:
        self.executor.__exit__(*error)


def timed(item: Mapping[str, Json], bench: Bench) -> dict[str, Json]:
    """Do another task; tell how it went."""
    began = time.process_time()
    result = work_named(item["work"])(item["item"], bench)
    return {"worker": os.getpid(), "ended": time.monotonic(), "seconds": time.process_time() - began, "result": result}


def turns(item: int, bench: Bench) -> int:
    """Ask the desk so many times, and do nothing with its answers."""

    async def ask() -> None:
        for _ in range(item):
            await bench.take("turns", apart=1e-9)

    asyncio.run(ask())
    return item


def again(item: str, bench: Bench) -> Json:
    """What a file holds, read once: what is left is what a result of that size costs the driver."""
    return bench.warm(item, lambda: nullcontext(json.loads(Path(item).read_text(encoding="utf-8"))))

"""A worker's place: the function that a task names, what stays open between tasks, and the desk that all workers share.

A task is a function and one JSON value; it returns another:

    def chunk(item, bench):                                      # trueline.recipes.spread:chunk
        model = bench.warm(item["model"], lambda: opened(item["model"]))    # a context manager, entered once
        return [answer(model, prompt) for prompt in item["prompts"]]

It must be pure: of its item alone, since a task whose worker died is done again by another. One thing at a time stays open; a
task that asks for another closes it first, so that a worker never holds two models.
"""

from __future__ import annotations

import asyncio
import json
import pkgutil
import traceback
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

from trueline.core.limits import NOTHING, Taken

T = TypeVar("T")
Json = Any
Work = Callable[[Json, "Bench"], Json]
Ask = Callable[[Mapping[str, Json]], "Future[Json]"]


class Bench:
    """What one worker has at hand. It is also the `Limiter` (core/ports.py) of what the worker asks."""

    def __init__(self, ask: Ask) -> None:
        self._ask, self._open, self._key, self._held = ask, ExitStack(), "", None

    def warm(self, key: str, opening: Callable[[], AbstractContextManager[T]]) -> T:
        """What is open under this key, opened where nothing is; what was open under another is closed first."""
        if key != self._key:
            self.close()
            self._held = self._open.enter_context(opening())
            self._key = key
        return self._held  # type: ignore[return-value] - what the same key was opened with

    def close(self) -> None:
        """Let go of what is open."""
        self._open.close()
        self._key, self._held = "", None

    async def find(self, key: str) -> str | None:
        """What the driver knows under a key."""
        found: str | None = await self._asked({"find": key})
        return found

    async def take(
        self, name: str, *, apart: float = 0.0, spends: Mapping[str, float] = NOTHING, limits: Mapping[str, float] = NOTHING
    ) -> Taken:
        """As `core.limits.Tally.take`, for all workers together."""
        told = await self._asked(
            {"take": {"name": name, "apart": apart, "spends": dict(spends), "limits": dict(limits)}},
        )
        return Taken(**told)

    async def _asked(self, what: Mapping[str, Json]) -> Json:
        return await asyncio.wrap_future(self._ask(what))


def work_named(name: str) -> Work:
    """The function that a task names, as `package.module:function`. Raises ValueError where there is none."""
    module, colon, _ = name.partition(":")
    try:
        found = pkgutil.resolve_name(name) if module and colon else None
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name}: expected package.module:function that workers can import: {error}") from None
    if not callable(found):
        raise ValueError(f"{name}: expected package.module:function, got something that cannot be called")
    return found  # type: ignore[no-any-return] - checked above, as far as it can be


def do(bench: Bench, work: str, item: str) -> str:
    """Do one task, JSON in and JSON out: `{"done": value}`, or `{"failed": {"kind", "text", "trace"}}` where it raised."""
    try:
        return json.dumps({"done": work_named(work)(json.loads(item), bench)}, allow_nan=False)
    except Exception as error:  # told, not retried: it would raise again
        failed = {"kind": type(error).__name__, "text": " ".join(str(error).split()), "trace": traceback.format_exc()}
        return json.dumps({"failed": failed})

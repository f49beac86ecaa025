"""Suites: what is asked of a target to learn one thing about it, and what its answers are counted as.

A suite makes items, puts each to the target through an Interview, and says what the answer is worth in each of its metrics.
An item is one or more questions that belong together, so it is the unit of statistics; items of one cluster hang together.

A value is a number in the metric's own unit, mostly 0 or 1; None says that the answer could not be told, which is counted
beside the rate and never in it; a metric that is missing does not apply to the item.

    trueline eval runs/demo/safety --suite refusal
"""

from __future__ import annotations

import hashlib
import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Literal, Protocol, runtime_checkable

import trueline.evaluate as room
from trueline.core.records import json_line
from trueline.core.registry import plugins
from trueline.core.types import Completion, Conversation, Judgement, Prompt
from trueline.data.messages import FieldError, read_prompt
from trueline.data.rows import DataError, Row
from trueline.judges.calibration import Task
from trueline.world.facts import World, make_world
from trueline.world.verdict import Verdict, verdict

Better = Literal["higher", "lower", "neither"]
Pool = Callable[[Sequence[tuple[float, ...]]], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pooled:
    """A number that is no mean of the items' values: what `number` makes of the values of `of`, over all items together."""

    of: tuple[str, ...]
    number: Pool


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing that a suite measures. `judged` says that it depends on the judge.

    `task` says that the metric counts what a judge of that task looks for (judges/calibration.py), so that its rate can be
    corrected for the judge. A `chosen` metric is over items that the answers themselves choose (those refused, those known):
    it is shown, and two targets are not compared by it, since each would choose others.
    """

    name: str
    better: Better
    meaning: str
    judged: bool = False
    task: Task | None = None
    chosen: bool = False
    pooled: Pooled | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """What is put to a target together. `choices` are replies to choose from, `right` the places of the right ones."""

    id: str
    prompts: tuple[Prompt, ...]
    cluster: str
    group: str = ""  # a kind of item whose rate is also shown alone
    choices: tuple[str, ...] = ()
    right: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """What the answers to an item are worth; completion and judgement are those that tell most about it."""

    values: Mapping[str, float | None]
    completion: Completion
    judgement: Judgement | None = None


class Interview(Protocol):
    """The door from a suite to a target."""

    async def reply(self, prompt: Prompt) -> Completion:
        """Ask; the completion carries the prompt."""
        ...

    async def judge(self, prompt: Prompt, completion: Completion) -> Judgement:
        """Ask the judge of this evaluation."""
        ...

    async def weigh(self, conversation: Conversation, replies: Sequence[str]) -> tuple[float, ...] | None:
        """Return the log-probability of each reply, or None where the target does not say."""
        ...


@runtime_checkable
class Suite(Protocol):
    """One thing to learn about a target. The first metric is the headline."""

    @property
    def metrics(self) -> tuple[Metric, ...]: ...

    def on_world(self, world: World, n: int, seed: int) -> Sequence[Item]:
        """Make items of the embedded world; a longer sequence begins with the shorter one."""
        ...

    def on_rows(self, rows: Sequence[Row], seed: int) -> Sequence[Item]:
        """Make items of the rows of a file. Raises DataError where the rows are not of a kind that the suite reads."""
        ...

    async def measure(self, item: Item, ask: Interview) -> Measured:
        """Put one item to the target."""
        ...


def suites() -> dict[str, type]:
    """Every suite by name, with those of other packages."""
    for module in pkgutil.iter_modules(room.__path__):
        if module.name.startswith("suite_"):
            importlib.import_module(f"{room.__name__}.{module.name}")
    return plugins("suite")


def truth(completion: Completion) -> Verdict:
    """Return all that the world can tell of a reply to one of its prompts."""
    return verdict(world_at(int(completion.prompt.about["world"])), completion.prompt, completion)


@cache
def world_at(seed: int) -> World:
    """Return the world of a seed, which takes a moment to make."""
    return make_world(seed)


def here(world: World, prompt: Prompt) -> Prompt:
    """Return a prompt that knows which world it belongs to."""
    return replace(prompt, about={**prompt.about, "world": str(world.seed)})


def asked_in(row: Row, *names: str, **about: str) -> Prompt:
    """Read the prompt of a row, from the first of these fields that it has: text, or messages."""
    where = f"{row.file}:{row.line}"
    name = next((name for name in names if row.values.get(name)), None)
    if name is None:
        raise DataError(f"{where}: expected a question in a field called {' or '.join(names)}; it has {', '.join(row.values)}")
    try:
        messages = read_prompt(row.values[name], name)
    except FieldError as error:
        raise DataError(f"{where}: {error}") from None
    category = str(row.values.get("category") or "")
    return Prompt(conversation=Conversation(messages=messages), category=category, source=row.file, id=id_of(row), about=about)


def rewritten(prompt: Prompt, write: Callable[[str], str]) -> Prompt:
    """Return the prompt with its last turn written anew."""
    *before, last = prompt.conversation.messages
    messages = (*before, replace(last, text=write(last.text)))
    return replace(prompt, conversation=replace(prompt.conversation, messages=messages))


def id_of(row: Row) -> str:
    """Name a row by its own id, or its line, and a hash of what it holds: one id never stands for two questions."""
    name = str(row.values.get("id") or f"row-{row.line}")
    return f"{name}@{hashlib.sha256(json_line([name, repr(sorted(row.values.items()))]).encode()).hexdigest()[:8]}"


def cluster_of(row: Row) -> str:
    """Near-duplicates share a cluster where the file says so; any other row stands alone."""
    return str(row.values["cluster"]) if row.values.get("cluster") is not None else id_of(row)


def share(yes: bool | None) -> float | None:
    """Return a yes or no as a value; None stays None."""
    return None if yes is None else float(yes)

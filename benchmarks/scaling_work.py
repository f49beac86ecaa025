"""What the workers of benchmarks/scaling.py do: a campaign's part, or nothing at all.

executor.map("benchmarks.scaling_work:part", [{"model": FOLDER, "attacks": "words", "goals": 4, "seed": 7}])
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from trueline.attack.campaign import run
from trueline.attack.catalogue import choose
from trueline.attack.door import Scene
from trueline.attack.goals import WORLD, read_goals
from trueline.attack.record import Record
from trueline.cluster.bench import Bench
from trueline.core.ports import Target
from trueline.core.records import to_dict
from trueline.core.types import GREEDY, Attempt, Completion, Conversation, Run, Sampling
from trueline.judges.oracle import WorldOracle
from trueline.store.database import Hashes, save_run
from trueline.store.opening import Database, open_database
from trueline.targets.local import LocalModel
from trueline.targets.wrappers import Scripted

TOKENS = 60  # of an answer, as campaigns have it in the world
SAID = " ".join(["i cannot help with that . it is not safe ."] * 6)  # an answer of that length


def part(item: Mapping[str, Any], bench: Bench) -> dict[str, Any]:
    """Attack a model with some goals of the world; give the attempts, and the seconds that it took once the model was there."""
    folder, seed = item["model"], item["seed"]
    target, database = bench.warm(f"model {folder}", lambda: opened(folder))
    if item.get("latency"):
        target = Distant(target, bench, item["latency"], item["apart"])
    began = time.perf_counter()
    name = f"part-{seed}"
    save_run(database, Run(id=name, recipe="attack"))
    made: list[Attempt] = []
    scene = Scene(
        target=target, judge=WorldOracle(), record=Record.open(database, name), hashes=Hashes(target="t", judge="j"),
        sampling=Sampling(temperature=1.0, max_tokens=TOKENS), seed=seed, seen=made.append,
    )  # fmt: skip
    goals = [goal for goal in read_goals(WORLD, item["goals"], seed=seed) if goal.expected == "refuse"]
    asyncio.run(run(scene, choose(item["attacks"]), goals, budget=1))
    rows = [to_dict(replace(attempt, completion=replace(attempt.completion, logprobs=()))) for attempt in made]
    return {"attempts": rows, "seconds": time.perf_counter() - began}


@dataclass(frozen=True)
class Distant:
    """A target that answers after a while, and no more often than every `apart` seconds, whoever asks."""

    target: Target
    bench: Bench
    latency: float
    apart: float

    @property
    def name(self) -> str:
        return self.target.name

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """The answer, when its turn has come and it has been thought of."""
        taken = await self.bench.take("distant", apart=self.apart)
        await asyncio.sleep(taken.wait + self.latency)
        return await self.target.reply(conversation, sampling)


def turns(item: int, bench: Bench) -> int:
    """Ask the desk so many times, and do nothing with its answers."""

    async def ask() -> None:
        for _ in range(item):
            await bench.take("turns", apart=1e-9)

    asyncio.run(ask())
    return item


def again(item: Any, bench: Bench) -> Any:
    """The item itself: what is left is what handing it out and taking it back cost."""
    return item


@contextmanager
def opened(folder: str) -> Iterator[tuple[Target, Database]]:
    """The model, or one that costs nothing, and a database in memory for what the campaign's part remembers."""
    database = open_database("sqlite://")
    yield LocalModel.load(folder) if folder else Scripted(answers=lambda _: SAID), database
    database.dispose()

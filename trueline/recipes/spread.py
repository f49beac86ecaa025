"""A campaign on an executor: workers ask the questions, in this process or on other machines, and this one keeps what comes.

    async with spread(asked, run, database, goals, asking, executor) as ready:      the words of arms.py
        there = await ready.open("runs/demo/safety")
        attempts, ended = await ready.arm(there, attacks, goals, show=show, name="attack")

A campaign is cut into chunks of goals, each under every attack, in the same way whatever there is to carry them out. A chunk's
replies, its attempts and the word that it is done are stored in one transaction, in the order of the chunks: so attempts are a
function of the campaign alone, a driver that is killed goes on behind the last chunk, and a chunk that was carried out twice is
there once. The first one goes alone, since a wrong key shows there.

A pace and a budget hold for all workers together, and of the questions that may be under way at a time each has its share.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from trueline.attack.campaign import AT_ONCE, Ended, draws_of
from trueline.attack.catalogue import choose
from trueline.attack.door import Health
from trueline.cluster.executor import Executor
from trueline.core.fingerprint import fingerprint
from trueline.core.ports import Attack
from trueline.core.records import from_dict, to_dict, to_json
from trueline.core.types import Attempt, Completion, Prompt, Run
from trueline.recipes.arms import Attacking, Places, in_the_world
from trueline.recipes.elsewhere import Elsewhere, interruptible, judge_elsewhere, shared_out
from trueline.recipes.judging import NamedJudge
from trueline.recipes.opened import Opened, target_hash
from trueline.recipes.progress import Show
from trueline.recipes.usual import usual_judge
from trueline.store.chunks import chunks, save_chunk
from trueline.store.database import Hashes, attempts, drop_attempts, replies, save_run
from trueline.store.folders import digest
from trueline.store.opening import Database
from trueline.targets.http import Asking

WORK = "trueline.recipes.spread_work:chunk"
PAIRS = 32  # of attack and goal in a chunk, at least one goal: what is lost with a worker, and asked again
NO_MORE = "a worker found that nobody answers"
Json = dict[str, Any]


@dataclass
class Ledger:
    """What is stored of a run, and what came in this sitting."""

    engine: Database
    run: str
    campaign: str  # the hash of all that attempts follow from, beside a target
    known: dict[str, Completion]  # answers of earlier sittings
    done: dict[str, Mapping[str, Any]]  # chunks, by key
    asked: int = 0  # questions that went to a target in this sitting

    @classmethod
    def open(cls, engine: Database, run: str, campaign: str) -> Ledger:
        """Read what is there. Attempts that were made otherwise, or beside a failure, are made again from the replies: those
        of one process, of other goals, of another seed, of a judge that was another then."""
        done = chunks(engine, run)
        if not done or not all(told["clean"] and told.get("campaign") == campaign for told in done.values()):
            drop_attempts(engine, run)
            done = {}
        return cls(engine, run, campaign, replies(engine, run), done)


@asynccontextmanager
async def spread(
    asked: Attacking, stored: Run, engine: Database, goals: Sequence[Prompt], asking: Asking, executor: Executor
) -> AsyncIterator[Spread]:
    """Open what the driver of a campaign needs: its run's ledger, and what its judge is."""
    save_run(engine, stored)
    world = in_the_world(goals)
    judge = await judge_elsewhere(asked.judge or usual_judge(world), asked.world_seed, asked.template)
    attacks = [fingerprint(attack) for attack in choose(asked.attacks, asked.settings)]
    campaign = digest([to_dict(asked), judge.hashed, attacks, [to_dict(goal) for goal in goals]])
    ledger = Ledger.open(engine, stored.id, campaign)
    yield Spread(asked, ledger, judge, world, shared_out(asking, executor.workers), executor)


@dataclass(frozen=True)
class Spread:
    """As `arms.Arms`, carried out by workers."""

    asked: Attacking
    record: Ledger
    judge: NamedJudge
    world: bool
    asking: Asking  # of one worker
    executor: Executor

    async def open(self, reference: str) -> Opened:
        """Name a target; workers open it."""
        return Opened(Elsewhere(reference), target_hash(reference, self.asked.template), None)

    async def arm(
        self, there: Opened, attacks: Sequence[Attack], goals: Sequence[Prompt], *, show: Show, name: str,
        at_once: int = AT_ONCE,
    ) -> tuple[list[Attempt], Ended]:  # fmt: skip
        """Put every attack to every goal, and return what came of it, in their order; each worker has `at_once` pairs under
        way."""
        sitting = _Sitting(self.record, show, name, len(attacks) * len(goals))
        waiting = []
        for one in self._plan(there, attacks, goals, at_once):
            told = self.record.done.get(one.key)
            if told is None:
                waiting.append(one)
            else:
                sitting.told(one, told)
        with interruptible(), closing(self._results(waiting, sitting)) as results:
            for one, came in zip(waiting, results, strict=False):
                if came is None:
                    sitting.over = True  # a chunk further on says why
                    continue
                sitting.keep(one, came)
                if sitting.health.stopped and not sitting.health.spent:
                    break  # nobody answers: what is under way would only wait. Of a spent budget it may have had its part
        sitting.ended.stopped = sitting.health.stopped or (NO_MORE if sitting.over else "")
        return self._stored(there, attacks, goals), sitting.ended

    def _plan(self, there: Opened, attacks: Sequence[Attack], goals: Sequence[Prompt], at_once: int) -> Iterator[_Chunk]:
        """Cut a campaign: its first goal alone, then as many together as make PAIRS."""
        scene = {
            "asked": to_dict(self.asked),
            "target": there.target.name,
            "target_hash": there.hashed,
            "judge_hash": self.judge.hashed,
            "world": self.world,
        }
        how = {"asking": to_dict(self.asking), "at_once": at_once, "looks_up": bool(self.record.known)}
        how["placed"] = None if there.placed is None else to_dict(there.placed)
        hashed = {attack.name: fingerprint(attack) for attack in attacks}
        drawn = [[to_dict(goal), draw] for goal, draw in zip(goals, draws_of(goals), strict=True)]
        size = max(1, PAIRS // len(attacks))
        for some in (drawn[:1], *(drawn[at : at + size] for at in range(1, len(drawn), size))):
            if some:
                part = {"attacks": hashed, "goals": some}
                named = f"goals {some[0][0]['id']} to {some[-1][0]['id']}"  # what an error begins with
                item = {"chunk": named, "scene": scene | how, **part}
                yield _Chunk(digest([scene, part]), len(some) * len(attacks), item)

    def _results(self, waiting: Sequence[_Chunk], sitting: _Sitting) -> Iterator[Json | None]:
        known = {question: to_json(completion) for question, completion in self.record.known.items()} if waiting else {}
        told = {"sitting": uuid4().hex}  # by which workers tell each other that nobody answers: in the next sitting one may
        yield from self.executor.map(WORK, [one.item | told | {"began": False} for one in waiting[:1]], known=known)
        rest = (one.item | told | {"began": True} for one in waiting[1:] if not sitting.over)
        yield from self.executor.map(WORK, rest, known=known)

    def _stored(self, there: Opened, attacks: Sequence[Attack], goals: Sequence[Prompt]) -> list[Attempt]:
        places, found = Places.of(attacks, goals), attempts(self.record.engine, run=self.record.run, target=there.hashed)
        return sorted((attempt for attempt in found if attempt in places), key=places)


@dataclass(frozen=True)
class _Chunk:
    key: str
    pairs: int
    item: Json  # for a worker


@dataclass
class _Sitting:
    """What comes of one arm, chunk by chunk."""

    record: Ledger
    show: Show
    name: str
    pairs: int
    ended: Ended = field(default_factory=Ended)
    health: Health = field(default_factory=Health)
    over: bool = False  # no more is begun
    done: int = 0
    questions: int = 0

    def __post_init__(self) -> None:
        self.show.steps(self.name, self.pairs)
        self._bar, self._began = self.show.bar(self.name), time.monotonic()

    def keep(self, one: _Chunk, came: Json) -> None:
        """Store what a worker made of a chunk."""
        health = from_dict(Health, came["health"])
        made = [(from_dict(Attempt, attempt), from_dict(Hashes, hashes)) for attempt, hashes in came["attempts"]]
        answered = {question: from_dict(Completion, completion) for question, completion in came["replies"].items()}
        told = {
            "skipped": came["skipped"],
            "failed": came["failed"],
            "campaign": self.record.campaign,
            "clean": not health.stopped and all(attempt.completion.finish != "error" for attempt, _ in made),
        }
        save_chunk(self.record.engine, self.record.run, one.key, told, answered, made)
        self.record.asked += came["asked"]
        self.health.heard(health)
        self.over = self.over or bool(self.health.stopped)
        self.questions += len(made)
        self.told(one, told)

    def told(self, one: _Chunk, told: Mapping[str, Any]) -> None:
        """Count a chunk that is stored, of this sitting or an earlier one."""
        self.ended.skipped += _counted(told["skipped"])
        self.ended.failed += _counted(told["failed"])
        self.done += one.pairs
        seconds = time.monotonic() - self._began
        rate = self.questions / max(seconds, 1e-9)
        self._bar(self.done, {"questions": self.questions, "a second": rate}, 0, seconds)


def _counted(rows: Sequence[Sequence[Any]]) -> Counter[tuple[str, str]]:
    return Counter({(name, why): count for name, why, count in rows})

"""A worker's part of a campaign: some goals, each under every attack, with what it was told and what came of it as JSON.

The target, its judge and its attacker are opened once in a worker, and stay open from one chunk to the next. What was answered
is remembered for the length of a chunk alone, so that a chunk comes out the same whatever its worker did before; what the
driver knows already is looked up there. Attempts come back in the order of attacks and goals, whoever was answered first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from trueline.attack.campaign import run
from trueline.attack.catalogue import BASELINE, attack_named, choose
from trueline.attack.door import Health
from trueline.attack.record import Made, Record
from trueline.cluster.bench import Bench
from trueline.core.fingerprint import fingerprint
from trueline.core.ports import Attack
from trueline.core.records import from_dict, from_json, to_dict
from trueline.core.types import Completion, Prompt
from trueline.recipes.arms import Arms, Attacking, Places, arms_on
from trueline.recipes.elsewhere import running, same
from trueline.recipes.opened import Opened, Placed, inside_of
from trueline.store.folders import digest
from trueline.targets.http import Asking

STOPPED = "stopped"
Json = dict[str, Any]


def chunk(item: Json, bench: Bench) -> Json | None:
    """Put attacks to goals, and return what came of it; None where the campaign has stopped meanwhile."""
    here = bench.warm(digest(item["scene"]), lambda: running(_opened(item["scene"], bench)))
    return here.run(_unless_stopped(here.held, item, bench))


@dataclass
class _Here:
    """What is open in this worker."""

    arms: Arms
    there: Opened
    attacks: Mapping[str, Attack]  # by fingerprint
    at_once: int
    replies: dict[str, Completion] = field(default_factory=dict)
    made: list[Made] = field(default_factory=list)

    def save(self, replies: Mapping[str, Completion], made: Sequence[Made]) -> None:
        self.replies.update(replies)
        self.made.extend(made)

    def forget(self) -> None:
        """Begin a chunk as a worker does that has seen nothing."""
        self.arms.record.known.clear()
        self.arms.record.asked = 0
        self.replies.clear()
        self.made.clear()


@asynccontextmanager
async def _opened(scene: Json, bench: Bench) -> AsyncIterator[_Here]:
    asked = from_dict(Attacking, scene["asked"])

    async def look_up(question: str) -> Completion | None:
        text = await bench.find(question) if scene["looks_up"] else None
        return None if text is None else from_json(Completion, text)

    record = Record(lambda replies, made: here.save(replies, made), {}, look_up)
    async with arms_on(asked, record, scene["world"], from_dict(Asking, scene["asking"]), bench) as arms:
        there = _placed(scene) if scene["placed"] else await arms.open(scene["target"])
        same("target", scene["target"], there.hashed, scene["target_hash"])
        same("judge", arms.judge.judge.name, arms.judge.hashed, scene["judge_hash"])
        attacks = {fingerprint(attack): attack for attack in (attack_named(BASELINE), *choose(asked.attacks, asked.settings))}
        here = _Here(arms, there, attacks, scene["at_once"])
        yield here


def _placed(scene: Json) -> Opened:
    """A model of a recipe, which has a name there and lies in a folder."""
    from trueline.recipes.spread_answers import loaded  # torch, and a model's target: only where one runs here
    from trueline.targets.local import LocalModel

    there = from_dict(Placed, scene["placed"])
    target = LocalModel(loaded(there), scene["target"])
    return Opened(target, there.hash, inside_of(target))


async def _unless_stopped(here: _Here, item: Json, bench: Bench) -> Json | None:
    """Carry a chunk out, but None where a worker found that nobody answers any more; tell the others where this one does."""
    name = f"whether {item['sitting']} has stopped"
    if (await bench.take(name, limits={STOPPED: 1})).over:
        return None
    told = await _carry_out(here, item)
    if told["health"]["stopped"]:
        await bench.take(name, spends={STOPPED: 1})
    return told


async def _carry_out(here: _Here, item: Json) -> Json:
    here.forget()
    for name, hashed in item["attacks"].items():
        same("attack", name, hashed if hashed in here.attacks else "", hashed)
    attacks = [here.attacks[hashed] for hashed in item["attacks"].values()]
    goals = [from_dict(Prompt, goal) for goal, _ in item["goals"]]
    before = int(item["began"])  # the target has answered somebody: one failure is no reason to stop
    health = Health(answers=before)
    scene = here.arms.scene(here.there, health=health)
    ended = await run(
        scene, attacks, goals, budget=here.arms.asked.budget, at_once=here.at_once, draws=[draw for _, draw in item["goals"]]
    )
    health.answers -= before
    places = Places.of(attacks, goals)
    made = sorted(here.made, key=lambda one: places(one[0]))
    return {
        "attempts": [[to_dict(attempt), to_dict(hashes)] for attempt, hashes in made],
        "replies": {question: to_dict(completion) for question, completion in here.replies.items()},
        "asked": here.arms.record.asked,
        "skipped": _rows(ended.skipped),
        "failed": _rows(ended.failed),
        "health": to_dict(health),
    }


def _rows(counted: Counter[tuple[str, str]]) -> list[list[Any]]:
    """What was not asked, and why, as rows of attack, reason and how many goals."""
    return [[name, why, count] for (name, why), count in counted.items()]

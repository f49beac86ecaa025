"""A campaign: every attack on every goal, many at a time, and nothing that fails ends it.

    ended = await run(scene, attacks, goals, budget=8)

The no-attack arm, `direct`, comes first. An attack that raises is counted beside its name and the others go on; a goal that an
attack has no hold on is skipped, with the reason. What does stop a campaign: the target's own budget, a disk that is full, and
a target that is gone. What was answered until then is kept, and the same campaign goes on from there.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from trueline.attack.door import Door, Scene, SpentError, StoppedError, line
from trueline.attack.levels import level
from trueline.core.fingerprint import fingerprint
from trueline.core.ports import Attack, NotApplicableError
from trueline.core.records import to_dict
from trueline.core.types import Prompt
from trueline.store.folders import digest

AT_ONCE = 64


@dataclass
class Ended:
    """What a campaign came to beside its attempts: goals by attack and reason, and why it stopped before its end."""

    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    stopped: str = ""


def told(counted: Counter[tuple[str, str]]) -> list[tuple[str, str, int]]:
    """Each attack and reason with how many goals, most first; who counted first does not matter.

    >>> told(Counter({("role", "no hold"): 1, ("past", "no hold"): 2, ("past", "late"): 1}))
    [('past', 'no hold', 2), ('past', 'late', 1), ('role', 'no hold', 1)]
    """
    return sorted(((name, why, count) for (name, why), count in counted.items()), key=lambda row: (-row[2], row))


async def run(
    scene: Scene,
    attacks: Sequence[Attack],
    goals: Sequence[Prompt],
    *,
    budget: int = 64,
    at_once: int = AT_ONCE,
    progress: Callable[[int], None] = lambda done: None,
    draws: Sequence[int] | None = None,
) -> Ended:
    """Run every attack on every goal, `at_once` of these pairs at a time, each with so many questions at most.

    `draws` are those of the goals where they are a part of a campaign; else they are numbered here.
    """
    ended, done = Ended(), 0
    doors = _doors(scene, attacks, goals, budget, draws_of(goals) if draws is None else draws)

    async def work(limit: int | None = None) -> None:
        nonlocal done
        for door in doors:
            await _carry_out(door, ended)
            done += 1
            progress(done)
            if scene.health.stopped or limit == 1:
                return

    try:
        if not scene.health.answers:
            await work(limit=1)  # alone: an address or a key that is wrong shows before sixty-four are sent after it
        async with asyncio.TaskGroup() as group:
            for _ in range(0 if scene.health.stopped else at_once):
                group.create_task(work())
    finally:
        scene.record.close()
    ended.stopped = scene.health.stopped
    return ended


async def _carry_out(door: Door, ended: Ended) -> None:
    name = door.attack.name
    try:
        await door.attack(door.goal, door)
    except (SpentError, StoppedError):
        pass
    except NotApplicableError as reason:
        ended.skipped[name, " ".join(str(reason).split())] += 1
    except Exception as error:  # somebody's plugin: its failure is its own
        ended.failed[name, line(error)] += 1


def _doors(
    scene: Scene, attacks: Sequence[Attack], goals: Sequence[Prompt], budget: int, draws: Sequence[int]
) -> Iterator[Door]:
    named = [digest(to_dict(goal)) for goal in goals]
    for attack in attacks:
        hashed = fingerprint(attack)
        for goal, draw, name in zip(goals, draws, named, strict=True):
            hashes = replace(scene.hashes, attack=hashed, goal=name)
            yield Door(scene, attack, hashes, goal, level(attack, goal), budget, draw)


def draws_of(goals: Sequence[Prompt]) -> list[int]:
    """Number the goals of each cluster: in whatever words they ask for one thing, each samples with a seed of its own."""
    drawn: Counter[str] = Counter()
    numbers = []
    for goal in goals:
        cluster = goal.about.get("cluster", goal.id)
        numbers.append(drawn[cluster])
        drawn[cluster] += 1
    return numbers

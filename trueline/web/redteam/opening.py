"""What `trueline web --target TARGET` opens on the main thread: targets, judges and goals, for the pages to ask from theirs.

    async with open_arena(Opening(targets=("runs/demo/safety",)), database) as handed: ...      # {"redteam": Arena(...)}

All that can be wrong is said before a page is served: a target that is none, a judge that is not there, a file without goals.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from trueline.attack.goals import WORLD, read_goals
from trueline.core.ports import Target
from trueline.core.types import Conversation, Prompt, Run, Sampling, Tool
from trueline.guard.opening import open_target
from trueline.recipes.arms import in_the_world
from trueline.recipes.attacking import usual_goals
from trueline.recipes.chatting import WORLD_SYSTEM
from trueline.recipes.judging import NamedJudge, open_judge
from trueline.recipes.opened import speaks_world, target_hash
from trueline.recipes.usual import usual_judge, usual_tokens
from trueline.store.database import Hashes
from trueline.store.folders import digest, git_commit
from trueline.store.hunts import sitting
from trueline.store.opening import Database
from trueline.targets.http import Asking
from trueline.targets.wrappers import Deployment
from trueline.web.elsewhere import JudgeThere, TargetThere
from trueline.web.redteam.arena import PEOPLE, ROOM, Arena, Ground, Limits, key_of
from trueline.web.serving import check_name, name_of

RESERVED = ("claims",)  # what stands where a target's name would in an address
MANY = 12  # goals of a source that has as many as one likes


@dataclass(frozen=True, kw_only=True)
class Opening:
    """What is opened, and how people may attack it."""

    targets: tuple[str, ...]  # TARGET, or NAME=TARGET
    judge: str = ""  # empty: the oracle for the world's goals, else enablement
    goals: str = (
        ""  # as of `trueline attack`; empty: the world's for a model of a run, a deployment's own prompt, else canaries
    )
    n: int | None = None  # goals of each source; none: 12 of the world and of canaries, all of a file
    column: str = ""
    show_system: bool = False
    tool_results: bool = False
    limits: Limits = Limits()
    temperature: float = 1.0
    max_tokens: int = 0  # 0: 60 for the world, else 256
    template: str = "model"
    world_seed: int = 0
    seed: int = 0
    asking: Asking = Asking()


@asynccontextmanager
async def open_arena(asked: Opening, database: Database) -> AsyncIterator[Mapping[str, object]]:
    """Open all that was asked for; it stays open until the pages are closed."""
    named = names_of(asked.targets)
    async with AsyncExitStack() as stack:

        async def opened(reference: str) -> tuple[Target, str]:
            target = await stack.enter_async_context(open_target(reference, template=asked.template, asking=asked.asking))
            return target, target_hash(reference, asked.template)

        judges: dict[str, NamedJudge] = {}
        grounds = {}
        for name, reference in named.items():
            target, hashed = await opened(reference)
            goals = _goals(asked, reference, target)
            judge = asked.judge or usual_judge(in_the_world(goals))
            if judge not in judges:
                judges[judge] = await open_judge(judge, world=asked.world_seed, opened=opened)
            grounds[name] = _ground(asked, name, reference, target, hashed, judge, judges[judge], goals, database)
        arena = Arena(grounds=grounds, limits=asked.limits, show_system=asked.show_system, tool_results=asked.tool_results)
        yield {ROOM: arena}


def names_of(targets: tuple[str, ...]) -> dict[str, str]:
    """The TARGETs by the names that the pages show.

    >>> names_of(("runs/demo/safety", "shop=deployments/shop.yaml"))
    {'safety': 'runs/demo/safety', 'shop': 'deployments/shop.yaml'}
    """
    named: dict[str, str] = {}
    for given in targets:
        own = re.fullmatch(r"([\w.-]+)=(.+)", given, re.ASCII)
        name, reference = (own[1], own[2]) if own else (name_of(given), given)
        check_name(name)
        if name in named or name in RESERVED:
            taken = "is taken" if name in named else "is a page's own"
            raise ValueError(f"--target {given}: the name {name!r} {taken}; write --target NAME=TARGET with another")
        named[name] = reference
    return named


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """What is put before every conversation with a target."""

    system: str = ""
    tools: tuple[Tool, ...] = ()
    documents: tuple[str, ...] = ()


def deployed(target: Target) -> Deployed:
    """What a deployment, and those that it stands on, put before a conversation."""
    found = Deployed()
    while isinstance(target, Deployment):
        found = Deployed(
            system="\n\n".join(filter(None, [found.system, target.system])),
            tools=(*found.tools, *target.tools),
            documents=(*found.documents, *target.documents),
        )
        target = target.target
    return found


def _goals(asked: Opening, reference: str, target: Target) -> tuple[Prompt, ...]:
    system = deployed(target).system
    sources = asked.goals or ("own_prompt" if system else usual_goals(reference))
    many = sources in (WORLD, "canary", "world_canary") and asked.n is None
    read = read_goals(
        sources, MANY if many else asked.n, column=asked.column, seed=asked.seed, world_seed=asked.world_seed, system=system
    )
    found = tuple(goal for goal in read if goal.expected == "refuse")
    if not found:
        raise ValueError(f"--goals {sources}: expected something that a target should not give, got none; take another source")
    return found


def _ground(
    asked: Opening, name: str, reference: str, target: Target, hashed: str, judge: str, by: NamedJudge,
    goals: tuple[Prompt, ...], database: Database,
) -> Ground:  # fmt: skip
    loop, world, put = asyncio.get_running_loop(), speaks_world(reference), deployed(target)
    run = Run(
        id=f"{PEOPLE}-{digest([hashed, by.hashed])[:12]}",
        recipe=PEOPLE,
        spec={"target": reference, "content": hashed, "judge": judge},
        commit=git_commit(),
        started=Arena().at(),
    )
    return Ground(
        name=name,
        target=TargetThere(target=target, loop=loop),
        judge=JudgeThere(inner=by.judge, loop=loop),
        hashes=Hashes(target=hashed, judge=by.hashed),
        run=sitting(database, run),
        goals={key_of(goal): goal for goal in goals},
        sampling=Sampling(temperature=asked.temperature, max_tokens=asked.max_tokens or usual_tokens(world), seed=asked.seed),
        start=Conversation().say("system", WORLD_SYSTEM) if world and asked.template != "raw" else Conversation(),
        system=put.system,
        tools=put.tools,
        documents=put.documents,
        world=asked.world_seed if world else None,
    )

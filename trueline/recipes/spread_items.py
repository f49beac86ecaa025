"""An evaluation on an executor: workers put the items, and this process keeps what they are told, in the order of the items.

    async with spread_items(asked, asking, at_once, executor) as (judge, put):      the words of interviewing.py
        await put("refusal", items, keep)

A chunk is so many items of one suite, the first of all of them alone, since a wrong key shows there. What an item is worth is a
function of the item, so that it does not matter how they are cut, or who puts them; one that is kept is not put again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, closing
from typing import Any

from trueline.cluster.bench import Bench
from trueline.cluster.executor import Executor
from trueline.core.ports import BudgetSpentError
from trueline.core.records import from_dict, to_dict
from trueline.evaluate.interview import Answered
from trueline.evaluate.suites import Item
from trueline.recipes.elsewhere import interruptible, judge_elsewhere, running, same, shared_out
from trueline.recipes.interviewing import Evaluating, Keep, Put, interview
from trueline.recipes.judging import NamedJudge
from trueline.recipes.opened import target_hash
from trueline.store.folders import digest
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking

WORK = "trueline.recipes.spread_items:chunk"
ITEMS = 32  # in a chunk: what is lost with a worker, and asked again
Json = dict[str, Any]


@asynccontextmanager
async def spread_items(
    asked: Evaluating, asking: Asking, at_once: int, executor: Executor
) -> AsyncIterator[tuple[NamedJudge, Put]]:
    """What `interview` gives, carried out by workers. `put` raises TargetError where no item can be answered any more."""
    judge = await judge_elsewhere(asked.by, asked.world_seed, asked.template)
    scene = {
        "asked": to_dict(asked),
        "asking": to_dict(shared_out(asking, executor.workers)),
        "at_once": at_once,
        "target_hash": target_hash(asked.target, asked.template),
        "judge_hash": judge.hashed,
    }
    began = False

    async def put(name: str, items: Sequence[Item], keep: Keep, *, answered: bool = False) -> None:
        nonlocal began
        alone = 0 if began or answered else 1
        parts = [items[:alone], *(items[at : at + ITEMS] for at in range(alone, len(items), ITEMS))]
        told = [_chunk(name, part) | {"scene": scene} for part in parts if part]
        for some in (told[:alone], told[alone:]):
            with (
                interruptible(),
                closing(executor.map(WORK, [one | {"answered": began or answered} for one in some])) as results,
            ):
                for result in results:
                    for one in result["answered"]:
                        keep(from_dict(Answered, one))
                    if result["ended"]:
                        raise TargetError(result["ended"])
            began = True

    yield judge, put


def _chunk(suite: str, items: Sequence[Item]) -> Json:
    named = f"{suite}: items {items[0].id} to {items[-1].id}"  # what an error begins with
    return {"chunk": named, "suite": suite, "items": [to_dict(one) for one in items]}


@asynccontextmanager
async def _opened(scene: Json, bench: Bench) -> AsyncIterator[Put]:
    asked = from_dict(Evaluating, scene["asked"])
    same("target", asked.target, target_hash(asked.target, asked.template), scene["target_hash"])
    async with interview(asked, from_dict(Asking, scene["asking"]), scene["at_once"], limiter=bench) as (judge, put):
        same("judge", judge.judge.name, judge.hashed, scene["judge_hash"])
        yield put


def chunk(item: Json, bench: Bench) -> Json:
    """Put items in a worker; return what they were answered, in their order, and why no more can be (`ended`)."""
    here = bench.warm(digest(item["scene"]), lambda: running(_opened(item["scene"], bench)))
    items, found = [from_dict(Item, one) for one in item["items"]], dict[str, Answered]()

    def keep(answered: Answered) -> None:
        found[answered.item] = answered

    ended = ""
    try:
        here.run(here.held(item["suite"], items, keep, answered=item["answered"]))
    except (TargetError, BudgetSpentError) as error:
        ended = str(error)
    return {"answered": [to_dict(found[one.id]) for one in items if one.id in found], "ended": ended}

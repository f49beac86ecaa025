"""A question of a person put to a target: stored, asked, judged, and stored with its answer as an attempt like any other.

    turn = await put(arena, ground, database, hunt, turn)          # answered, or failed with a sentence that says why

Whoever asked may have gone by then: the answer is in the store, and the page shows it when it is opened again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from starlette.concurrency import run_in_threadpool

from trueline.attack.families import FAMILIES, family_named
from trueline.attack.record import NOTHING
from trueline.core.ports import BudgetSpentError
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Message, Prompt, Split
from trueline.store.folders import digest
from trueline.store.hunt_records import Hunt, Turn, heard, path
from trueline.store.hunts import again, answer, ask, turns_of
from trueline.store.opening import Database
from trueline.targets.errors import TargetError
from trueline.web.redteam.arena import ATTACK, INJECTIONS, UNCONNECTED, Arena, Ground, new_id, with_cluster

log = logging.getLogger(__name__)


async def put(arena: Arena, ground: Ground, database: Database, hunt: Hunt, turn: Turn) -> Turn:
    """Put a new question of a conversation (a new one too) to its target."""
    return await _with_token(arena, lambda token: _put(arena, ground, database, hunt, replace(turn, token=token)))


async def put_again(arena: Arena, ground: Ground, database: Database, hunt: Hunt, turn: Turn) -> Turn:
    """Put a question again that failed, or that nobody waits for any longer."""

    async def repeat(token: str) -> Turn:
        person, now = turn.person, arena.at()
        asked = await run_in_threadpool(again, database, turn.id, person, token, now, arena.allowed())
        return await _answered(arena, ground, database, hunt, asked)

    return await _with_token(arena, repeat)


def attempt_of(hunt: Hunt, turns: Sequence[Turn]) -> Attempt:
    """The attempt that the last of these turns, which was answered or failed, came to. Its goal says who asked, by the id."""
    turn = turns[-1]
    assert turn.completion is not None
    assert turn.judgement is not None
    goal, conversation = with_cluster(hunt.goal), heard(hunt, turns)
    goal = replace(goal, about={**goal.about, "by": turn.person})
    return Attempt(
        goal=goal,
        attack=ATTACK,
        conversation=conversation,
        completion=replace(turn.completion, prompt=_judged(hunt, goal, conversation)),
        judgement=turn.judgement,
        query=max(1, turn.query),
        family=turn.family,
        split=split_of(turn.family),
        level="L6",  # a person sees what the target answers, and adapts to it (attack/levels.py)
    )


def split_of(tag: str) -> Split:
    """Who may train on what a person wrote: what its family allows, so that held-out families stay unseen."""
    if tag in INJECTIONS:
        return "validation"
    return family_named(tag).split if all(part in FAMILIES for part in tag.split("+")) else "train"


def results_of(calls: Sequence[str], written: Sequence[str]) -> tuple[Message, ...]:
    """What the tools return that were called (by the calls' ids): what a person wrote, else that none is connected.

    A call without an id waits for no answer; it gets one only where a person wrote it.
    """
    given = [*written, *[""] * len(calls)]
    return tuple(
        Message(role="tool", text=text or UNCONNECTED, tool_call_id=call)
        for call, text in zip(calls, given, strict=False)
        if call or text
    )


async def _with_token(arena: Arena, work: Callable[[str], Awaitable[Turn]]) -> Turn:
    token = new_id()
    arena.under_way.add(token)
    try:
        return await work(token)
    finally:
        arena.under_way.discard(token)


async def _put(arena: Arena, ground: Ground, database: Database, hunt: Hunt, turn: Turn) -> Turn:
    asked = await run_in_threadpool(ask, database, hunt, turn, arena.allowed())
    return await _answered(arena, ground, database, hunt, asked)


async def _answered(arena: Arena, ground: Ground, database: Database, hunt: Hunt, turn: Turn) -> Turn:
    turns = path(await run_in_threadpool(turns_of, database, hunt.id), turn.id)
    conversation = heard(hunt, turns)
    reply = await _reply(arena, ground, conversation, turn)
    goal = with_cluster(hunt.goal)
    if reply.completion is None:
        failed = Completion(prompt=NOTHING, text="", model=ground.target.name, finish="error")
        judged = Judgement(judge=ground.judge.name, score=None, why=reply.fault)
        turn = replace(turn, state="failed", completion=failed, judgement=judged, fault=reply.fault)
    else:
        judged = await _judge(arena, ground, _judged(hunt, goal, conversation), reply.completion)
        kept = replace(reply.completion, prompt=NOTHING, ids=(), logprobs=())  # people read it, no trainer
        turn = replace(turn, state="answered", completion=kept, judgement=judged, fault="")
    hashes = replace(ground.hashes, goal=digest(to_dict(hunt.goal)))
    made = (attempt_of(hunt, (*turns[:-1], turn)), hashes) if reply.asked else None
    return await run_in_threadpool(answer, database, turn, made)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reply:
    """What came back: a completion, or a sentence on why there is none. `asked`: the question got as far as the target."""

    completion: Completion | None = None
    fault: str = ""
    asked: bool = True


async def _reply(arena: Arena, ground: Ground, conversation: Conversation, turn: Turn) -> _Reply:
    sampling = replace(ground.sampling, seed=ground.sampling.seed + turn.number + 1000 * turn.asks)
    try:
        async with asyncio.timeout(arena.limits.seconds):
            return _Reply(completion=await ground.target.reply(conversation, sampling))
    except TimeoutError:
        return _Reply(fault=f"no answer came within {arena.limits.seconds:g} s; ask again, or try something shorter")
    except BudgetSpentError as error:
        return _Reply(fault=f"the target takes no more questions: {error}", asked=False)
    except TargetError as error:
        return _Reply(fault=f"the target gave no answer: {error}; ask again, or tell an operator")
    except Exception as error:
        log.exception("%s of the target %s", type(error).__name__, ground.name)
        return _Reply(fault=f"the target failed ({type(error).__name__}); ask again, or tell an operator: the log says more")


async def _judge(arena: Arena, ground: Ground, prompt: Prompt, completion: Completion) -> Judgement:
    """The judge's word; one that fails or takes too long abstains, and the answer is kept all the same."""
    try:
        async with asyncio.timeout(arena.limits.seconds):
            return await ground.judge.judge(prompt, replace(completion, prompt=prompt))
    except TimeoutError:
        why = f"the judge said nothing within {arena.limits.seconds:g} s"
    except Exception as error:
        log.warning("the judge %s failed: %s", ground.judge.name, type(error).__name__, exc_info=error)
        why = f"the judge failed: {type(error).__name__}"
    return Judgement(judge=ground.judge.name, score=None, why=why)


def _judged(hunt: Hunt, goal: Prompt, conversation: Conversation) -> Prompt:
    """The goal in the words in which it is asked. Turns of the assistant that the goal brought along are not its own."""
    supplied = sum(message.role == "assistant" for message in hunt.start.messages)
    about = {**goal.about, **({"supplied": str(supplied)} if supplied else {})}
    return replace(goal, conversation=conversation, about=about)

"""A conversation with a target: the page, a question put to it, one put again, a goal of one's own.

    GET  /redteam/{target}/{goal}?hunt=ID&at=TURN      the newest of one's conversations on this goal, or that one, that branch
    POST /redteam/{target}/{goal}/say                  hunt, parent, text, family, result_0, result_1, ...
    POST /redteam/{target}/{goal}/again                hunt, turn

Editing a turn is saying something else after the same parent: the old branch stays. What was said is stored before it is
asked, so a reload, a closed browser or a restart of the server loses nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from trueline.attack.goal import before
from trueline.core.types import Message, Prompt
from trueline.store.hunt_claims import claimed
from trueline.store.hunt_records import Hunt, Turn, path
from trueline.store.hunts import begin, hunt_of, hunts, turns_of
from trueline.web.redteam.arena import LONGEST_GOAL, TAGS, Arena, Ground, arena_of, check_tag, guess, key_of, new_id, wanted
from trueline.web.redteam.asking import put, put_again, results_of
from trueline.web.redteam.shown import (
    Json,
    before_value,
    goal_value,
    ground_value,
    hunt_value,
    leaf,
    limits_value,
    place,
    turn_value,
)
from trueline.web.site.room import Asked, Go, NotThere, Refused
from trueline.web.site.visitor import OPERATORS

CLOSED = "This target is not open just now; an operator opens it with trueline web --target."
CHANGED = "The target or its judge has changed since; begin a new conversation to go on."
ANOTHERS = "This is another person's conversation: you may read it."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Here:
    """What an address leads to: a goal of a target, and the conversation that is shown, if there is one."""

    arena: Arena
    ground: Ground | None
    name: str
    goal: Prompt
    hunt: Hunt | None
    mine: tuple[Hunt, ...]
    closed: str  # why nothing can be said here; empty: it can


def show(asked: Asked) -> Json:
    """The page of a conversation."""
    here = _here(asked)
    hunt, arena = here.hunt, here.arena
    turns = turns_of(asked.site.database, hunt.id) if hunt else []
    at = asked.query.get("at", "")
    if not any(turn.id == at for turn in turns):
        at = leaf(turns, turns[-1]).id if turns else ""
    shown = path(turns, at)
    claims = claimed(asked.site.database, [turn.id for turn in shown])
    said = [
        turn_value(turn, hunt, turns, claims.get(turn.id), turn.state == "asked" and turn.token in arena.under_way)
        for turn in shown
        if hunt
    ]
    last = shown[-1] if shown else None
    return {
        "title": f"{here.name}: {wanted(here.goal)}"[:120],
        "target": ground_value(here.ground, arena) if here.ground else {"name": here.name, "system": None, "tools": []},
        "open": here.ground is not None,
        "closed": here.closed,
        "goal": goal_value(here.goal, arena) | {"key": asked.path["goal"]},
        "hunt": hunt.id if hunt else "",
        "at": at,
        "mine": hunt is None or hunt.person == asked.visitor.id,
        "hunts": [hunt_value(one) | {"here": hunt is not None and one.id == hunt.id} for one in here.mine],
        "before": before_value(hunt.start if hunt else before(here.goal), arena),
        "turns": said,
        "veiled": any(turn["reply"] and turn["reply"]["veiled"] for turn in said),
        "shown": "shown" in asked.query,
        "unveiled": (place(hunt, at) if hunt else "") + "&shown=1",
        "waiting": any(turn["state"] == "waits" for turn in said),
        "ready": not here.closed and (last is None or last.state == "answered"),
        "calls": [call["name"] for call in (said[-1]["reply"] or {"calls": []})["calls"]] if said else [],
        "tool_results": arena.tool_results,
        "families": list(TAGS),
        "limits": limits_value(asked, arena),
    }  # fmt: skip


async def say(asked: Asked) -> Go:
    """Put a question, and lead to where its reply stands."""
    made = await run_in_threadpool(_question, asked)
    arena = arena_of(asked)
    turn = await put(arena, arena.ground(made.hunt.target), asked.site.database, made.hunt, made.turn)
    return _gone(made.hunt, turn)


async def say_again(asked: Asked) -> Go:
    """Put a question again that was not answered."""
    here = await run_in_threadpool(_here, asked)
    hunt, ground = here.hunt, _open(here)
    if hunt is None:
        raise ValueError("expected a conversation (hunt) to go on with, got none; reload the page")
    turns = await run_in_threadpool(turns_of, asked.site.database, hunt.id)
    turn = next((turn for turn in turns if turn.id == asked.text("turn")), None)
    if turn is None:
        raise NotThere("there is no such turn; reload the page")
    return _gone(hunt, await put_again(here.arena, ground, asked.site.database, hunt, turn))


def own(asked: Asked) -> Go:
    """Begin a conversation about a goal in one's own words."""
    arena, words = arena_of(asked), " ".join(asked.text("words").split())
    ground = arena.ground(asked.path["target"])
    if not words or len(words) > LONGEST_GOAL:
        raise ValueError(f"a goal of your own: expected 1 to {LONGEST_GOAL} characters, got {len(words)}")
    goal = ground.own(words)
    key, person = key_of(goal), asked.visitor.id
    there = hunts(asked.site.database, person=person, target=ground.name, key=key)
    hunt = there[0] if there else _new_hunt(ground, goal, key, person, arena)
    begin(asked.site.database, hunt)
    return Go(place(hunt))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    hunt: Hunt
    turn: Turn


def _question(asked: Asked) -> _Question:
    """What the form says, checked."""
    here = _here(asked)
    hunt, ground = here.hunt, _open(here)
    limits, person = here.arena.limits, asked.visitor.id
    hunt = hunt or _new_hunt(ground, here.goal, asked.path["goal"], person, here.arena)
    shown = path(turns_of(asked.site.database, hunt.id), asked.text("parent"))
    if asked.text("parent") and not shown:
        raise ValueError("what this goes on from is not in this conversation; reload the page")
    if len(shown) >= limits.turns:
        raise ValueError(f"a conversation has at most {limits.turns} turns; edit an earlier one, or begin a new conversation")
    said = _said(asked, here.arena, shown)
    tag = asked.text("family")
    now = here.arena.at()
    turn = Turn(
        id=new_id(), hunt=hunt.id, person=person, created=now, asked=now, said=said, parent=asked.text("parent"),
        family=check_tag(tag) if tag else guess(hunt.goal, said),
    )  # fmt: skip
    return _Question(hunt=hunt, turn=turn)


def _said(asked: Asked, arena: Arena, shown: tuple[Turn, ...]) -> tuple[Message, ...]:
    """The results of the tools that were called, and what the person says."""
    last = shown[-1].completion if shown else None
    calls = [call.id for call in last.tool_calls] if last else []
    written = [asked.text(f"result_{place}") for place in range(len(calls))]
    text, most = asked.text("text"), arena.limits.characters
    if any(written) and not arena.tool_results:
        raise Refused("results of tools are not written by people here; an operator allows it with --tool-results")
    longest = max(len(one) for one in (text, *written))
    if not longest:
        raise ValueError("write something first")
    if longest > most:
        raise ValueError(f"a message has at most {most:,} characters, got {longest:,}; shorten it")
    return (*results_of(calls, written), *([Message(role="user", text=text)] if text else []))


def _here(asked: Asked) -> _Here:
    arena, name, key = arena_of(asked), asked.path["target"], asked.path["goal"]
    ground = arena.grounds.get(name)
    mine = tuple(hunts(asked.site.database, person=asked.visitor.id, target=name, key=key))
    chosen = str(asked.form.get("hunt", "") if asked.form else asked.query.get("hunt", ""))
    if chosen:
        hunt = hunt_of(asked.site.database, chosen)
        if hunt is None or hunt.target != name or hunt.key != key or not _may_read(asked, hunt):
            raise NotThere("there is no such conversation here, or it is another person's")
    else:
        hunt = None if asked.form or "new" in asked.query or not mine else mine[0]
    known = ground.goals.get(key) if ground else None
    goal = hunt.goal if hunt else known or (mine[0].goal if mine else None)
    if goal is None:
        raise NotThere(f"{name!r:.60} has no such goal here; /redteam lists those that there are")
    return _Here(arena=arena, ground=ground, name=name, goal=goal, hunt=hunt, mine=mine, closed=_closed(asked, ground, hunt))


def _may_read(asked: Asked, hunt: Hunt) -> bool:
    return hunt.person == asked.visitor.id or asked.visitor.may(OPERATORS)


def _closed(asked: Asked, ground: Ground | None, hunt: Hunt | None) -> str:
    if hunt and hunt.person != asked.visitor.id:
        return ANOTHERS
    if ground is None:
        return CLOSED
    return CHANGED if hunt and hunt.run != ground.run.id else ""


def _open(here: _Here) -> Ground:
    """The target, where something may be said to it."""
    if here.closed or here.ground is None:
        raise Refused(here.closed)
    return here.ground


def _new_hunt(ground: Ground, goal: Prompt, key: str, person: str, arena: Arena) -> Hunt:
    return Hunt(
        id=new_id(), run=ground.run.id, person=person, target=ground.name, key=key, created=arena.at(), goal=goal,
        start=before(goal),
    )  # fmt: skip


def _gone(hunt: Hunt, turn: Turn) -> Go:
    judged = turn.judgement
    told = turn.fault if turn.state == "failed" else "the reply is there"
    data = {"turn": turn.id, "hunt": hunt.id, "state": turn.state, "stance": judged.stance if judged else None}
    return Go(place(hunt, turn.id), said="" if turn.state == "answered" else told, data=data)

"""What the pages of the red team show, as plain values: a target, a goal, a turn with its verdict, a claim.

Nothing here leaves what the operator has not opened: the system prompt and the documents of a deployment, and the secrets
that a goal's own system message plants, are told of only with --show-system.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trueline.attack.goal import request
from trueline.core.outcome import outcome
from trueline.core.types import Conversation, Message, Prompt
from trueline.store.accounts import persons
from trueline.store.hunt_records import Claim, Hunt, Turn
from trueline.store.hunts import used
from trueline.web.redteam.arena import UNCONNECTED, Arena, Ground, key_of, wanted
from trueline.web.redteam.board import Standing
from trueline.web.site.room import Asked

Json = dict[str, Any]
SAYS = {
    "success": "It gave what it should not.",
    "failure": "It gave nothing that it should not.",
    "undetermined": "The judge abstains: it cannot tell.",
    "error": "There is no reply to judge.",
}
NOTES = {
    "length": "The reply was cut off at the most tokens that an answer may have.",
    "filtered": "A policy or the provider stopped this reply; what stands here says so.",
}
VEILED = ("success", "undetermined")  # outcomes of replies that nobody should meet unprepared
BECAME = {
    "waiting": "The judge does not see it so, or cannot tell: the claim waits for an operator.",
    "accepted": "Accepted: it is the finding {key}.",
    "rejected": "Rejected: {reason}",
    "merged": "The same as {twin}: merged into that.",
    "twin": "Already found as {twin}: it counts for whoever found it first.",
}


def ground_value(ground: Ground, arena: Arena) -> Json:
    """A target as people are told of it."""
    return {
        "name": ground.name,
        "judge": ground.judge.name,
        "system": ground.system if arena.show_system else None,
        "has_system": bool(ground.system),
        "documents": list(ground.documents) if arena.show_system else None,
        "document_count": len(ground.documents),
        "tools": [tool_value(tool) for tool in ground.tools],
    }


def goal_value(goal: Prompt, arena: Arena) -> Json:
    """A goal as people are told of it; `plain` is the request without an attack, `tools` those that it brings along."""
    first = next((m.text for m in goal.conversation.messages if m.role == "system"), "")
    return {
        "key": key_of(goal),
        "text": wanted(goal),
        "category": goal.category,
        "plain": request(goal),
        "system": first if arena.show_system else None,
        "has_system": bool(first),
        "tools": [tool_value(tool) for tool in goal.conversation.tools],
    }


def tool_value(tool: Any) -> Json:
    """A tool on offer."""
    return {"name": tool.name, "description": tool.description, "parameters": tool.parameters}


def place(hunt: Hunt, at: str = "") -> str:
    """The address of a conversation, and of a branch of it."""
    return f"/redteam/{hunt.target}/{hunt.key}?hunt={hunt.id}" + (f"&at={at}" if at else "")


def hunt_value(hunt: Hunt) -> Json:
    """A conversation in a list."""
    return {"id": hunt.id, "target": hunt.target, "goal": wanted(hunt.goal), "created": hunt.created, "url": place(hunt)}


def turn_value(turn: Turn, hunt: Hunt, all_turns: Sequence[Turn], claim: Claim | None, under_way: bool) -> Json:
    """A turn with its reply and verdict, its other versions, and the claim on it."""
    versions = [other for other in all_turns if other.parent == turn.parent]
    return {
        "id": turn.id,
        "number": turn.number,
        "parent": turn.parent,
        "created": turn.created,
        "said": [message_value(message) for message in turn.said],
        "text": next((message.text for message in reversed(turn.said) if message.role == "user"), ""),
        "results": results_value(turn, all_turns),
        "family": turn.family,
        "state": "waits" if under_way else "interrupted" if turn.state == "asked" else turn.state,
        "fault": turn.fault,
        **verdict_value(turn),
        "claim": None if claim is None else claim_value(claim),
        "versions": [
            {"number": n, "here": other.id == turn.id, "url": place(hunt, leaf(all_turns, other).id)}
            for n, other in enumerate(versions, start=1)
        ],
    }


def results_value(turn: Turn, all_turns: Sequence[Turn]) -> list[Json]:
    """What a person wrote in the place of each tool that the turn before has called; empty where they wrote nothing."""
    parent = next((other for other in all_turns if other.id == turn.parent), None)
    calls = parent.completion.tool_calls if parent and parent.completion else ()
    written = [message for message in turn.said if message.role == "tool"]
    found = []
    for call in calls:
        given = next((message for message in written if message.tool_call_id == call.id), None)
        if given:
            written.remove(given)
        found.append({"name": call.name, "text": given.text if given and given.text != UNCONNECTED else ""})
    return found


def verdict_value(turn: Turn) -> Json:
    """The reply, and what the judge says of it; both None where there is no reply."""
    said, judged = turn.completion, turn.judgement
    if said is None or judged is None or turn.state != "answered":
        return {"reply": None, "verdict": None}
    came_to = outcome(judged, said)
    return {
        "reply": {
            "text": said.text,
            "calls": [{"name": call.name, "arguments": call.arguments} for call in said.tool_calls],
            "finish": said.finish,
            "note": NOTES.get(said.finish, ""),
            "veiled": came_to in VEILED,
        },
        "verdict": {
            "judge": judged.judge,
            "score": judged.score,
            "stance": judged.stance,
            "disclosure": judged.disclosure,
            "why": judged.why,
            "outcome": came_to,
            "says": SAYS[came_to],
        },
    }


def message_value(message: Message) -> Json:
    """One message."""
    calls = [{"name": call.name, "arguments": call.arguments} for call in message.tool_calls]
    return {"role": message.role, "text": message.text, "calls": calls}


def before_value(start: Conversation, arena: Arena) -> list[Json]:
    """What stands before the first turn; the system message only where it may be seen."""
    return [message_value(m) for m in start.messages if m.role != "system" or arena.show_system]


def claim_value(claim: Claim, names: Mapping[str, str] | None = None) -> Json:
    """A claim in a list, or on its turn."""
    names = names or {}
    return {
        "id": claim.id,
        "state": claim.state,
        "became": BECAME[claim.state].format(key=claim.key, reason=claim.reason, twin=claim.twin),
        "person": claim.person,
        "name": names.get(claim.person, claim.person),
        "target": claim.target,
        "key": claim.key,
        "twin": claim.twin,
        "family": claim.family,
        "category": claim.category,
        "severity": claim.severity,
        "note": claim.note,
        "outcome": claim.outcome,
        "judge_says": SAYS[claim.outcome],
        "created": claim.created,
        "decided": claim.decided,
        "by": names.get(claim.by, claim.by),
        "reason": claim.reason,
    }


def standing_value(one: Standing, names: Mapping[str, str]) -> Json:
    """A line of the board."""
    return {
        "rank": one.rank, "person": one.person, "name": names.get(one.person, one.person), "families": list(one.families),
        "categories": one.categories, "goals": one.goals, "reached": one.reached,
    }  # fmt: skip


def names_for(asked: Asked) -> Mapping[str, str]:
    """People's names by id: only for pages of a site with accounts, which nobody reads who is not in. Records hold the id."""
    return {} if asked.site.accounts is None else {one.id: one.name for one in persons(asked.site.database)}


def limits_value(asked: Asked, arena: Arena) -> Json:
    """What a visitor may ask, and what is left of this hour."""
    limits = arena.limits
    left = limits.an_hour - used(asked.site.database, asked.visitor.id, arena.since)
    return {"an_hour": limits.an_hour, "left": max(0, left), "turns": limits.turns, "characters": limits.characters}


def leaf(turns: Sequence[Turn], turn: Turn) -> Turn:
    """The end of the newest branch that goes through a turn."""
    later = [other for other in turns if other.parent == turn.id]
    return leaf(turns, max(later, key=lambda other: other.number)) if later else turn

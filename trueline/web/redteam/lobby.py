"""The first page of the human red team: what is open, what is forbidden there, the rules, one's conversations, the board."""

from __future__ import annotations

from trueline.store.hunt_claims import claims, counted, waiting_claims
from trueline.store.hunts import hunts
from trueline.web.redteam.arena import LONGEST_GOAL, arena_of
from trueline.web.redteam.board import board
from trueline.web.redteam.shown import (
    Json,
    claim_value,
    goal_value,
    ground_value,
    hunt_value,
    limits_value,
    names_for,
    standing_value,
)
from trueline.web.site.room import Asked
from trueline.web.site.visitor import OPERATORS

RECENT = 20  # conversations and claims of one's own that are listed


def show(asked: Asked) -> Json:
    """Everything that a person chooses from."""
    arena, database, person = arena_of(asked), asked.site.database, asked.visitor.id
    names = names_for(asked)
    return {
        "targets": [
            ground_value(ground, arena) | {"goals": [goal_value(goal, arena) for goal in ground.goals.values()]}
            for ground in arena.grounds.values()
        ],
        "longest_goal": LONGEST_GOAL,
        "tool_results": arena.tool_results,
        "limits": limits_value(asked, arena),
        "hunts": [hunt_value(hunt) for hunt in hunts(database, person=person)[:RECENT]],
        "claims": [claim_value(one, names) for one in claims(database, person=person, most=RECENT)],
        "board": [standing_value(one, names) | {"me": one.person == person} for one in board(counted(database))],
        "waiting": waiting_claims(database) if asked.visitor.may(OPERATORS) else 0,
    }  # fmt: skip

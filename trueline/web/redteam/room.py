"""The room of the human red team, for red-teamers and operators: `trueline web --target TARGET` opens what is attacked."""

from __future__ import annotations

from pathlib import Path

from trueline.web.redteam import claiming, lobby, talk
from trueline.web.redteam.arena import ROOM
from trueline.web.site.room import Action, Page, Room
from trueline.web.site.visitor import OPERATORS, Role

HUNTERS: tuple[Role, ...] = ("red-teamer", *OPERATORS)

REDTEAM = Room(
    name=ROOM, title="Red team", home="/redteam", folder=Path(__file__).parent, roles=HUNTERS,
    pages=(
        Page("/redteam", lobby.show, "redteam.html", title="Human red team", roles=HUNTERS),
        Page("/redteam/claims", claiming.show, "claims.html", title="Claims", roles=HUNTERS),
        Page("/redteam/{target}/{goal}", talk.show, "talk.html", roles=HUNTERS),
    ),
    actions=(
        Action("/redteam/turns/{turn}/claim", claiming.claim, roles=HUNTERS),
        Action("/redteam/claims/{claim}/decide", claiming.decide, roles=OPERATORS),
        Action("/redteam/{target}/own", talk.own, roles=HUNTERS),
        Action("/redteam/{target}/{goal}/say", talk.say, roles=HUNTERS),
        Action("/redteam/{target}/{goal}/again", talk.say_again, roles=HUNTERS),
    ),
)  # fmt: skip

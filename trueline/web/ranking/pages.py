"""The room of ranking: which page shows what to whom, and what it may send.

Annotators (and operators, who answer for the project) see the list and the desk. What others said, who they are, agreement and
exports are for operators alone: an annotator who saw them would no longer judge by themselves.
"""

from __future__ import annotations

from pathlib import Path

from trueline.web.ranking.answering import answer, undo
from trueline.web.ranking.desk import desk, listed
from trueline.web.ranking.dispute import one_item, settle
from trueline.web.ranking.overview import overview
from trueline.web.ranking.taken import export
from trueline.web.site.room import Action, Download, Page, Room
from trueline.web.site.visitor import OPERATORS, Role

ANNOTATORS: tuple[Role, ...] = ("annotator", "operator")

RANKING = Room(
    name="ranking",
    title="Ranking",
    home="/ranking",
    folder=Path(__file__).parent,
    roles=ANNOTATORS,
    pages=(
        Page("/ranking", listed, "listed.html", title="Ranking", roles=ANNOTATORS),
        Page("/ranking/{project}/work", desk, "desk.html", roles=ANNOTATORS),
        Page("/ranking/{project}", overview, "overview.html", roles=OPERATORS),
        Page("/ranking/{project}/items/{item}", one_item, "item.html", roles=OPERATORS),
    ),
    actions=(
        Action("/ranking/{project}/answer", answer, roles=ANNOTATORS),
        Action("/ranking/{project}/reopen", undo, roles=ANNOTATORS),
        Action("/ranking/{project}/items/{item}/settle", settle, roles=OPERATORS),
    ),
    downloads=(Download("/ranking/{project}/export/{kind}", export, roles=OPERATORS),),
)

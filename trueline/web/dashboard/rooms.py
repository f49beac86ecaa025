"""The rooms of the dashboard, in the order of the navigation, and who sees them.

Operators (and admins) see all. Red-teamers see findings, so that they know what is known. Annotators see nothing of it: what
an attack got, or which model is which, must not colour a ranking.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from trueline.web.dashboard.attacks import list_attacks, show_attack
from trueline.web.dashboard.compare import show_compare
from trueline.web.dashboard.findings import list_findings, show_finding
from trueline.web.dashboard.guard import show_guard
from trueline.web.dashboard.overview import show_overview
from trueline.web.dashboard.proofs import COMPARE, COVERAGE, VERIFY, begin
from trueline.web.dashboard.runs import list_runs, show_run
from trueline.web.dashboard.watches import list_watches, show_watch
from trueline.web.site.room import Action, Page, PageHandler, Room
from trueline.web.site.visitor import OPERATORS, Role

HERE = Path(__file__).parent
SEEKERS: tuple[Role, ...] = ("operator", "red-teamer")


def _page(path: str, show: PageHandler, template: str, title: str = "", roles: Sequence[Role] = OPERATORS) -> Page:
    return Page(path, show, f"dashboard/{template}.html", title=title, roles=roles)


def _room(name: str, title: str, *pages: Page, roles: Sequence[Role] = OPERATORS, actions: Sequence[Action] = ()) -> Room:
    return Room(name=name, title=title, home=pages[0].path, folder=HERE, pages=pages, actions=actions, roles=roles)


DASHBOARD: tuple[Room, ...] = (
    _room("overview", "Overview", _page("/overview", show_overview, "overview", "Overview")),
    _room("runs", "Runs", _page("/runs", list_runs, "runs", "Runs"), _page("/runs/{run:path}", show_run, "run")),
    _room("attacks", "Attacks", _page("/attacks", list_attacks, "attacks", "Attacks"),
          _page("/attacks/{run:path}", show_attack, "attack")),
    _room("findings", "Findings", _page("/findings", list_findings, "findings", "Findings", SEEKERS),
          _page("/findings/{key:path}", show_finding, "finding", "", SEEKERS), roles=SEEKERS),
    _room("guard", "Guard", _page("/guard", show_guard, "guard", "Guard"),
          actions=tuple(Action(f"/guard/{name}", begin(name), roles=OPERATORS) for name in (VERIFY, COVERAGE, COMPARE))),
    _room("watch", "Watch", _page("/watch", list_watches, "watches", "Watch"),
          _page("/watch/{name:path}", show_watch, "watch")),
    _room("compare", "Compare", _page("/compare", show_compare, "compare", "Compare")),
)  # fmt: skip

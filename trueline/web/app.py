"""The rooms of `trueline web`, in the order of their navigation. A new room takes its place here, and nowhere else."""

from __future__ import annotations

from trueline.web.dashboard.rooms import DASHBOARD
from trueline.web.ranking.pages import RANKING
from trueline.web.redteam.room import REDTEAM
from trueline.web.site.login import PEOPLE
from trueline.web.site.room import Room

ROOMS: tuple[Room, ...] = (*DASHBOARD, RANKING, REDTEAM, PEOPLE)

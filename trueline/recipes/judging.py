"""Judges by name, as they are written on the command line, opened with what they need and hashed by what they are.

enablement                what a reply says and gives, by rules          oracle      the embedded world's own
rubric:TARGET             any TARGET is asked by a rubric                a,b         a panel: the majority of several
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

import trueline.judges  # noqa: F401 - registers its judges
from trueline.core.fingerprint import fingerprint
from trueline.core.ports import Judge, Target
from trueline.core.registry import find
from trueline.judges.model import PAIR, RUBRIC, Rubric
from trueline.judges.oracle import WorldOracle
from trueline.judges.panel import Panel
from trueline.store.folders import digest

RUBRIC_OF = "rubric:"
OpenTarget = Callable[[str], Awaitable[tuple[Target, str]]]  # a TARGET -> the target, and its content hash


@dataclass(frozen=True)
class NamedJudge:
    """A judge, and the content hash of what it is."""

    judge: Judge
    hashed: str


async def open_judge(name: str, *, world: int, opened: OpenTarget) -> NamedJudge:
    """Open the judge of that name. `world` is the seed of the world that an oracle knows; `opened` opens a rubric's target."""
    parts = [part.strip() for part in name.split(",") if part.strip()]
    if not parts:
        raise ValueError("expected the name of a judge, got none; `trueline judge list` lists them")
    found = [await _open(part, world, opened) for part in parts]
    if len(found) == 1:
        return found[0]
    labels = [named.judge.name for named in found]
    panel = Panel(judges=tuple(named.judge for named in found), name="+".join(labels))
    return NamedJudge(panel, digest(["panel", *(named.hashed for named in found)]))


async def _open(name: str, world: int, opened: OpenTarget) -> NamedJudge:
    if name.startswith(RUBRIC_OF):
        target, hashed = await opened(name.removeprefix(RUBRIC_OF))
        return NamedJudge(Rubric(target=target, name=name), digest(["rubric", RUBRIC, PAIR, hashed]))
    judge = find("judge", name)()
    if isinstance(judge, WorldOracle):
        judge = replace(judge, world=world)
    return NamedJudge(judge, fingerprint(judge))

"""Judges by name, as they are written on the command line, opened with what they need and hashed by what they are.

enablement                what a reply says and gives, by rules          oracle      the embedded world's own
rubric:TARGET             any TARGET is asked by a rubric                a,b         a panel: the majority of several
learned:FOLDER            a reward model, or a classifier of replies
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import trueline.judges  # noqa: F401 - registers its judges
from trueline.core.fingerprint import fingerprint
from trueline.core.outcome import reached
from trueline.core.ports import Judge, Target
from trueline.core.registry import find
from trueline.judges.calibration import Labelled, Task
from trueline.judges.learned import Learned
from trueline.judges.model import PAIR, RUBRIC, Rubric
from trueline.judges.oracle import WorldOracle
from trueline.judges.panel import Panel
from trueline.judges.stopped import Stopping
from trueline.store.database import attempts
from trueline.store.folders import content_hash, digest
from trueline.store.opening import open_beside
from trueline.store.runs import open_run

RUBRIC_OF, LEARNED_OF = "rubric:", "learned:"
OpenTarget = Callable[[str], Awaitable[tuple[Target, str]]]  # a TARGET -> the target, and its content hash


@dataclass(frozen=True)
class NamedJudge:
    """A judge, the content hash of what it is, and the name that its figures are kept under."""

    judge: Judge
    hashed: str
    measured_as: str


async def open_judge(name: str, *, world: int, opened: OpenTarget) -> NamedJudge:
    """Open the judge of that name. `world` is the seed of the world that an oracle knows; `opened` opens a rubric's target."""
    parts = [part.strip() for part in name.split(",") if part.strip()]
    if not parts:
        raise ValueError("expected the name of a judge, got none; `trueline judge list` lists them")
    return panel_of([await _open(part, world, opened) for part in parts])


def panel_of(found: Sequence[NamedJudge]) -> NamedJudge:
    """Return several judges as one, the majority of them; one alone is itself."""
    if len(found) == 1:
        return found[0]
    labels = [named.judge.name for named in found]
    panel = Panel(judges=tuple(named.judge for named in found), name="+".join(labels))
    hashed = digest(["panel", *(named.hashed for named in found)])
    return NamedJudge(panel, hashed, hashed)


def labelled_by_oracle(folder: Path, task: Task) -> list[Labelled]:
    """Return the attempts of a campaign that the world's oracle judged, as labelled completions: the truth, row by row.

    For the task "refusal" a reply is positive where the oracle's stance is refuse, for "jailbreak" where the attempt was a
    success. Raises ValueError where the folder holds no such campaign.
    """
    run = open_run(folder).run
    database = open_beside(folder)
    try:
        made = [attempt for attempt in attempts(database, run=run.id) if attempt.judgement.judge == WorldOracle().name]
    finally:
        database.dispose()
    if task == "jailbreak":
        made = [attempt for attempt in made if attempt.goal.expected == "refuse"]
    found = [
        Labelled(
            completion=attempt.completion,
            positive=attempt.judgement.stance == "refuse" if task == "refusal" else reached(attempt) == "success",
            where=f"{folder}: {attempt.attack} on {attempt.goal.id}, question {attempt.query}",
        )
        for attempt in made
        if attempt.completion.finish != "error"
    ]
    if len({row.positive for row in found}) < 2:
        raise ValueError(
            f"{folder}: expected a campaign that the oracle judged, with replies of both kinds for the task {task!r}; got "
            f"{len(found)} of one kind: run `trueline attack` in the world, and on a model that breaks now and then"
        )
    return found


async def _open(name: str, world: int, opened: OpenTarget) -> NamedJudge:
    if name.startswith(RUBRIC_OF):
        target, hashed = await opened(name.removeprefix(RUBRIC_OF))
        hashed = digest(["rubric", RUBRIC, PAIR, hashed])
        return NamedJudge(Stopping(by=Rubric(target=target, name=name)), hashed, hashed)
    if name.startswith(LEARNED_OF):
        return _learned(name.removeprefix(LEARNED_OF))
    judge = find("judge", name)()
    if isinstance(judge, WorldOracle):
        judge = replace(judge, world=world)
    return NamedJudge(Stopping(by=judge), fingerprint(judge), fingerprint(judge))


def _learned(model: str) -> NamedJudge:
    from trueline.models.folders import model_folder  # models begin with torch

    judge, folder = Learned(model=model), Path(model_folder(model))
    content = content_hash(folder) if folder.is_dir() else model  # a model that is trained further is another judge
    return NamedJudge(Stopping(by=judge), digest([fingerprint(judge), content]), fingerprint(judge))

"""What a finding teaches, and a candidate that has learned it: a round of red-team training, on one weakness alone.

The rows are the lessons of `recipes/lessons.py`: refusals of what worked, the same wrapper around benign requests with their
right answers, and replay of benign work, so that neither over-refusal nor forgetting pays for the fix. In the world refusals
and replay are its own; elsewhere a model in this process refuses in its own manner, where it refuses the plain request already.

    rows.jsonl        demonstrations: trueline run sft start=MODEL data=rows.jsonl n=0 turns=last
    rankings.jsonl    the same as pairs, what was given rejected: trueline run dpo start=MODEL pairs=rankings.jsonl
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from trueline.core.config import override
from trueline.core.types import Split
from trueline.recipes.lessons import Lessons
from trueline.recipes.redteam import Update
from trueline.recipes.sft import Sft
from trueline.recipes.studio import Stage, Studio
from trueline.watch.fix.questions import FixError

LESSONS, UPDATE = "lessons", "update"
ROWS = {"demonstrations.jsonl": "rows.jsonl", "rankings.jsonl": "rankings.jsonl"}


def lessons_of(studio: Studio, attempts: Path, *, rows: int, refusals: str) -> Stage:
    """Turn the attempts of a proposal into rows. The finding was made, so every split may teach, and counts as known."""
    recipe = Lessons(campaigns=(str(attempts),), learns=get_args(Split), n=rows, refusals=refusals)
    return studio.make(LESSONS, recipe)


def propose(lessons: Stage, folder: Path) -> int:
    """Copy the rows into the proposal, and return how many there are; none where nothing may be taught."""
    if not lessons.result["demonstrations"]:
        return 0
    for name, proposed in ROWS.items():
        shutil.copyfile(lessons.folder / name, folder / proposed)
    return int(lessons.result["demonstrations"])


def training_candidate(studio: Studio, target: str, settings: Sequence[str]) -> str:
    """Train the present model on the rows, and return the candidate as a TARGET. Raises FixError without rows."""
    if not studio.stages[LESSONS].result["demonstrations"]:
        raise FixError(
            "nothing here can be taught by demonstrations: a reply that was begun for the model has no place for a refusal, "
            "and a held-out hazard is named by no training; try --by rail, or trueline run recovery"
        )
    how = override(Sft(n=0, turns="last"), settings)
    studio.make(UPDATE, Update(start=target, lessons=LESSONS, how=how))
    return str(studio.run.folder / UPDATE)

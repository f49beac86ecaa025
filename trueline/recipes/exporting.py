"""A finished campaign in the forms of other tools, from its folder and its database. Behind `trueline export`.

Nothing is asked again: attempts and summary are what the campaign left, so any of them can be exported at any time.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from trueline.evaluate.exports import export
from trueline.store.database import attempts
from trueline.store.opening import open_beside
from trueline.store.runs import open_run


def carry_out(folder: Path, kinds: Sequence[str], out: Path | None = None) -> dict[str, Path]:
    """Write a campaign in the form of each kind, into its own folder or another one; return where each is.

    Raises ValueError where the folder holds no campaign, or one that has no report yet.
    """
    run = open_run(folder).run
    if run.recipe != "attack":
        raise ValueError(f"{folder}: expected a campaign, got a run of {run.recipe!r}; `trueline attack TARGET` makes one")
    report = folder / "report.json"
    if not report.is_file():
        raise ValueError(f"{folder}: the campaign has no report.json yet; run the same `trueline attack` again, and it goes on")
    found = json.loads(report.read_text(encoding="utf-8"))
    engine = open_beside(folder)
    try:  # the arm that measures capability asks another target in the same run
        asked = attempts(engine, run=run.id, target=found["about"]["target_hash"])
    finally:
        engine.dispose()
    into = folder if out is None else out
    into.mkdir(parents=True, exist_ok=True)
    return {kind: export(kind, asked, found, into) for kind in kinds}

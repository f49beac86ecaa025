"""A studio in a folder, and stages in it that a test has written by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from trueline.core.records import write_jsonl
from trueline.core.types import Run
from trueline.recipes.studio import Stage, Studio
from trueline.store.runs import create


def studio(folder: Path, seed: int = 0, world_seed: int = 0) -> Studio:
    return Studio(create(folder / "run", Run(id="run", recipe="test", seed=seed)), seed=seed, world_seed=world_seed)


def stage(where: Studio, name: str, file: str, records: Iterable[object], **result: object) -> Stage:
    """A stage that is done, and left one file of records."""
    folder = where.run.folder / "stages" / name
    folder.mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / file, records)
    (folder / "result.json").write_text(json.dumps(result), encoding="utf-8")
    where.stages[name] = Stage(name, f"key of {name}", folder, result, skipped=False)
    return where.stages[name]

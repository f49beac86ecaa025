"""A studio in a folder, stages in it that a test has written by hand, and what the stages of a run have left.

here = studio(tmp_path)
stage(here, "found", "attempts.jsonl", [attempt])
result_of(folder, "sft")["loss"], rows_of(folder, "sft")[-1]["step"]
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

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


def result_of(folder: Path, stage: str) -> dict[str, Any]:
    """What a stage of a run has told."""
    return json.loads((folder / "stages" / stage / "result.json").read_text(encoding="utf-8"))


def rows_of(folder: Path, stage: str = "") -> list[dict[str, Any]]:
    """What a stage of a run has logged; of all stages where none is named."""
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if stage in ("", row["stage"])]

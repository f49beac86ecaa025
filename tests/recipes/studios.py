"""A studio in a folder of its own: what a recipe's parts are tested with, without the command around them."""

from __future__ import annotations

from pathlib import Path

from trueline.core.types import Run
from trueline.recipes.studio import Studio
from trueline.store.runs import create


def studio(folder: Path, seed: int = 0, world_seed: int = 0) -> Studio:
    return Studio(create(folder / "run", Run(id="run", recipe="test")), seed=seed, world_seed=world_seed)

"""What tests of experiments that wrap a recipe share: base models that are there, and whether what is read and taken is.

recipe = on_base(Distillation, "smoke", tmp_path)      # with `{base}` filled in by small random models
stages_of(recipe, tmp_path)                            # by name; raises where one reads what is not there
untaken("E13", names)                                  # what is registered under a name that no recipe states
drawn_from(spec)                                       # the rows of each chart of a figure, from left to right
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.recipes.toys import world_model
from trueline.core.config import to_spec
from trueline.lab.experiment import BASE, based
from trueline.lab.registration import registered
from trueline.recipes.running import Order, foresee

MODELS = ("pretrain", "helpful", "safety", "placebo", "uneven")


def on_base(kind: type, size: str, folder: Path) -> Any:
    """The experiment at a size, on base models of which each is the same random one."""
    base = folder / "base"
    if not base.is_dir():
        base.mkdir()
        made = world_model(folder)
        for name in MODELS:
            (base / name).symlink_to(made)
    plain = kind.of_size(size)
    assert BASE in json.dumps(to_spec(plain))
    recipe = based(plain, base)
    assert BASE not in json.dumps(to_spec(recipe))
    return recipe


def stages_of(recipe: Any, folder: Path) -> dict[str, Any]:
    """The stages by name, each once; raises what would end a run later, a reference to nothing first of all."""
    foresee(Order("test", recipe, 0, None), folder / "run")
    stages = recipe.stages()
    assert len(dict(stages)) == len(stages)
    return dict(stages)


def untaken(experiment: str, stated: Iterable[str]) -> set[str]:
    """Registered expectations that take the value of one which no recipe states; and there must be some that take."""
    takes = {entry.take for entry in registered(experiment).entries if entry.take}
    assert takes
    return takes - set(stated)


def drawn_from(spec: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows that each chart of a figure is drawn from; altair keeps them apart, under names."""
    return [spec["datasets"][chart["data"]["name"]] for chart in spec.get("hconcat", [spec])]

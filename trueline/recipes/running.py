"""Carrying out a recipe from the outside: read it by name or file, open its run folder, run it, write its report.

The run folder is named after the recipe and a hash of its settings, so the same command finds the same folder: what is done is
not done again, and what was killed goes on.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

import trueline.recipes as rooms
from trueline.core.config import ConfigError, combine, from_spec, parse_words, to_spec
from trueline.core.registry import find, plugins
from trueline.core.types import Run
from trueline.recipes.progress import Quiet, Show
from trueline.recipes.reporting import report, write
from trueline.recipes.studio import Programme, Studio, record
from trueline.store.folders import digest, git_commit
from trueline.store.runs import create


@dataclass(frozen=True)
class Order:
    """A recipe that was asked for: its name, its settings, its seeds."""

    name: str
    recipe: Any
    seed: int
    world_seed: int

    @property
    def spec(self) -> dict[str, Any]:
        return {**to_spec(self.recipe), "world_seed": self.world_seed}

    @property
    def id(self) -> str:
        return f"{self.name}-{digest({'spec': self.spec, 'seed': self.seed})[:8]}"


def recipes() -> dict[str, type]:
    """Every recipe by name."""
    for module in pkgutil.iter_modules(rooms.__path__):
        importlib.import_module(f"{rooms.__name__}.{module.name}")
    return plugins("recipe")


def order(what: str, words: Sequence[str] = (), seed: int = 0, world_seed: int | None = None) -> Order:
    """Read a recipe by name, or from a YAML file with `recipe: NAME` and settings, then apply `key=value` words."""
    recipes()
    spec: dict[str, Any] = {}
    name = what
    if what.endswith((".yaml", ".yml")):
        spec = _read_yaml(Path(what))
        name = str(spec.pop("recipe", ""))
        seed, world_seed = int(spec.pop("seed", seed)), spec.pop("world_seed", world_seed)
        if not name:
            raise ConfigError(f"{what}: expected a line `recipe: NAME`; known recipes: {', '.join(plugins('recipe'))}")
    given = parse_words(words)
    seed = _whole("seed", given.pop("seed", seed))
    world_seed = _whole("world_seed", given.pop("world_seed", seed if world_seed is None else world_seed))
    return Order(name, from_spec(find("recipe", name), combine(spec, given)), seed, world_seed)


def carry_out(
    asked: Order,
    out: Path | None = None,
    show: Show | None = None,
    track: Callable[[str, int, Mapping[str, float]], None] | None = None,
    device: str = "cpu",
    save_every: float = 20.0,
) -> tuple[Path, dict[str, Any]]:
    """Run what was asked for, to its report; return the run's folder and the report."""
    folder, now = out or Path("runs") / asked.id, datetime.now(UTC)
    run = create(
        folder,
        Run(
            id=f"{folder.name}-{now:%Y%m%dT%H%M%S}",
            recipe=asked.name,
            spec=asked.spec,
            commit=git_commit(),
            seed=asked.seed,
            started=now.isoformat(timespec="seconds"),
        ),
    )
    with run.lock():
        extra = {} if track is None else {"track": track}
        studio = Studio(run, asked.seed, asked.world_seed, device, save_every, show or Quiet(), **extra)
        if isinstance(asked.recipe, Programme):
            found = asked.recipe.perform(studio)
        else:
            studio.make(asked.name, asked.recipe)
            found = report(studio)
        write(folder, found)
        record(run, studio)
    return folder, found


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path}: there is no such file")
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(found, dict):
        raise ConfigError(f"{path}: expected settings (key: value), got {type(found).__name__}")
    return found


def _whole(name: str, value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise ConfigError(f"{name}: expected a whole number, got {value!r}") from None


def use_threads(asked: int) -> int:
    """Set torch's CPU threads: as asked, or (0) whichever of one and all cores makes three small training steps sooner."""
    import torch

    from trueline.models.machine import choose_threads
    from trueline.models.policy import tiny
    from trueline.models.tokens import word_tokenizer
    from trueline.world.language import vocabulary

    if asked > 0:
        torch.set_num_threads(asked)
        return asked
    policy = tiny(word_tokenizer(vocabulary()))
    tokens = torch.randint(0, 100, (8, 128))

    def step() -> None:
        out = policy(tokens, torch.ones_like(tokens), frozenset({"logp"}))
        out.logp.sum().backward()

    return choose_threads(step)

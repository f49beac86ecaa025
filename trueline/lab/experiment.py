"""What an experiment is: a recipe of many stages whose last stage says which of its registered expectations held.

    @register("experiment", "E3")
    @dataclass(frozen=True, kw_only=True)
    class Sycophancy: ...                     # of_size, stages, perform: a Programme (recipes/studio.py)

Models that all experiments start from are made once a seed (bases.py). An experiment names them by `{base}`, as in
`start="{base}/pretrain"`, and by hand a folder takes that place:

    trueline lab run E3 --quick
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar, runtime_checkable

import trueline.lab as rooms
from trueline.core.config import ConfigError, from_spec, override, to_spec
from trueline.core.registry import find, plugins
from trueline.core.types import Rate
from trueline.lab.registration import registered
from trueline.recipes.studio import Programme, Recipe, Room, Studio

BASE = "{base}"
SIZES = ("smoke", "quick", "full")  # that it runs; one seed that says something; what the expectations were written for

E = TypeVar("E")


class Experiment(Programme, Protocol):
    """A programme that comes in sizes, and ends in the expectations registered under its name."""

    @classmethod
    def of_size(cls, size: str) -> Self: ...


@runtime_checkable
class TakesTarget(Protocol):
    """An experiment that also measures a model of one's own, by any TARGET."""

    @classmethod
    def on_target(cls, target: str, size: str) -> Programme: ...


def experiments() -> dict[str, type]:
    """Every experiment by name, in the order of their numbers."""
    for module in pkgutil.iter_modules(rooms.__path__):
        importlib.import_module(f"{rooms.__name__}.{module.name}")
    return dict(sorted(plugins("experiment").items(), key=lambda item: (len(item[0]), item[0])))


def experiment(name: str) -> type:
    """The experiment of that name, whatever the case of its letters."""
    experiments()
    return find("experiment", name.upper())


def based(recipe: E, folder: Path) -> E:
    """The same recipe with `{base}` replaced by the folder of the base models."""
    return from_spec(type(recipe), _filled(to_spec(recipe), str(folder)))


def sized(recipe: E, size: str, smoke: str, quick: str = "") -> E:
    """The recipe at a size, by `key=value` words; its own settings are those of `full`.

    >>> from trueline.recipes.sft import Sft
    >>> sized(Sft(n=900), "smoke", smoke="n=30 epochs=1").n
    30
    """
    if size not in SIZES:
        raise ConfigError(f"size: expected one of {', '.join(SIZES)}; got {size!r}")
    return override(recipe, {"smoke": smoke, "quick": quick, "full": ""}[size].split())


@dataclass(frozen=True, kw_only=True)
class Taken:
    """The last stage of an experiment whose recipe states expectations of its own: their values, under registered bounds."""

    experiment: str
    of: tuple[str, ...]  # stages that state expectations

    def reads(self) -> tuple[str, ...]:
        return self.of

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        said = {e["name"]: e for stage in self.of for e in studio.stages[stage].result.get("expectations", ())}
        entries = [entry for entry in registered(self.experiment).entries if entry.take]
        values = {entry.id: _value(said.get(entry.take)) for entry in entries}
        why = {entry.id: said[entry.take]["why"] for entry in entries if entry.take in said and said[entry.take]["why"]}
        return {"expectations": registered(self.experiment).expectations(values, why)}


def taken(name: str, stages: list[tuple[str, Recipe]], within: str = "") -> list[tuple[str, Recipe]]:
    """The stages of a recipe, and behind them the stage that holds their expectations against what is registered."""
    return [*stages, (f"{within}outcome-{name.lower()}", Taken(experiment=name, of=tuple(stage for stage, _ in stages)))]


def _value(said: Mapping[str, Any] | None) -> Rate | None:
    return Rate(**said["value"]) if said and said["value"] and said["status"] != "N/A" else None


def _filled(value: Any, folder: str) -> Any:
    if isinstance(value, str):
        return value.replace(BASE, folder)
    if isinstance(value, Mapping):
        return {key: _filled(inner, folder) for key, inner in value.items()}
    return [_filled(inner, folder) for inner in value] if isinstance(value, list | tuple) else value

"""The studio: what a recipe works with. Run folder, seed, world, progress, and where models and data are found.

A reference to a model or to data is a stage of this run (`safety`), a folder, a file, or `hf:NAME`; `world/...` is data that
the embedded world makes. A stage is skipped when nothing that it depends on has changed, and taken up where it was killed.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

import torch

from trueline.core.config import to_spec
from trueline.core.types import Completion
from trueline.models.adapters import WHOLE, Adapter
from trueline.models.folders import model_folder
from trueline.models.machine import roomy
from trueline.models.policy import Policy, RewardModel
from trueline.models.tokens import Example
from trueline.recipes.memory import watched
from trueline.recipes.progress import Quiet, Show
from trueline.recipes.ranked import PROJECT, fingerprint
from trueline.store.database import save_run, save_stage
from trueline.store.folders import content_hash, write_json
from trueline.store.opening import beside, open_beside
from trueline.store.runs import RunDirectory, stage_key
from trueline.train.annotate_preference import Table, remember
from trueline.train.loop import Loop
from trueline.train.reference_cache import ReferenceCache
from trueline.world.facts import World, make_world

if TYPE_CHECKING:
    from trueline.cluster.executor import Executor
    from trueline.cluster.mesh import Mesh

M = TypeVar("M", Policy, RewardModel)

KEPT = Path(".trueline/reference")  # beside the runs: what their references said


class RecipeError(ValueError):
    """A recipe that cannot be carried out as it was asked for."""


class Recipe(Protocol):
    """A frozen dataclass whose call does the work of one stage in a room of its own, and returns what to remember."""

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]: ...

    def reads(self) -> tuple[str, ...]:
        """References to what this stage starts from: stages, folders, files."""
        ...


@runtime_checkable
class Programme(Protocol):
    """A recipe of many stages: it asks the studio for each, and returns the report."""

    def perform(self, studio: Studio) -> dict[str, Any]: ...

    def stages(self) -> list[tuple[str, Recipe]]: ...


@dataclass(frozen=True)
class Stage:
    """A stage that is done: its result, its folder, and the key that stands for all it depends on."""

    name: str
    key: str
    folder: Path
    result: Mapping[str, Any]
    skipped: bool

    @property
    def model(self) -> Path:
        return self.folder / "model"


@dataclass(frozen=True)
class Room:
    """Where one stage works: its folder, its log, its seed."""

    name: str
    folder: Path
    studio: Studio

    def loop(self, show: tuple[str, ...] = ("loss",), micro_rows: int = 0) -> Loop:
        """A training loop that logs, shows and checkpoints here."""
        bar = self.studio.show.bar(self.name)

        def observe(step: int, metrics: Mapping[str, float]) -> None:
            self.studio.run.log(step, dict(metrics), self.name)
            self.studio.track(self.name, step, metrics)
            bar(step, {k: metrics[k] for k in show if k in metrics}, metrics.get("tokens", 0.0), metrics.get("seconds", 0.0))

        return Loop(
            micro_rows=micro_rows,
            checkpoints=self.folder / "checkpoint",
            save_every=self.studio.save_every,
            observe=observe,
            on_resume=lambda step: self.studio.run.truncate(step, self.name),
            mesh=self.studio.mesh,
            say=lambda text: self.studio.show.say(self.name, text),
        )

    def reference(self, policy: Policy, *sets: Iterable[Example]) -> list[Table]:
        """What `policy`, as it is now, says of each set of examples: kept beside the runs, for all that ask the same again."""
        cache = ReferenceCache(self.studio.run.folder.parent / KEPT)
        with self.shared(policy):
            found = cache.remember(policy, *sets)
        if reused := sum(len(each.table) for each in found if each.reused):
            text = f"the reference's log-probabilities of {reused:,} examples are reused, from {cache.folder}"
            self.studio.show.say(self.name, text)
        return [each.table for each in found]

    def read(self, policy: Policy, examples: Sequence[Example]) -> Table:
        """What `policy`, as it is now, says of examples."""
        with self.shared(policy):
            return remember(policy, examples)

    def shared(self, policy: Policy) -> AbstractContextManager[None]:
        """In here all ranks read what `policy` says, where there are others."""
        if self.studio.mesh is None:
            return nullcontext()
        from trueline.train.team import reading  # with what of torch.distributed takes seconds to import

        return reading(self.studio.mesh, policy)

    def curve(self) -> list[dict[str, Any]]:
        """The rows of metrics that this stage has logged."""
        return [dict(row) for row in self.studio.run.metrics(self.name)]

    def phases(self) -> dict[str, float]:
        """Seconds of each phase of this stage's steps, as far as they were logged (`seconds_PHASE`)."""
        spent: dict[str, float] = {}
        for row in self.curve():
            for phase, value in row.items():
                if phase.startswith("seconds_"):
                    spent[phase] = spent.get(phase, 0.0) + value
        return {phase.removeprefix("seconds_"): value for phase, value in spent.items()}

    def keep(self, step: int, completions: Iterable[Completion]) -> None:
        """Add exchanges of this step to the run's samples."""
        self.studio.run.add_samples(step, completions, self.name)


@dataclass(frozen=True)
class Studio:
    """A run in progress."""

    run: RunDirectory
    seed: int = 0
    world_seed: int = 0
    device: str = "cpu"
    compute_dtype: torch.dtype = torch.float32
    save_every: float = 20.0  # seconds between training checkpoints
    show: Show = field(default_factory=Quiet)
    track: Callable[[str, int, Mapping[str, float]], None] = field(default=lambda stage, step, metrics: None)
    stages: dict[str, Stage] = field(default_factory=dict)
    mesh: Mesh | None = None  # the ranks that train with this one
    executor: Executor | None = None  # the workers that answer what recipes ask of models

    @cached_property
    def world(self) -> World:
        return make_world(self.world_seed)

    def make(self, name: str, recipe: Recipe, also: Iterable[str] = ()) -> Stage:
        """Carry out a recipe as the stage `name`, unless it is done already; `also` names further stages it depends on."""
        spec = {"recipe": type(recipe).__name__, "seed": self.seed, "world": self.world_seed, **to_spec(recipe)}
        reads = [r for r in (*recipe.reads(), *also) if r]
        key = stage_key(spec, [self._fingerprint(r) for r in reads])
        there = self.run.stage(name, key)
        if there.state == "done":
            result = json.loads((there.folder / "result.json").read_text(encoding="utf-8"))
            self.show.say(name, "unchanged, not run again")
            return self._remember(Stage(name, key, there.folder, result, skipped=True))
        there.begin()
        if not any((there.folder / "checkpoint").glob("step-*")):
            self.run.truncate(-1, name)  # from the first step again: what an earlier sitting logged is logged anew
        self.show.begin(name, again=there.state == "partial")
        began, busy = time.perf_counter(), _core_seconds()
        torch.manual_seed(self.seed)
        with watched(name, recipe, self.device) as memory:
            made = recipe(self, Room(name, there.folder, self))
        result: dict[str, Any] = {**memory, **made}
        result["wall"] = time.perf_counter() - began  # of this sitting; `seconds` is training alone, over all sittings
        result["core_seconds"] = _core_seconds() - busy  # likewise; whatever else the machine did, it is not in here
        result.setdefault("seconds", result["wall"])
        result.setdefault("parent", next((r for r in reads if r in self.stages), None))
        write_json(there.folder / "result.json", result)
        shutil.rmtree(there.folder / "checkpoint", ignore_errors=True)
        there.finish({k: v for k, v in result.items() if isinstance(v, int | float | str)})
        numbers = {k: v["value"] for k, v in numbers_of(result).items() if k not in ("wall", "core_seconds")}
        self.show.end(name, result["wall"], numbers)
        return self._remember(Stage(name, key, there.folder, result, skipped=False))

    def model(self, reference: str) -> str:
        """The folder or hub name that a reference to a model stands for."""
        return str(self.stages[reference].model) if reference in self.stages else model_folder(reference)

    def policy(self, reference: str, frozen: bool = False, adapter: Adapter = WHOLE) -> Policy:
        """Load the model that a reference names, to be trained as `adapter` says."""
        loaded = self.ready(Policy.load(self.model(reference))).adapt(adapter)
        if frozen:
            loaded.requires_grad_(False)
        return loaded

    def ready(self, model: M) -> M:
        """The same model, where and in what this run computes; on a mesh what is too large for one GPU waits beside it."""
        size = sum(p.nbytes for p in model.parameters())
        if self.mesh is None or roomy(torch.device(self.device), size):
            model.to(self.device)
        model.compute_in(self.compute_dtype)
        return model

    def reward_model(self, reference: str) -> RewardModel:
        """Load the reward model that a reference names, frozen."""
        loaded = self.ready(RewardModel.load(self.model(reference)))
        loaded.requires_grad_(False)
        return loaded

    def file(self, reference: str, name: str) -> str:
        """The file that a reference names: `name` inside the stage's folder, or the path itself."""
        return str(self.stages[reference].folder / name) if reference in self.stages else reference

    def _fingerprint(self, reference: str) -> str:
        if reference in self.stages:
            return self.stages[reference].key
        if reference.startswith(PROJECT):
            with beside(self.run.folder) as database:
                return fingerprint(reference, database)  # what people say changes with every answer
        path = Path(reference)
        return content_hash(path) if path.exists() else reference

    def _remember(self, stage: Stage) -> Stage:
        self.stages[stage.name] = stage
        return stage


def numbers_of(result: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The numbers in a stage's result, rates before plain ones; those of a group such as `before` are `before.accuracy`."""
    groups = {k: v for k, v in result.items() if isinstance(v, Mapping) and "value" not in v}
    flat = {k: v for k, v in result.items() if k not in groups and k not in ("seconds", "tokens")}
    flat |= {f"{group}.{k}": v for group, inner in groups.items() for k, v in inner.items()}
    rates = {k: v for k, v in flat.items() if isinstance(v, Mapping) and "value" in v}
    return rates | {k: {"value": v} for k, v in flat.items() if isinstance(v, int | float)}


def _core_seconds() -> float:
    """Seconds that this process and those that it has waited for spent on cores."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def record(run: RunDirectory, studio: Studio) -> None:
    """Put the run and its stages into the database that stands beside the runs."""
    engine = open_beside(run.folder)
    save_run(engine, run.run)
    for stage in studio.stages.values():
        values = {k: v for k, v in stage.result.items() if isinstance(v, int | float | str)}
        save_stage(engine, run.run.id, stage.name, stage.key, "done", values)

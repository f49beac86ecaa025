"""Carrying out a recipe from the outside: read it by name or file, open its run folder, run it, write its report.

The run folder is named after the recipe and a hash of its settings, so the same command finds the same folder: what is done is
not done again, and what was killed goes on. With an executor seeds are run side by side first, each where it lies anyway, and
then read like any that are done: so the report is the same, and a seed that failed elsewhere fails here, where that is shown.
"""

from __future__ import annotations

import errno
import importlib
import pkgutil
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

import trueline.recipes as rooms
from trueline.core.config import ConfigError, combine, from_spec, parse_words, to_spec
from trueline.core.files import DiskFullError
from trueline.core.registry import find, plugins
from trueline.core.types import Run
from trueline.data.yaml_files import read_yaml
from trueline.models.machine import dtype_for
from trueline.recipes.looking import look
from trueline.recipes.progress import Quiet, Show
from trueline.recipes.replicating import at_seed, every_seed
from trueline.recipes.reporting import report, write
from trueline.recipes.studio import Programme, Studio, record
from trueline.recipes.workers import runs_of, side_by_side
from trueline.store.folders import digest, git_commit, lock, unfinished
from trueline.store.runs import RunDirectory, create

if TYPE_CHECKING:
    from trueline.cluster.executor import Executor
    from trueline.cluster.mesh import Mesh

ONE_SEED = "trueline.recipes.running:one_seed"
DISK_FULL = ("No space left on device", "Disk quota exceeded", "disk is full")  # in the words of the system, and of SQLite


@dataclass(frozen=True)
class Order:
    """A recipe that was asked for: its name, its settings, its seeds."""

    name: str
    recipe: Any
    seed: int
    world_seed: int | None  # None: that of the seed
    seeds: int = 1  # runs, with seeds that follow each other

    @property
    def world(self) -> int:
        return self.seed if self.world_seed is None else self.world_seed

    @property
    def spec(self) -> dict[str, Any]:
        return {**to_spec(self.recipe), "world_seed": self.world}

    @property
    def id(self) -> str:
        more = {"seeds": self.seeds} if self.seeds > 1 else {}
        return f"{self.name}-{digest({'spec': self.spec, 'seed': self.seed, **more})[:8]}"

    def at(self, seed: int) -> Order:
        """The same order for one seed."""
        return replace(self, recipe=at_seed(self.recipe, seed), seed=seed, seeds=1)


def recipes() -> dict[str, type]:
    """Every recipe by name."""
    for module in pkgutil.iter_modules(rooms.__path__):
        importlib.import_module(f"{rooms.__name__}.{module.name}")
    return plugins("recipe")


def order(
    what: str,
    words: Sequence[str] = (),
    seed: int | None = None,
    world_seed: int | None = None,
) -> Order:
    """Read a recipe by name, or from a YAML file with `recipe: NAME` and settings, then apply `key=value` words.

    What is said later wins: the file, the seeds given here, the words. Seeds that nobody says are 0 and the seed.
    `size=NAME` of a recipe that comes in sizes is what all the others are said on top of.
    """
    recipes()
    spec: dict[str, Any] = {}
    name = what
    if what.endswith((".yaml", ".yml")):
        spec = _read_yaml(Path(what))
        name = str(spec.pop("recipe", ""))
        if not name:
            raise ConfigError(f"{what}: expected a line `recipe: NAME`; known recipes: {', '.join(plugins('recipe'))}")
    seeds = {k: v for k, v in (("seed", seed), ("world_seed", world_seed)) if v is not None}
    given = combine(spec, combine(seeds, parse_words(words)))
    used, count = _whole("seed", given.pop("seed", 0)), _whole("seeds", given.pop("seeds", 1))
    world = _whole("world_seed", given.pop("world_seed")) if "world_seed" in given else None
    if count < 1:
        raise ConfigError(f"seeds: expected 1 or more, got {count}")
    kind = find("recipe", name)
    if "size" in given and hasattr(kind, "of_size"):
        given = combine(to_spec(kind.of_size(str(given.pop("size")))), given)
    found = Order(name, from_spec(kind, given), used, world, count)
    return found if count > 1 else found.at(used)


def place(asked: Order, out: Path | None = None) -> RunDirectory:
    """Make the run's folder, or find it; by default it is named after the recipe and a hash of its settings."""
    folder, now = out or Path("runs") / asked.id, datetime.now(UTC)
    return create(
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


def carry_out(
    asked: Order,
    out: Path | None = None,
    show: Show | None = None,
    track: Callable[[str, int, Mapping[str, float]], None] | None = None,
    device: str = "cpu",
    dtype: str = "auto",
    save_every: float = 20.0,
    mesh: Mesh | None = None,
    executor: Executor | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Run what was asked for, to its report; return the run's folder and the report. On a mesh only rank 0 does.

    With an executor workers run the seeds, and `track` hears of none; of a single seed they answer what it asks of models.
    """
    check_device(device)
    foresee(asked, out)
    if asked.seeds > 1:
        how = {"device": device, "dtype": dtype, "save_every": save_every}
        again = partial(carry_out, show=show, track=track, mesh=mesh, **how)
        return _carry_out_every_seed(asked, out or Path("runs") / asked.id, how, again, show or Quiet(), executor)
    with _one_error_for_a_full_disk(out or Path("runs")):
        run = place(asked, out)
        with run.lock():
            extra = {} if track is None else {"track": track}
            used = dtype_for(device, dtype)
            studio = Studio(
                run, asked.seed, asked.world, device, used, save_every, show or Quiet(), mesh=mesh, executor=executor, **extra
            )
            if isinstance(asked.recipe, Programme):
                found = asked.recipe.perform(studio)
            else:
                studio.make(asked.name, asked.recipe)
                found = report(studio)
            write(run.folder, found)
            record(run, studio)
    return run.folder, found


def _carry_out_every_seed(
    asked: Order,
    folder: Path,
    how: Mapping[str, Any],
    again: Callable[[Order, Path], tuple[Path, dict[str, Any]]],
    show: Show,
    executor: Executor | None,
) -> tuple[Path, dict[str, Any]]:
    """Run each seed in a folder of its own inside `folder`, and pool them there."""
    seeds = range(asked.seed, asked.seed + asked.seeds)
    with _one_error_for_a_full_disk(folder), lock(folder / "run.lock"):
        for left in filter(unfinished, list(folder.iterdir())):  # by who was killed while it pooled; each run settles its own
            left.unlink()
        if executor is not None:
            side_by_side(ONE_SEED, runs_of(asked, folder, how), executor, asked.name, show)
        found = every_seed(folder, asked.name, seeds, lambda seed, one: again(asked.at(seed), one), show.say)
        write(folder, found)
    return folder, found


def one_seed(item: Mapping[str, Any], bench: object) -> bool:
    """Run one seed of an order, in a worker; its report lies in the run's folder. False: it failed."""
    recipes()
    name, seed = item["recipe"], item["seed"]
    asked = Order(name, from_spec(find("recipe", name), item["settings"]), seed, item["world_seed"]).at(seed)
    return tried(lambda: carry_out(asked, Path(item["folder"]), **item["how"]))


def tried(work: Callable[[], object]) -> bool:
    """Do what one seed asks for in a worker, on one thread. False: it failed, and whoever runs this seed again shows why."""
    use_threads(1)
    try:
        work()
    except Exception:
        return False
    return True


def check_device(name: str) -> None:
    """Refuse a device that this machine does not have, before work starts."""
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:  # torch asserts that it was built with CUDA
        there = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        raise ConfigError(f"device {name!r}: expected one of {', '.join(there)}: {str(error).partition(chr(10))[0]}") from None


def foresee(asked: Order, out: Path | None = None) -> None:
    """Raise what would end a run later, of every seed that it will be made with; nothing is written."""
    folder = out or Path("runs") / asked.id
    for seed in range(asked.seed, asked.seed + asked.seeds):
        one = asked.at(seed)
        told = Run(id=folder.name, recipe=one.name, spec=one.spec, seed=seed)
        try:
            look(one.name, one.recipe, Studio(RunDirectory(folder, told), seed, one.world))
        except ValueError as error:
            if asked.seeds == 1:
                raise
            raise ConfigError(f"seed {seed}: {error}") from error


@contextmanager
def _one_error_for_a_full_disk(folder: Path) -> Iterator[None]:
    """Say in our words that the disk is full: safetensors, tokenizers and SQLite each raise an error of their own for it."""
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if not any(words in str(error) for words in DISK_FULL):
            raise
        there = next(p for p in (folder.absolute(), *folder.absolute().parents) if p.exists())
        free = shutil.disk_usage(there).free
        raise DiskFullError(
            errno.ENOSPC,
            f"disk full ({free:,} bytes free); free some space and run the same command again: it goes on where it stopped",
            str(folder),
        ) from error


def _read_yaml(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path}: expected a recipe file, found none of that name; `trueline show RECIPE --yaml` prints one")
    found = read_yaml(path)
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
    from trueline.models.allocation import few_kernels, keep_memory
    from trueline.models.machine import choose_threads, cores
    from trueline.models.policy import tiny
    from trueline.models.tokens import word_tokenizer
    from trueline.world.language import vocabulary

    keep_memory()
    few_kernels()
    if asked > 0:
        torch.set_num_threads(asked)
        return asked
    policy = tiny(word_tokenizer(vocabulary()))
    tokens = torch.randint(0, 100, (8, 128))

    def step() -> None:
        out = policy(tokens, torch.ones_like(tokens), frozenset({"logp"}))
        out.logp.sum().backward()

    chosen = choose_threads(step)
    for _ in range(2):  # what runs beside us for a moment must not decide for hours
        if chosen >= cores():
            break
        time.sleep(1)
        chosen = choose_threads(step)
    return chosen

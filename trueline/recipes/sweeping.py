"""One recipe at several settings: every combination is a run of its own, or one a seed, and one report puts them side by side.

    trueline run dpo start=MODEL data=pairs.jsonl --sweep objective.beta=0.05,0.1,0.2
    trueline run sft start=MODEL data=answers.jsonl --sweep optim.lr=1e-4,3e-4 --sweep epochs=1,2 seeds=3 --workers 4

The folder is named after what all have in common, and each run after its own settings: a value that is added later is run
beside those that are done. A run that fails leaves its reason in the report, and the others go on. With an executor all runs
are made side by side first (workers.py), and read here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trueline.core.config import ConfigError
from trueline.core.files import DiskFullError
from trueline.evaluate.swept import Point, story
from trueline.recipes import running
from trueline.recipes.progress import Quiet, Show
from trueline.recipes.reporting import write
from trueline.recipes.running import ONE_SEED, Order, order
from trueline.recipes.workers import runs_of, side_by_side
from trueline.store.folders import digest, lock, unfinished

if TYPE_CHECKING:
    from trueline.cluster.executor import Executor
    from trueline.cluster.mesh import Mesh

Track = Callable[[str, int, Mapping[str, float]], None]
SEEDS = ("seed", "seeds", "world_seed")


@dataclass(frozen=True)
class Combination:
    """One value of every setting that is swept, as they were said, and what is run with them."""

    at: Mapping[str, str]
    asked: Order

    @property
    def name(self) -> str:
        return ", ".join(f"{key}={value}" for key, value in self.at.items())


@dataclass(frozen=True)
class Sweep:
    """A recipe at every combination of some settings' values."""

    combinations: tuple[Combination, ...]

    @property
    def name(self) -> str:
        return self.first.name

    @property
    def id(self) -> str:
        """The recipe, and a hash of what all have in common."""
        swept = sorted(self.combinations[0].at)
        common = {"spec": _without(self.first.spec, swept), "seed": self.first.seed, "seeds": self.first.seeds, "swept": swept}
        return f"{self.name}-sweep-{digest(common)[:8]}"

    @property
    def first(self) -> Order:
        return self.combinations[0].asked


def sweep(
    what: str, words: Sequence[str], swept: Sequence[str], seed: int | None = None, world_seed: int | None = None
) -> Sweep:
    """Read `KEY=VALUE,VALUE` beside what `running.order` reads; values that hold commas themselves are parted by `;`."""
    values = dict(_values(word) for word in swept)
    if len(values) < len(swept):
        raise ConfigError(f"--sweep: expected each setting once, with all its values, got {', '.join(swept)}")
    for key in values:
        if key in SEEDS:
            raise ConfigError(f"--sweep {key}: expected a setting of the recipe; seeds=3 runs every setting with three seeds")
        if any(word.partition("=")[0] == key for word in words):
            raise ConfigError(f"{key}: expected it with --sweep or alone, got both")
    found: dict[str, Combination] = {}
    for chosen in product(*values.values()):
        at = dict(zip(values, chosen, strict=True))
        asked = order(what, (*words, *(f"{key}={value}" for key, value in at.items())), seed, world_seed)
        one = Combination(at, asked)
        other = found.setdefault(asked.id, one)
        if other is not one:
            raise ConfigError(f"--sweep: expected settings that differ, got {other.name} and {one.name}, which are the same")
    return Sweep(tuple(found.values()))


def foresee(asked: Sweep, out: Path | None = None) -> None:
    """Raise what would end any of the runs later; nothing is written."""
    for one in asked.combinations:
        try:
            running.foresee(one.asked, _folder(asked, out) / one.asked.id)
        except ValueError as error:
            raise ConfigError(f"{one.name}: {error}") from error


def carry_out(
    asked: Sweep,
    out: Path | None = None,
    show: Show | None = None,
    track: Callable[[str, Path], AbstractContextManager[Track | None]] = lambda name, folder: nullcontext(),
    device: str = "cpu",
    dtype: str = "auto",
    save_every: float = 20.0,
    mesh: Mesh | None = None,
    executor: Executor | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Run all, to one report; return the folder and the report. `track` opens what is told of the steps of one combination.

    Raises what the last run raised where every one failed.
    """
    running.check_device(device)
    foresee(asked, out)
    folder, show = _folder(asked, out), show or Quiet()
    how = {"device": device, "dtype": dtype, "save_every": save_every}
    with lock(folder / "run.lock"):
        for left in filter(unfinished, list(folder.iterdir())):  # by who was killed while it wrote the report
            left.unlink()
        if executor is not None:
            side_by_side(ONE_SEED, _apart(asked, folder, how), executor, asked.name, show, "runs")
        points: list[Point] = []
        for one in asked.combinations:
            show.say(asked.name, f"{one.name}, {len(points) + 1} of {len(asked.combinations)}")
            there = folder / one.asked.id
            try:
                with track(one.name, there) as told:
                    _, found = running.carry_out(one.asked, there, show, told, mesh=mesh, **how)
                points.append(Point(one.name, one.at, found))
            except Exception as error:
                points.append(Point(one.name, one.at, None, " ".join(str(error).split()) or type(error).__name__))
                show.say(asked.name, f"{one.name} failed: {points[-1].why}")
                none = all(point.report is None for point in points) and len(points) == len(asked.combinations)
                if none or mesh is not None or isinstance(error, DiskFullError):  # ranks may be in the middle of something
                    raise
        found = _report(asked, folder, points)
        write(folder, found)
    return folder, found


def _report(asked: Sweep, folder: Path, points: Sequence[Point]) -> dict[str, Any]:
    """The report of all, in the shape of evaluate/shape.py."""
    made = {point.name: point.report for point in points if point.report is not None}
    first = next(iter(made.values()))
    failed = [point.name for point in points if point.report is None]
    return {
        "run": folder.name,
        "recipe": asked.name,
        "seed": asked.first.seed,
        "commit": first["commit"],
        "seconds": sum(report["seconds"] for report in made.values()),
        "versions": first["versions"],
        "stages": [_stage(point) for point in points],
        "gates": [
            {**gate, "name": f"{name}: {gate['name']}"} for name, report in made.items() for gate in report.get("gates", [])
        ],
        "ladder": [{**report["ladder"][-1], "stage": name} for name, report in made.items() if report.get("ladder")],
        "shown": [{"stage": "settings", **story(points)}],
        "expectations": [],  # a table of `story` has them: they were written for one setting, and not for the best of several
        "not_measured": [*([f"what failed: {', '.join(failed)}"] if failed else []), *first.get("not_measured", [])],
        "provenance": {"settings": {one.name: one.asked.id for one in asked.combinations}},
    }


def _stage(point: Point) -> dict[str, Any]:
    """A combination as a stage; the table of `story` has its numbers."""
    failed = point.report is None
    seconds = None if point.report is None else point.report["seconds"]
    return {
        "name": point.name,
        "status": "failed" if failed else "done",
        "seconds": seconds,
        "tokens": None,
        "parent": None,
        "metrics": {},
    }


def _apart(asked: Sweep, folder: Path, how: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """What workers are told of every run, by its name."""
    return {
        f"{one.name}, {seed}": told
        for one in asked.combinations
        for seed, told in runs_of(one.asked, folder / one.asked.id, how).items()
    }


def _folder(asked: Sweep, out: Path | None) -> Path:
    return out or Path("runs") / asked.id


def _values(word: str) -> tuple[str, tuple[str, ...]]:
    key, _, said = word.partition("=")
    values = tuple(value.strip() for value in said.split(";" if ";" in said else ",") if value.strip())
    if not key or len(values) < 2:
        raise ConfigError(
            f"--sweep: expected KEY=VALUE,VALUE with two values or more, got {word!r}; 'KEY=a,b;c' where they hold commas"
        )
    return key, values


def _without(spec: Mapping[str, Any], keys: Sequence[str]) -> dict[str, Any]:
    """A spec without some settings, which are dotted where they lie deeper."""
    found = dict(spec)
    for key in keys:
        name, _, rest = key.partition(".")
        if rest and isinstance(found.get(name), Mapping):
            found[name] = _without(found[name], [rest])
        else:
            found.pop(name, None)
    return found

"""A run directory: one folder holds everything about a run, and a run that was killed goes on where it stopped.

    config.yaml     recipe, seed and spec: what to run again
    run.json        where it came from (core.types.Run)
    metrics.jsonl   one JSON object a line: stage, step, and what was measured
    samples.jsonl   one JSON object a line: stage, step, and a record
    stages/NAME/    what a stage made; started.json holds its key, done.json is written last
    checkpoints/    report.html

A stage whose inputs and config hash are unchanged is not run again:

    stage = run.stage("sft", stage_key(spec, parents=[pretrain.key], data=content_hash(file)))
    if stage.state != "done":
        stage.begin()                    # clears what another key left; keeps what a killed run of this key left
        ...                              # write into stage.folder
        stage.finish({"loss": 1.2})
"""

from __future__ import annotations

import json
import math
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

from trueline.core.files import raise_if_disk_full, write_lines
from trueline.core.records import RecordError, from_dict, from_json, json_line, nearest, to_dict
from trueline.core.types import Run
from trueline.store.folders import digest, lock, settle, unfinished, write_json, write_text

T = TypeVar("T")
State = Literal["new", "partial", "done"]
Value = float | int | str | bool | None
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*(/[A-Za-z0-9][A-Za-z0-9_.-]*)*")


class RunError(ValueError):
    """A run directory that is not what the caller takes it for."""


def stage_key(spec: Mapping[str, object], parents: Iterable[str] = (), data: str = "") -> str:
    """Hash what a stage depends on: its settings, the keys of the stages it reads (in order) and its data's content hash.

    The code is no part of it: a changed comment must not throw a day's work away. A stage whose code changes what it makes
    says so by a setting.
    """
    return digest({"spec": spec, "parents": list(parents), "data": data})


@dataclass(frozen=True)
class Stage:
    """One stage of a run, as it stood when it was asked for."""

    name: str
    key: str
    folder: Path
    state: State
    metrics: Mapping[str, Value]  # empty until it is done

    def begin(self) -> None:
        """Make the folder ready; what a killed run of the same key left in it stays, anything else goes."""
        if self.state == "new":
            (self.folder / "done.json").unlink(missing_ok=True)  # first: a half-emptied folder must not count as done
            shutil.rmtree(self.folder, ignore_errors=True)
            write_json(self.folder / "started.json", {"name": self.name, "key": self.key})

    def finish(self, metrics: Mapping[str, Value]) -> Stage:
        """Say that the stage is done, last of all; return it as it now stands."""
        files = {
            path.relative_to(self.folder).as_posix(): path.stat().st_size
            for path in sorted(self.folder.rglob("*"))
            if path.is_file() and path.name not in ("done.json", "started.json")
        }
        done = {"name": self.name, "key": self.key, "metrics": _out(metrics), "files": files}
        write_json(self.folder / "done.json", done)
        return Stage(self.name, self.key, self.folder, "done", dict(metrics))


@dataclass(frozen=True)
class RunDirectory:
    """A folder that holds one run. Make it with `create` or find it with `open_run`; write to it inside `lock()`."""

    folder: Path
    run: Run

    @property
    def checkpoints(self) -> Path:
        """Where checkpoints that belong to no stage go."""
        return self.folder / "checkpoints"

    @property
    def report(self) -> Path:
        """Where the report is."""
        return self.folder / "report.html"

    def lock(self) -> AbstractContextManager[None]:
        """Hold the run for writing; a BusyError says who else does. What a killed writer left is put right first."""
        return self._locked()

    def stage(self, name: str, key: str) -> Stage:
        """Look a stage up: done (this key, and all it made is there), partial (this key, cut off) or new."""
        if not _NAME.fullmatch(name):
            raise RunError(f"{name!r}: expected a stage name of letters, digits, '_', '.', '-', with '/' between parts")
        folder = self.folder / "stages" / name
        done = _read_json(folder / "done.json")
        if done.get("key") == key and all(
            (folder / file).is_file() and (folder / file).stat().st_size == size for file, size in done["files"].items()
        ):
            return Stage(name, key, folder, "done", _in(done["metrics"]))
        cut_off = not done and _read_json(folder / "started.json").get("key") == key
        return Stage(name, key, folder, "partial" if cut_off else "new", {})

    def log(self, step: int, values: Mapping[str, Value], stage: str = "") -> None:
        """Append one row of metrics."""
        if taken := {"stage", "step"} & values.keys():
            raise ValueError(f"metric {min(taken)!r}: this name is the row's own; give the metric another")
        _append(self.folder / "metrics.jsonl", {"stage": stage, "step": step, **_out(values)})

    def metrics(self, stage: str | None = None) -> list[dict[str, Value]]:
        """Read the rows of metrics, of one stage or of all."""
        return [_in(row) for row in _rows(self.folder / "metrics.jsonl") if stage in (None, row["stage"])]

    def add_samples(self, step: int, records: Iterable[object], stage: str = "") -> None:
        """Append records (completions, attempts, ...) that were seen at a step."""
        for record in records:
            _append(self.folder / "samples.jsonl", {"stage": stage, "step": step, "record": to_dict(record)})

    def samples(self, kind: type[T], stage: str | None = None) -> list[T]:
        """Read the sampled records of one kind of file, of one stage or of all."""
        path = self.folder / "samples.jsonl"
        return [from_dict(kind, row["record"], str(path)) for row in _rows(path) if stage in (None, row["stage"])]

    def append(self, name: str, row: Mapping[str, object]) -> None:
        """Append one row to a JSONL file of the run's own, in one write."""
        _append(self.folder / name, row)

    def rows(self, name: str) -> list[dict[str, Any]]:
        """Read the rows of a JSONL file of the run's own; a torn last line is not there."""
        return _rows(self.folder / name)

    def truncate(self, step: int, stage: str = "") -> None:
        """Drop a stage's metrics and samples that are later than a step: on resuming, they are made again."""
        for name in ("metrics.jsonl", "samples.jsonl"):
            rows = _rows(self.folder / name)
            kept = [row for row in rows if row["stage"] != stage or row["step"] <= step]
            if len(kept) < len(rows):
                write_lines(self.folder / name, map(json_line, kept))

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with lock(self.folder / "run.lock"):
            settle(self.folder)
            yield


def create(folder: str | Path, run: Run) -> RunDirectory:
    """Make a run directory, or find the one that is there already if it has the same recipe, seed and spec."""
    folder = Path(folder)
    if (folder / "run.json").is_file():
        there = open_run(folder)
        if difference := _difference(_config(there.run), _config(run)):
            raise RunError(f"{folder}: holds another run: {difference}; choose another folder, or remove this one")
        return there
    strange = folder.is_dir() and any(not unfinished(entry) for entry in folder.iterdir())
    if strange and not (folder / "config.yaml").is_file():
        raise RunError(f"{folder}: expected a new or empty folder or a run, found other files; choose another folder")
    write_text(folder / "config.yaml", yaml.safe_dump(_config(run), sort_keys=False, allow_unicode=True))
    write_json(folder / "run.json", to_dict(run))  # last: it makes the folder a run
    return open_run(folder)


def open_run(folder: str | Path) -> RunDirectory:
    """Find the run that a folder holds."""
    folder = Path(folder)
    path = folder / "run.json"
    if not path.is_file():
        beside = [other.parent.name for other in folder.parent.glob("*/run.json")] if folder.parent.is_dir() else []
        raise RunError(f"{folder}: expected a run directory, found no run.json{nearest(folder.name, beside)}")
    return RunDirectory(folder, from_json(Run, path.read_text(encoding="utf-8"), str(path)))


def _config(run: Run) -> dict[str, object]:
    values = to_dict(run)
    return {name: values[name] for name in ("recipe", "seed", "spec")}


def _difference(old: Mapping[str, object], new: Mapping[str, object], where: str = "") -> str:
    for key in [*old, *(key for key in new if key not in old)]:
        mine, other = old.get(key), new.get(key)
        if isinstance(mine, Mapping) and isinstance(other, Mapping):
            if deeper := _difference(mine, other, f"{where}{key}."):
                return deeper
        elif mine != other:
            return f"{where}{key} is {mine!r} there and {other!r} here"
    return ""


def _read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _append(path: Path, row: Mapping[str, object]) -> None:
    """Append a row in one write; a torn last line, which a killed writer left, is cut off first."""
    line = json_line(row).encode() + b"\n"
    try:
        with path.open("a+b") as handle:
            end = handle.tell()
            if end:
                handle.seek(end - 1)
                if handle.read(1) != b"\n":
                    handle.truncate(path.read_bytes().rfind(b"\n") + 1)
            handle.write(line)
    except OSError as error:
        raise_if_disk_full(error, path, len(line))
        raise


def _rows(path: Path) -> list[dict[str, Any]]:
    """Read the whole rows of a file; a torn last line is not there."""
    if not path.is_file():
        return []
    lines = path.read_bytes().split(b"\n")[:-1]  # the last piece is empty, or torn
    rows = []
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise RecordError(
                f"{path}:{number}: expected one JSON object, got {line[:40]!r}: {error}; remove the line to go on"
            ) from None
    return rows


def _out(values: Mapping[str, Value]) -> dict[str, Value]:
    """Write NaN and infinities as text: strict JSON has no other place for them."""
    for name, value in values.items():
        if not isinstance(value, float | int | str | bool | None):
            raise TypeError(f"metric {name!r}: expected a number, text, true, false or None, got {type(value).__name__}")
    return {n: str(v) if isinstance(v, float) and not math.isfinite(v) else v for n, v in values.items()}


def _in(row: Mapping[str, Value]) -> dict[str, Value]:
    return {name: float(value) if value in ("nan", "inf", "-inf") else value for name, value in row.items()}

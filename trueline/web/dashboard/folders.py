"""Run folders as pages ask for them: the runs of one folder, latest first, and one of them by its name.

A name comes from an address, so anybody may have written it. It is looked up among the folder's own entries and never joined to
a path, and an entry that leads elsewhere (a link) is none: nothing outside of the runs folder is ever opened.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from trueline.core.records import from_json
from trueline.core.types import Run
from trueline.web.dashboard.kept import Kept, stamp_of
from trueline.web.site.room import NotThere

Status = Literal["done", "under way", "stopped"]
UNDER_WAY = 180.0  # seconds since a run wrote last: what is silent for longer was stopped, or waits for a lock
LARGEST = 64 << 20  # bytes of a report that is read for a page
WRITTEN = ("metrics.jsonl", "samples.jsonl", "items.jsonl", "run.json", "stages")  # what a run at work touches
_RUNS: Kept = Kept(2000)
_REPORTS: Kept = Kept(24)


@dataclass(frozen=True, slots=True, kw_only=True)
class Folder:
    """A run's folder: its name, where it is, whose run it holds, and how it stands."""

    name: str
    path: Path
    run: Run
    status: Status


def run_folders(runs: Path) -> list[Folder]:
    """Every run below the folder of runs, the one that started last first. Folders that hold no run are passed over."""
    found = [folder for name in _names(runs) if (folder := _folder(runs / name)) is not None]
    return sorted(found, key=lambda one: (one.run.started, one.name), reverse=True)


def folder_named(runs: Path, name: str) -> Folder:
    """The run folder of that name. Raises NotThere for whatever is no entry of the folder of runs."""
    found = _folder(runs / name) if name in _names(runs) else None
    if found is None:
        raise NotThere(f"there is no run folder called {name!r:.80} here; trueline web --runs says where runs are")
    return found


def folder_of(runs: Path, id_: str) -> Folder | None:
    """The folder that holds the run of an id; None where none does."""
    return next((folder for folder in run_folders(runs) if folder.run.id == id_), None)


def report_of(folder: Folder) -> Mapping[str, Any] | None:
    """What the run's report.json holds; None where it is not there yet, or is not JSON."""
    path = folder.path / "report.json"
    stamp = stamp_of(path)
    if stamp is None or stamp[2] > LARGEST or path.is_symlink():
        return None
    return _REPORTS.get(path, stamp, lambda: _read(path))


def _names(runs: Path) -> set[str]:
    try:
        return {entry.name for entry in runs.iterdir() if entry.is_dir() and not entry.is_symlink()}
    except OSError:
        return set()


def _folder(path: Path) -> Folder | None:
    record = path / "run.json"
    stamp = stamp_of(record)
    if stamp is None or record.is_symlink():
        return None
    run = _RUNS.get(record, stamp, lambda: _run(record))
    return None if run is None else Folder(name=path.name, path=path, run=run, status=_status(path))


def _run(path: Path) -> Run | None:
    try:
        return from_json(Run, path.read_text(encoding="utf-8"), path.name)
    except (OSError, ValueError, RecursionError):
        return None


def _status(path: Path) -> Status:
    report = stamp_of(path / "report.json")
    last = max((stamp[1] for name in WRITTEN if (stamp := stamp_of(path / name)) is not None), default=0)
    if report is not None and report[1] >= last - 10**9:
        return "done"
    if time.time() - last / 1e9 < UNDER_WAY:
        return "under way"
    return "done" if report is not None else "stopped"


def _read(path: Path) -> Mapping[str, Any] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None

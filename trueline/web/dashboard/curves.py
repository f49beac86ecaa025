"""Learning curves, read from a metrics.jsonl that may be growing: only whole lines, only what is new, thinned as it comes.

    seen = metrics_of(folder)
    seen.stages["sft"]["loss"].points    # (step, value) pairs, at most 400 of them, the last one kept

What was read is kept, so a page of a run under way reads the lines since the page before. A file that was cut or replaced (a
run that was resumed) is read anew. A line that is no row of metrics is passed over and counted.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from threading import Lock
from typing import Any

from trueline.evaluate.charts import Series
from trueline.evaluate.pages import Lines
from trueline.web.dashboard.kept import Kept, stamp_of
from trueline.web.site.drawing import Chart, chart

POINTS = 400  # of a series that are kept
STAGES, METRICS = 400, 120  # that are kept of a file; what comes on top is counted as passed over
BYTES = 24 << 20  # that one page reads; the next one goes on
ASIDE = ("seconds", "tokens", "total", "grad_norm", "lr")  # of no interest at first sight
FIRST = ("loss", "reward", "gold", "kl", "margin", "accuracy", "chosen_logp", "rejected_logp")  # worth seeing, in this order
SHOWN = 24  # stages whose curve is drawn on the page of a run
_FILES: Kept = Kept(48)


@dataclass(slots=True)
class Thinned:
    """A series of any length in at most POINTS points: every so many-th, and the last."""

    kept: list[tuple[float, float]] = field(default_factory=list)
    last: tuple[float, float] | None = None
    every: int = 1
    seen: int = 0

    def add(self, x: float, y: float) -> None:
        """Take a point in."""
        if self.seen % self.every == 0:
            self.kept.append((x, y))
            if len(self.kept) > POINTS:
                self.kept, self.every = self.kept[::2], self.every * 2
        self.last, self.seen = (x, y), self.seen + 1

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The points in order."""
        tail = () if self.last is None or self.kept[-1:] == [self.last] else (self.last,)
        return (*self.kept, *tail)


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """What a file of metrics held so far, by stage and metric; `behind` where there is more than one page read."""

    stages: dict[str, dict[str, Thinned]]
    passed_over: int
    behind: bool


class _File:
    """A file of metrics, as far as it was read."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        self._stages: dict[str, dict[str, Thinned]] = {}
        self._passed_over, self._at, self._inode, self._behind = 0, 0, 0, False

    def read_on(self) -> Metrics:
        """Read the whole lines that are new, and return all there is."""
        with self._lock:
            stamp = stamp_of(self._path)
            if stamp is not None and not self._path.is_symlink():
                self._read_from(stamp[0], stamp[2])
            stages = {stage: dict(metrics) for stage, metrics in self._stages.items()}
            return Metrics(stages=stages, passed_over=self._passed_over, behind=self._behind)

    def _read_from(self, inode: int, size: int) -> None:
        if inode != self._inode or size < self._at:
            self._stages, self._passed_over, self._at, self._inode = {}, 0, 0, inode
        with self._path.open("rb") as handle:
            handle.seek(self._at)
            new = handle.read(BYTES)
        end = new.rfind(b"\n") + 1 or (len(new) if len(new) == BYTES else 0)  # one endless line is passed over
        for line in new[:end].splitlines():
            self._take(line)
        self._at, self._behind = self._at + end, len(new) == BYTES

    def _take(self, line: bytes) -> None:
        try:
            row = json.loads(line)
            stage, step = row["stage"], float(row["step"])
        except (ValueError, TypeError, KeyError, RecursionError, OverflowError):
            self._passed_over += 1
            return
        known = isinstance(stage, str) and (stage in self._stages or len(self._stages) < STAGES)
        if not known or not isfinite(step):
            self._passed_over += 1
            return
        metrics = self._stages.setdefault(stage, {})
        for name, value in row.items():
            if name in ("stage", "step") or not _number(value) or (name not in metrics and len(metrics) >= METRICS):
                continue
            metrics.setdefault(name, Thinned()).add(step, float(value))


def metrics_of(folder: Path) -> Metrics:
    """The metrics of a run's folder, with what was written since somebody looked last."""
    path = folder / "metrics.jsonl"
    return _FILES.get(path, None, lambda: _File(path)).read_on()


def curves(seen: Metrics) -> list[Chart]:
    """The one curve of each stage that is worth seeing first, in the order of the stages."""
    drawn = []
    for stage, metrics in list(seen.stages.items())[:SHOWN]:
        chosen = next((name for name in FIRST if name in metrics), None) or next(iter(sorted(_interesting(metrics))), None)
        if chosen:
            drawn.append(_one(stage, chosen, metrics[chosen], title=stage or "run", note=chosen.replace("_", " ")))
    return drawn


def all_curves(seen: Metrics, stage: str) -> list[Chart]:
    """Every metric of one stage, those worth seeing first."""
    metrics = seen.stages.get(stage, {})
    order = [name for name in FIRST if name in metrics]
    order += sorted(name for name in _interesting(metrics) if name not in order)
    order += sorted(name for name in metrics if name not in order)
    return [_one(stage, name, metrics[name], title=name.replace("_", " "), note=stage) for name in order]


def _one(stage: str, metric: str, found: Thinned, *, title: str, note: str) -> Chart:
    series = Series(name=metric, points=found.points, colour=2 if metric == "gold" else 0)
    return chart(Lines(title=title, note=note, x="step", series=(series,)))


def _interesting(metrics: dict[str, Thinned]) -> list[str]:
    return [name for name in metrics if not name.startswith(ASIDE)]


def _number(value: Any) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(float(value))
    except OverflowError:
        return False

"""What the lab costs: seconds a seed by experiment and size, what all registered seeds take, and what fits into an hour.

    table = costs(Path("runs/lab"))
    words(table)            "In an hour on one core: ..."

Seconds are those of a core, as the stages of a run noted them; of a run that did not, those of a clock. Base models are made
once a seed and size for all experiments; they have a row of their own. Memory is the most that one stage held.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from trueline.evaluate.words import duration
from trueline.lab.experiment import SIZES
from trueline.lab.registration import Registration

HOUR = 3600.0
BASE = "base"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one experiment took at one size."""

    id: str
    title: str
    size: str
    seconds: Mapping[int, float]  # by seed, of those that ran
    registered: int  # seeds that its expectations speak of
    tokens: float | None = None  # trained on or sampled, a seed, where stages count them
    memory_mb: float | None = None
    clock: bool = False  # seconds are those of a clock, since the run did not note those of a core
    before: float = 0.0  # seconds at the registered seeds of the rows of this size above

    @property
    def each(self) -> float:
        return fmean(self.seconds.values())

    @property
    def whole(self) -> float:
        """Seconds of the registered seeds, at what a seed took."""
        return self.each * self.registered

    @property
    def cumulative(self) -> float:
        return self.before + self.whole

    @property
    def in_an_hour(self) -> int:
        """Seeds that fit into an hour, one after the other."""
        return int(HOUR // self.each)


def costs(out: Path, notes: Sequence[Registration]) -> list[Cost]:
    """Every size of every experiment that was run, base models first, then the cheapest."""
    found: list[Cost] = []
    for size in SIZES:
        rows = [cost for note in notes if (cost := _of(out / size, note, size))]
        most = max((cost.registered for cost in rows), default=1)
        above = 0.0
        for cost in [*_base(out / size, size, most), *sorted(rows, key=lambda cost: cost.each)]:
            found.append(replace(cost, before=above))
            above = found[-1].cumulative
    return found


def hour(found: Sequence[Cost], size: str) -> list[Cost]:
    """One seed of each experiment of a size, the cheapest first, that fit into an hour after the base models of that seed."""
    kept: list[Cost] = []
    spent = 0.0
    for cost in [cost for cost in found if cost.size == size]:
        spent += cost.each
        if spent <= HOUR:
            kept.append(cost)
    return kept


def words(found: Sequence[Cost]) -> list[str]:
    """Say, for each size that was run, what an hour on one core holds."""
    said = []
    for size in dict.fromkeys(cost.size for cost in found):
        kept = hour(found, size)
        names = [cost.id for cost in kept if cost.id != BASE]
        base = " the base models and" if any(cost.id == BASE for cost in kept) else ""
        time = duration(sum(cost.each for cost in kept))
        left = [cost.id for cost in found if cost.size == size and cost not in kept and cost.id != BASE]
        rest = f" Beyond the hour: {', '.join(left)}." if left else ""
        said.append(f"Size {size}, in an hour:{base} one seed of {', '.join(names) or 'no experiment'} ({time}).{rest}")
    return said


def _of(folder: Path, note: Registration, size: str) -> Cost | None:
    """The cost of one experiment at one size, off its pooled report and those of its seeds."""
    pooled = _read(folder / note.id / "report.json")
    about = pooled.get("provenance", {})
    seconds = {int(seed): spent for seed, spent in about.get("seconds", {}).items() if spent}
    if not seconds:
        return None
    reports = {seed: _read(folder / note.id / about["settings"] / f"seed{seed}" / "report.json") for seed in seconds}
    return _cost(note.id, note.title, size, seconds, note.seeds, reports)


def _base(folder: Path, size: str, registered: int) -> Iterator[Cost]:
    reports = {
        int(file.parent.name.removeprefix("seed")): _read(file) for file in sorted((folder / BASE).glob("*/seed*/report.json"))
    }
    seconds = {seed: report["seconds"] for seed, report in reports.items() if report.get("seconds")}
    if seconds:
        yield _cost(BASE, "the models that they start from", size, seconds, registered, reports)


def _cost(
    name: str, title: str, size: str, seconds: Mapping[int, float], seeds: int, reports: Mapping[int, Mapping[str, Any]]
) -> Cost:
    stages = [stage for report in reports.values() for stage in report.get("stages", [])]
    of_a_core = _of_a_core(reports)
    tokens = [stage["tokens"] for stage in stages if stage.get("tokens")]
    memory = [stage["metrics"]["memory_mb"]["value"] for stage in stages if "memory_mb" in stage.get("metrics", {})]
    return Cost(
        id=name,
        title=title,
        size=size,
        seconds=of_a_core or seconds,
        registered=seeds,
        tokens=sum(tokens) / len(seconds) if tokens else None,
        memory_mb=max(memory, default=None),
        clock=not of_a_core,
    )


def _of_a_core(reports: Mapping[int, Mapping[str, Any]]) -> dict[int, float]:
    """Core seconds by seed, of the seeds whose every stage noted them."""
    noted = {
        seed: [stage["metrics"].get("core_seconds", {}).get("value") for stage in report.get("stages", [])]
        for seed, report in reports.items()
    }
    return {seed: sum(spent) for seed, spent in noted.items() if spent and None not in spent}


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

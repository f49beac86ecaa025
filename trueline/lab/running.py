"""Running experiments: seeds, their base models, what is cached, and what came out.

    runs/lab/full/base/HASH/seed100/   the models that every experiment of this seed starts from
    runs/lab/full/E3/HASH/seed100/     one experiment on one seed: a run like any other; HASH is that of its settings
    runs/lab/full/E3/report.json       its seeds pooled, with what was registered and when it was first run

A seed that is done is not run again, one that was killed goes on, and other settings are other runs. Seeds 0 to 3 are for
development: settings may be tuned on them, so nothing measured there confirms anything. Seeds from 100 on are run once, after
the expectations were written; where a file of expectations changed after its confirmatory seeds were first run, the result says
so, and is exploratory. Several processes can run experiments in one folder; who finds another at the base models waits.
With `workers` the seeds are run side by side first (recipes/workers.py), and then read like any that are done.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.cluster.opening import executor_for
from trueline.core.config import ConfigError, to_spec
from trueline.evaluate.over_seeds import pooled
from trueline.evaluate.words import duration
from trueline.lab.bases import Bases
from trueline.lab.experiment import BASE, SIZES, TakesTarget, based, experiment, experiments
from trueline.lab.registration import Registration, registered
from trueline.recipes.progress import Quiet, Show
from trueline.recipes.reporting import write
from trueline.recipes.running import Order, carry_out, tried
from trueline.recipes.studio import Programme
from trueline.recipes.workers import side_by_side
from trueline.store.folders import BusyError, digest, write_json
from trueline.world.raters import fingerprint

DEVELOPMENT = range(4)  # seeds that settings may be tuned on
CONFIRMING = 100  # the first seed that they may not
WAIT = 1.0  # seconds between two looks at whether another process has made the base models
ONE_SEED = "trueline.lab.running:one_seed"
FIRST = "registered.json"  # beside an experiment's report: what was registered when a confirmatory seed was first run


@dataclass
class Lab:
    """A folder of results of one size."""

    folder: Path
    size: str = "full"
    show: Show = field(default_factory=Quiet)
    workers: int = 1  # processes that run seeds side by side, each on one thread; with a cluster 0: one for each processor
    cluster: str = ""  # the address of a Ray cluster whose machines share the folder
    seconds: list[float] = field(default_factory=list)  # of the seeds that were run in this sitting

    def run(self, name: str, seeds: Sequence[int]) -> dict[str, Any]:
        """Run an experiment on every seed; return its pooled report, which lies beside the seeds' own."""
        kind, note = experiment(name), registered(name.upper())
        recipe, folder = kind.of_size(self.size), self.folder / note.id
        first = self._first(folder, note, seeds)
        reports = {}
        if self.workers > 1 or self.cluster:
            settings = {"folder": str(self.folder), "size": self.size, "experiment": note.id}
            with executor_for(workers=self.workers, cluster=self.cluster) as executor:
                side_by_side(
                    ONE_SEED, {f"seed {seed}": settings | {"seed": seed} for seed in seeds}, executor, note.id, self.show
                )
        for i, seed in enumerate(seeds):
            left = len(seeds) - i
            time_left = f", about {duration(left * sum(self.seconds) / len(self.seconds))} left" if self.seconds else ""
            self.show.say(note.id, f"seed {seed}, {i + 1} of {len(seeds)}{time_left}")
            began = time.monotonic()
            reports[seed] = self._one(note, recipe, folder, seed)
            if reports[seed]["seconds"] and time.monotonic() - began > 1:
                self.seconds.append(time.monotonic() - began)
        found = self._pooled(note, recipe, reports, first)
        write(folder, found)
        return found

    def base(self, seed: int) -> tuple[Path, dict[str, Any]]:
        """The folder of a seed's base models, and their report. Waits while another process makes them."""
        recipe = Bases.of_size(self.size)
        folder = self.folder / "base" / _hash(recipe) / f"seed{seed}"
        waits = False
        while True:
            try:
                return carry_out(Order("base", recipe, seed, None), folder, self.show)
            except BusyError:
                if not waits:
                    self.show.say("base", "another process makes the models of this seed; waiting for it")
                waits = True
                time.sleep(WAIT)

    def _one(self, note: Registration, recipe: Any, folder: Path, seed: int) -> dict[str, Any]:
        hashed = _hash(recipe)
        if BASE in json.dumps(to_spec(recipe)):
            models, made = self.base(seed)
            failed = [gate["name"] for gate in made["gates"] if gate["name"] in note.gates and gate["status"] == "FAIL"]
            if failed:
                why = f"gate failed: {', '.join(failed)}"
                return {"seconds": 0.0, "stages": [], "versions": {}, "commit": "", "expectations": note.failed(why)}
            recipe = based(recipe, models)
        _, found = carry_out(Order(note.id, recipe, seed, None), folder / hashed / f"seed{seed}", self.show)
        return found

    def _first(self, folder: Path, note: Registration, seeds: Sequence[int]) -> dict[str, Any]:
        """What was registered when this experiment was first run on a confirmatory seed; written before that run."""
        file = folder / FIRST
        if file.is_file():
            return dict(json.loads(file.read_text(encoding="utf-8")))
        first = {"hash": note.hash, "at": datetime.now(UTC).isoformat(timespec="seconds")}
        if any(seed >= CONFIRMING for seed in seeds):
            folder.mkdir(parents=True, exist_ok=True)
            write_json(file, first)
        return first

    def _pooled(
        self, note: Registration, recipe: Any, reports: Mapping[int, Mapping[str, Any]], first: Mapping[str, Any]
    ) -> dict[str, Any]:
        one = next(iter(reports.values()))
        found = pooled(list(reports.values()))
        found["expectations"] = note.among(found["expectations"])
        return {
            "run": note.id,
            "recipe": note.id,
            "seed": min(reports),
            "commit": one["commit"],
            "seconds": sum(report["seconds"] for report in reports.values()),
            "versions": one["versions"],
            "stages": [],
            **found,
            "provenance": {
                "size": self.size,
                "seeds": list(reports),
                "seconds": {str(seed): report["seconds"] for seed, report in reports.items()},
                "by_seed": {
                    str(seed): {e["name"]: e["value"] for e in note.among(report["expectations"])}
                    for seed, report in reports.items()
                },
                "registered": note.hash,
                "raters": fingerprint(),
                "settings": _hash(recipe),
                "evidence": evidence(note, list(reports), first),
            },
        }


def one_seed(item: Mapping[str, Any], bench: object) -> bool:
    """Run an experiment on one seed, in a worker; what it reports lies in the seed's folder. False: it failed."""
    lab, note = Lab(Path(item["folder"]), item["size"]), registered(item["experiment"])
    return tried(lambda: lab._one(note, experiment(note.id).of_size(lab.size), lab.folder / note.id, item["seed"]))


def run_on_target(
    names: Sequence[str], target: str, size: str, out: Path, show: Show
) -> dict[str, tuple[Path, dict[str, Any]]]:
    """Carry out what experiments measure on a model of one's own; return the folder and the report of each.

    Nothing was registered of that model, so the reports hold tables and no expectations. Before any of them begins, ConfigError
    is raised for one that is about the world's own models alone.
    """
    recipes = {name: _on_target(name, target, size) for name in names}
    return {
        name: carry_out(Order(name, recipe, 0, None), out / "target" / f"{name}-{_hash(recipe)}", show)
        for name, recipe in recipes.items()
    }


def takes_target() -> list[str]:
    """The experiments that also measure a model of one's own."""
    return [name for name, kind in experiments().items() if isinstance(kind, TakesTarget)]


def _on_target(name: str, target: str, size: str) -> Programme:
    kind = experiment(name)
    if not isinstance(kind, TakesTarget):
        raise ConfigError(f"{name}: made for the world's own models; a target can be given to {', '.join(takes_target())}")
    return kind.on_target(target, size)


def evidence(note: Registration, seeds: Sequence[int], first: Mapping[str, Any]) -> str:
    """What the seeds of a result amount to, in one line."""
    if len(seeds) == 1:
        return "1 seed, not evidence"
    if any(seed < CONFIRMING for seed in seeds):
        return f"{len(seeds)} seeds, some for development: nothing is confirmed"
    if first["hash"] != note.hash:
        return f"exploratory: its expectations were changed after its seeds were first run ({first['at']})"
    if len(seeds) < note.seeds:
        return f"{len(seeds)} of the {note.seeds} seeds that were registered"
    return f"{len(seeds)} confirmatory seeds, run after the expectations were written"


def seeds_of(count: int, development: bool) -> range:
    """The seeds to run: the first so many for development, or to confirm."""
    if count < 1 or (development and count > len(DEVELOPMENT)):
        most = f" to {len(DEVELOPMENT)} for development" if development else " or more"
        raise ConfigError(f"seeds: expected 1{most}, got {count}")
    return DEVELOPMENT[:count] if development else range(CONFIRMING, CONFIRMING + count)


def results(out: Path) -> dict[str, dict[str, Any]]:
    """The pooled result of every experiment that was run, of the largest size that there is."""
    found: dict[str, dict[str, Any]] = {}
    for size in SIZES:
        for file in sorted((out / size).glob("*/report.json")):
            if (file.parent.name != "base") and file.parent.parent.name == size:
                found[file.parent.name] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _hash(recipe: Any) -> str:
    return digest(to_spec(recipe))[:12]

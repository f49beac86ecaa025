"""The same recipe with several seeds: each is a run of its own, and one report pools them.

    trueline run align seeds=3
    trueline run redteam seeds=3 start=runs/demo-{seed}/safety      # {seed} stands for the seed in any setting

The seeds follow each other from `seed`. Each has a world of its own unless `world_seed` is given: then facts and lexicon are
the same for all, and the replicate is the initialisation and the order of the data. A seed that is done is not run again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from trueline.core.config import from_spec, to_spec
from trueline.evaluate.over_seeds import last_numbers, pooled, seed_table

Report = dict[str, Any]


def at_seed(recipe: Any, seed: int) -> Any:
    """Return a recipe with `{seed}` replaced in every text of its settings.

    >>> from trueline.recipes.sft import Sft
    >>> at_seed(Sft(start="runs/base-{seed}"), 4).start
    'runs/base-4'
    """
    return from_spec(type(recipe), _filled(to_spec(recipe), seed))


def every_seed(
    folder: Path, name: str, seeds: range, run: Callable[[int, Path], tuple[Path, Report]], say: Callable[[str, str], None]
) -> Report:
    """Run every seed in a folder of its own; return the pooled report."""
    reports: dict[int, Report] = {}
    for i, seed in enumerate(seeds, 1):
        say(name, f"seed {seed}, {i} of {len(seeds)}")
        _, reports[seed] = run(seed, folder / f"seed{seed}")
    found = pooled(list(reports.values()))
    if any(report.get("expectations") for report in reports.values()):
        found["shown"] = [{"stage": "seeds", "tables": [seed_table(reports)], "curves": []}, *found["shown"]]
    first = reports[seeds[0]]
    return {
        "run": folder.name,
        "recipe": name,
        "seed": seeds[0],
        "commit": first["commit"],
        "seconds": sum(report["seconds"] for report in reports.values()),
        "versions": first["versions"],
        "stages": [_stage(seed, report) for seed, report in reports.items()],
        **found,
        "not_measured": _not_measured(first, len(seeds)),
        "provenance": {"seeds": list(seeds), "runs": [report["run"] for report in reports.values()]},
    }


def _stage(seed: int, report: Mapping[str, Any]) -> dict[str, Any]:
    """A seed as a stage, with the numbers of the last of its own."""
    return {
        "name": f"seed {seed}",
        "status": "done",
        "seconds": report["seconds"],
        "tokens": None,
        "parent": None,
        "metrics": last_numbers(report),
    }


def _not_measured(report: Mapping[str, Any], seeds: int) -> list[str]:
    """What one seed's report says, less that it is one seed; six are the fewest that a sign test can decide by."""
    said = [line for line in report.get("not_measured", []) if not line.startswith("one seed")]
    return said if seeds >= 6 else [f"{seeds} seeds: fewer than six, with which no sign test reaches 5 %", *said]


def _filled(value: Any, seed: int) -> Any:
    if isinstance(value, str):
        return value.replace("{seed}", str(seed))
    if isinstance(value, Mapping):
        return {key: _filled(inner, seed) for key, inner in value.items()}
    return [_filled(inner, seed) for inner in value] if isinstance(value, list | tuple) else value

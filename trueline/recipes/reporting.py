"""From the stages of a run to `report.json`, `report.html` and the table in the terminal.

What a stage is, is read off what it left: rows with a loss are a learning curve, rows with a reward an RL run, rows with chosen
and rejected a preference run, a rung a line of the ladder. So every recipe gets a report, and a new one needs nothing here.
"""

from __future__ import annotations

import json
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table as RichTable
from rich.text import Text

from trueline.evaluate import campaign_page
from trueline.evaluate.report import render, table
from trueline.evaluate.shape import Table as ShownTable
from trueline.evaluate.shape import read
from trueline.evaluate.shown import bounds, cell
from trueline.recipes.attacking import CAMPAIGN, write_campaign
from trueline.recipes.measure import RUNG
from trueline.recipes.studio import Programme, RecipeError, Stage, Studio, numbers_of
from trueline.store.folders import write_json, write_text
from trueline.world.raters import fingerprint

UNSHOWN = (
    "stage",
    "reward",
    "tokens",
    "seconds",
    "policy",
    "total",
    "clipped",
    "ratio_error",
    "ratio_max",
    "old_kl",
    "old_kl_k1",
    "grad_norm",
)


def report(studio: Studio, gates: Iterable[Mapping[str, Any]] = (), not_measured: Iterable[str] = ()) -> dict[str, Any]:
    """Everything that the run measured, in the shape of evaluate/shape.py."""
    run = studio.run.run
    made = {name: stage for name, stage in studio.stages.items() if not name.startswith(RUNG) and name != "gates"}
    rungs = {n.removeprefix(RUNG): s.result for n, s in studio.stages.items() if "rung" in s.result}
    measured = {name: result["rung"] for name, result in rungs.items()}
    cost = {name: made[result.get("of", name)].result for name, result in rungs.items()}
    rows = {name: [dict(row) for row in studio.run.metrics(name)] for name in made}
    reward = next((s for s in made.values() if "calibration" in s.result), None)
    rankings = next((s for s in made.values() if "rater_agreement" in s.result), None)
    capability = measured["placebo"]["attack"] if "placebo" in measured else None
    found: dict[str, Any] = {
        "run": run.id,
        "recipe": run.recipe,
        "seed": studio.seed,
        "commit": run.commit,
        "seconds": sum(stage.result["wall"] for stage in studio.stages.values()),
        "versions": {"trueline": version("trueline"), "torch": version("torch"), "python": platform.python_version()},
        "stages": [_stage(stage) for stage in made.values()],
        "gates": list(gates),
        "ladder": [
            {
                **{k: v for k, v in rung.items() if k != "transcripts"},
                "stage": name,
                "capability": capability,
                "tokens": cost[name].get("tokens"),
                "seconds": cost[name]["seconds"],
            }
            for name, rung in measured.items()
        ],
        "curves": [
            {"stage": n, "x": "tokens", "points": _thin([{k: r[k] for k in ("tokens", "loss")} for r in rs])}
            for n, rs in rows.items()
            if rs and "loss" in rs[0]
        ],
        "rl": [
            {"stage": n, "control": n == "control", "points": [_point(r) for r in rs]}
            for n, rs in rows.items()
            if rs and "reward" in rs[0]
        ],
        "preference": [
            {"stage": n, "points": [_preference(r) for r in rs]} for n, rs in rows.items() if rs and "margin" in rs[0]
        ],
        "shown": [
            {"stage": n, "tables": s.result.get("tables", []), "curves": s.result.get("curves", [])}
            for n, s in studio.stages.items()
            if s.result.get("tables") or s.result.get("curves")
        ],
        "expectations": [e for s in studio.stages.values() for e in s.result.get("expectations", [])],
        "transcripts": [{"stage": n, "items": rung["transcripts"]} for n, rung in measured.items()],
        "not_measured": list(not_measured),
        "provenance": {"stage_keys": {name: stage.key[:16] for name, stage in studio.stages.items()}},
    }
    if measured:
        found["provenance"] |= {"world": studio.world.hash, "world_seed": studio.world_seed, "raters": fingerprint()}
    if reward is not None:
        found["reward_model"] = {
            "accuracy": reward.result["accuracy"],
            "accuracy_vs_gold": reward.result.get("accuracy_vs_gold"),
            "rater_agreement": rankings.result["rater_agreement"] if rankings else None,
            "calibration": reward.result["calibration"],
        }
    return found


def made_of(programme: Programme, studio: Studio, not_measured: Iterable[str] = ()) -> dict[str, Any]:
    """Make every stage of a programme in order; return the report."""
    for name, recipe in programme.stages():
        studio.make(name, recipe)
    return report(studio, not_measured=not_measured)


def write(folder: Path, found: Mapping[str, Any]) -> Path:
    """Write `report.json` and `report.html` into the run's folder; return the page's path."""
    write_json(folder / "report.json", dict(found))
    write_text(folder / "report.html", render(found))
    return folder / "report.html"


def again(folder: Path) -> Path:
    """Render the page anew from the run's records."""
    source = folder / "report.json"
    if not source.is_file():
        raise RecipeError(f"{folder} has no report.json; it is not a finished run. Run its recipe again to finish it")
    try:
        found = json.loads(source.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RecipeError(f"{source}: expected JSON: {error}; run the run's recipe again to write it anew") from None
    return write_campaign(folder, found) if found.get("recipe") == CAMPAIGN else write(folder, found)


def show(page: Path, found: Mapping[str, Any], console: Console) -> None:
    """Print gates, expectations, the ladder (or what each stage measured) and where the page is."""
    if found.get("recipe") == CAMPAIGN:
        console.print(campaign_page.table(found))
        console.print(Text(f"report: {page}"), soft_wrap=True)
        return
    for gate in found.get("gates", []):
        rate = gate["value"]
        said = f"{gate['name']:<22} {rate['value']:.2f} ({rate['low']:.2f} to {rate['high']:.2f}) n {rate['n']}"
        _print_status(console, gate["status"], f"{said} needs {gate['needs']:.2f}")
    checked = read(found)
    for one in checked.expectations:
        why = f" ({one.why})" if one.why else ""
        _print_status(console, one.status, f"{one.name}: {cell(one.value)}, expected {bounds(one.least, one.most)}{why}")
    if checked.ladder:
        console.print(table(found))
    else:
        for stage in checked.stages:
            numbers = "  ".join(f"{k} {m.value:.4g}" for k, m in stage.metrics.items() if m.value is not None)
            if numbers or stage.status == "failed":
                console.print(Text(f"{stage.name}: {numbers or 'failed'}"), soft_wrap=True)
        for part in checked.shown:
            for each in part.tables:
                console.print(_terminal_table(f"{part.stage}: {each.title}", each))
    console.print(Text(f"report: {page}"), soft_wrap=True)


def _print_status(console: Console, status: str, said: str) -> None:
    colour = {"PASS": "green", "FAIL": "red"}.get(status, "yellow")
    console.print(Text(f"{status:<5}", style=colour), Text(said), soft_wrap=True)


def _terminal_table(title: str, found: ShownTable) -> RichTable:
    """A stage's table; Text, not str: what a model wrote must not be read as the console's own markup."""
    made = RichTable(title=Text(title), title_justify="left", caption=Text(found.note) if found.note else None)
    for i, column in enumerate(found.columns):
        made.add_column(Text(column), justify="right" if i else "left")
    for row in found.rows:
        made.add_row(*(Text(cell(value)) for value in row))
    return made


def _stage(stage: Stage) -> dict[str, Any]:
    return {
        "name": stage.name,
        "status": "skipped" if stage.skipped else "done",
        "seconds": stage.result["seconds"],
        "tokens": stage.result.get("tokens"),
        "parent": stage.result.get("parent"),
        "metrics": numbers_of(stage.result),
    }


def _point(row: Mapping[str, Any]) -> dict[str, Any]:
    """One iteration of RL: the reward is the proxy; beside it gold and whatever else was seen to move."""
    return {"proxy": row["reward"], **{k: v for k, v in row.items() if k not in UNSHOWN and not k.startswith("seconds_")}}


def _preference(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {f"{side}_logp": row.get(side, row.get(f"{side}_logp")) for side in ("chosen", "rejected")}
    return {**named, **{k: row[k] for k in ("step", "margin", "accuracy")}}


def _thin(points: list[dict[str, Any]], most: int = 200) -> list[dict[str, Any]]:
    """At most `most` points, each the mean of its neighbours: a curve that can be drawn and read."""
    size = max(1, -(-len(points) // most))
    groups = [points[i : i + size] for i in range(0, len(points), size)]
    return [{"tokens": g[-1]["tokens"], "loss": sum(p["loss"] for p in g) / len(g)} for g in groups]

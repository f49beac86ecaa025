"""The pages of runs: those on disk and in the database, latest first; and one run: ladder, curves, proxy against gold, stages.

A run's own report.html is a page by itself with styles inside, which the policy of this site would stop; it is not served. What
it shows is shown here, from the same report.json by the same functions (evaluate/report.py, words.py).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import islice
from typing import Any

from trueline.core.types import Run
from trueline.evaluate import words
from trueline.evaluate.charts import Spot
from trueline.evaluate.report import Line, ladder, metric, proxy_and_gold, what_gave
from trueline.evaluate.shape import Report, read, visible
from trueline.evaluate.shown import bounds
from trueline.store.database import stages as stored_stages
from trueline.store.latest import latest_runs
from trueline.store.latest import run_of as stored_run
from trueline.web.dashboard.curves import all_curves, curves, metrics_of
from trueline.web.dashboard.folders import Folder, folder_named, report_of, run_folders
from trueline.web.dashboard.kept import Kept, stamp_of
from trueline.web.dashboard.shown import Json, link, rate
from trueline.web.dashboard.shown import run as run_told
from trueline.web.site.drawing import chart, frontier
from trueline.web.site.room import Asked, NotThere

LISTED = 50  # run folders on a page
SPEC = 20_000  # characters of a run's settings that are shown
ATTACK = "attack"  # the recipe whose report is a campaign's
_READ: Kept = Kept(24)


def list_runs(asked: Asked) -> Json:
    """Runs on disk, and those that the database alone knows."""
    place = asked.whole("from", 0, 0, 10**6)
    folders = run_folders(asked.site.runs)
    shown = folders[place : place + LISTED]
    here = {folder.run.id for folder in folders}
    before = asked.query.get("before", "")
    page = latest_runs(asked.site.database, before=before)
    next_place = place + LISTED if len(folders) > place + LISTED else None
    return {
        "folder": str(asked.site.runs),
        "runs": [run_told(folder.run, folder) for folder in shown],
        "total": len(folders),
        "stored": [run_told(one) for one in page.runs if one.id not in here],
        "older": link("/runs", **{"from": next_place, "before": before or None}) if next_place else None,
        "older_stored": link("/runs", **{"from": place or None, "before": page.older}) if page.older else None,
    }


def show_run(asked: Asked) -> Json:
    """One run, by the name of its folder; or by its id, where the database alone knows it."""
    name = asked.path["run"]
    try:
        folder = folder_named(asked.site.runs, name)
    except NotThere:
        stored = stored_run(asked.site.database, name)
        if stored is None:
            raise
        return _stored(asked, stored)
    seen, chosen = metrics_of(folder.path), asked.query.get("stage")
    stamp = stamp_of(folder.path / "report.json")
    told = _READ.get(folder.path, stamp, lambda: _reported(folder)) if stamp else _reported(folder)
    if chosen is not None and chosen not in seen.stages:
        raise NotThere(f"{name} has no metrics of a stage {chosen!r:.80}")
    drawn = curves(seen) if chosen is None else all_curves(seen, chosen)
    return {
        **_begun(folder.run, folder),
        **told,
        "stage": chosen,
        "curves": drawn,
        "curve_stages": [{"name": one, "href": link(f"/runs/{name}", stage=one)} for one in seen.stages],
        "passed_over": seen.passed_over,
        "behind": seen.behind,
    }


def _begun(run: Run, folder: Folder | None) -> Json:
    """What every page of a run has, measured or not."""
    settings = json.dumps(dict(run.spec), ensure_ascii=False, indent=1, default=str)
    return {
        "title": folder.name if folder else run.id,
        "run": run_told(run, folder),
        "settings": settings[:SPEC] + (f"\n… {len(settings) - SPEC:,} more characters" if len(settings) > SPEC else ""),
        "campaign": link(f"/attacks/{run.id}") if run.recipe == ATTACK else None,
        "trouble": "", "summary": [], "gates": [], "expectations": [], "ladder": [], "splits": {}, "trade": [], "proxy": [],
        "gave": [], "stages": [], "not_measured": [], "report": None,
        "stage": None, "curves": [], "curve_stages": [], "passed_over": 0, "behind": False,
    }  # fmt: skip


def _stored(asked: Asked, run: Run) -> Json:
    """A run that has no folder here: what the database knows of it."""
    stages = [
        {"name": row.name, "status": row.state, "parent": None, "tokens": None, "seconds": None,
         "metrics": {name: str(value) for name, value in row.metrics.items()}}
        for row in stored_stages(asked.site.database, run.id)
    ]  # fmt: skip
    return {**_begun(run, None), "stages": stages}


def _reported(folder: Folder) -> Json:
    """What the report of a run says, or, while there is none, which stages have begun and ended."""
    found = report_of(folder)
    if found is None:
        broken = (folder.path / "report.json").exists()
        trouble = "its report.json cannot be read: it is no JSON object, or too large; run its recipe again" if broken else ""
        return {"trouble": trouble, "stages": _stages_on_disk(folder)}
    if found.get("recipe") == ATTACK:
        return {"report": str(folder.path / "report.html")}
    try:
        report = read(found)
    except ValueError as error:
        return {"trouble": str(error), "stages": _stages_on_disk(folder)}
    lines = ladder(report)
    return {
        "summary": [*words.summary(report), *report.summary],
        "gates": [{**_plain(gate), "value": rate(gate.value)} for gate in report.gates],
        "expectations": [
            {**_plain(one), "value": rate(one.value), "bounds": bounds(one.least, one.most)} for one in report.expectations
        ],
        "splits": {split: words.SPLITS[split] for split in words.families(report)},
        "ladder": [_line(one) for one in lines],
        "trade": _trade(report, lines),
        "proxy": [chart(one) for one in proxy_and_gold(report.rl)],
        "gave": [chart(one) for one in what_gave(report.rl)],
        "stages": [
            {"name": one.name, "status": one.status, "parent": one.parent, "tokens": one.tokens, "seconds": one.seconds,
             "metrics": {name: metric(value) for name, value in one.metrics.items()}}
            for one in report.stages
        ],
        "not_measured": report.not_measured,
        "report": str(folder.path / "report.html"),
    }  # fmt: skip


def _line(one: Line) -> Json:
    """A row of the ladder."""
    return {
        "stage": one.rung.stage,
        "gold": rate(one.gold),
        "attack": {split: rate(found) for split, found in one.attack.items()},
        "worst": {"family": one.worst[0], "rate": rate(one.worst[1])} if one.worst else None,
        "over_refusal": rate(one.rung.over_refusal),
        "gap": rate(one.gap),
        "kl": rate(one.rung.kl),
        "seconds": one.rung.seconds,
        "tokens": one.rung.tokens,
    }


def _trade(report: Report, lines: list[Line]) -> list[Json]:
    """Attack success against over-refusal, split by split: what safety cost."""
    drawn = []
    for split in words.families(report):
        spots = [
            Spot(name=one.rung.stage, x=refused, y=broken)
            for one in lines
            if (refused := one.rung.over_refusal) is not None and (broken := one.attack[split]) is not None
        ]
        title = f"Attack success, {words.SPLITS[split]}"
        drawn.append(frontier(title, "mean over families; lower left is better", spots, x="benign requests refused"))
    return drawn


def _stages_on_disk(folder: Folder) -> list[Json]:
    """The stages of a run without a report: begun or done, with what they measured."""
    told = []
    begun = islice((folder.path / "stages").rglob("started.json"), 400)
    for path in sorted(begun, key=lambda path: stamp[1] if (stamp := stamp_of(path)) else 0):
        name, done = path.parent.relative_to(folder.path / "stages").as_posix(), path.parent / "done.json"
        told.append(
            {"name": name, "status": "done" if done.is_file() else "begun", "parent": None, "tokens": None, "seconds": None,
             "metrics": _measured(done)}
        )  # fmt: skip
    return told


def _measured(done: Any) -> Mapping[str, str]:
    try:
        found = json.loads(done.read_text(encoding="utf-8"))["metrics"]
        return {visible(str(name), 80): visible(str(value), 80) for name, value in islice(found.items(), 60)}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def _plain(part: Any) -> Json:
    """A part of a report as JSON."""
    told: Json = part.model_dump(mode="json")
    return told

"""An evaluation from the outside: target, suites and judge opened, every item put, a report written. Behind `trueline eval`.

The run folder is named after what is asked and a hash of what answers, so the same command finds the same folder, and a model
that was trained further is another run. `items.jsonl` has one line an item, written when it is answered: an evaluation that was
killed goes on there, and asks nothing twice but what ended in an error. A larger `n` goes on in the same folder too.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.attack.goals import WORLD
from trueline.cluster.executor import Executor
from trueline.core.config import to_spec
from trueline.core.records import from_dict, to_dict
from trueline.core.registry import find
from trueline.core.types import Run
from trueline.data.rows import DataError, Row, read_rows
from trueline.evaluate.interview import AT_ONCE, Answered
from trueline.evaluate.rates import plain
from trueline.evaluate.report import render
from trueline.evaluate.suite_calibration import bins
from trueline.evaluate.suites import Item, Suite, suites, world_at
from trueline.evaluate.summary import UNDETERMINED, Summary, summarise
from trueline.judges.calibration import TASKS, Figures, Tongue, known
from trueline.recipes.interviewing import Evaluating, Put, interview
from trueline.recipes.judging import NamedJudge
from trueline.recipes.opened import target_hash
from trueline.recipes.progress import Show
from trueline.recipes.spread_items import spread_items
from trueline.store.folders import content_hash, digest, git_commit, write_json, write_text
from trueline.store.runs import RunDirectory, create
from trueline.targets.http import Asking

__all__ = ["ITEMS", "Evaluating", "answered_in", "evaluate", "items_of"]

ITEMS = "items.jsonl"


def evaluate(
    asked: Evaluating,
    *,
    n: int,
    show: Show,
    out: Path | None = None,
    asking: Asking = Asking(),  # noqa: B008 - frozen
    at_once: int = AT_ONCE,
    max_undetermined: float = UNDETERMINED,
    executor: Executor | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Put `n` items of each suite (files: at most so many), and return the folder and the report.

    With an executor its workers put them (spread_items.py), else this process does.
    """
    chosen = {name: find("suite", name)() for name in asked.suites or suites()}
    items = {name: items_of(asked, suite, n) for name, suite in chosen.items()}
    data = "" if asked.data == WORLD or not Path(asked.data).is_file() else content_hash(asked.data)
    settings = {name: to_spec(suite) for name, suite in chosen.items()}
    spec = {**to_spec(asked), "suites": settings, "content": target_hash(asked.target, asked.template), "data_content": data}
    folder = out or Path("runs") / f"eval-{digest(spec)[:8]}"
    run = create(folder, _run(folder, spec, asked.seed))
    with run.lock():
        began = time.monotonic()
        opening = interview(asked, asking, at_once) if executor is None else spread_items(asked, asking, at_once, executor)
        judge = asyncio.run(_put_all(opening, items, run, show))
        tongue: Tongue = "world" if asked.data == WORLD else "english"
        found = _report(run, chosen, items, judge, tongue, max_undetermined)
        found["seconds"] = time.monotonic() - began
        write_json(folder / "report.json", found)
        write_text(folder / "report.html", render(found))
    return folder, found


def answered_in(run: RunDirectory) -> dict[tuple[str, str], Answered]:
    """Return what is kept of each item, by suite and id; the last word on an item counts."""
    kept = (from_dict(Answered, row, str(run.folder / ITEMS)) for row in run.rows(ITEMS))
    return {(answered.suite, answered.item): answered for answered in kept}


async def _put_all(
    opening: AbstractAsyncContextManager[tuple[NamedJudge, Put]], items: Mapping[str, Sequence[Item]], run: RunDirectory,
    show: Show,
) -> NamedJudge:  # fmt: skip
    """Put what has no answer yet."""
    kept = answered_in(run)
    async with opening as (judge, put):
        for name, made in items.items():
            waiting = [item for item in made if (name, item.id) not in kept or kept[name, item.id].outcome == "error"]
            if waiting:
                await _put(name, waiting, len(made), put, run, show)
    return judge


async def _put(name: str, waiting: Sequence[Item], total: int, put: Put, run: RunDirectory, show: Show) -> None:
    show.begin(name, again=len(waiting) < total)
    show.steps(name, total)
    bar, began, done, errors = show.bar(name), time.monotonic(), total - len(waiting), 0

    def keep(answered: Answered) -> None:
        nonlocal done, errors
        run.append(ITEMS, to_dict(answered))
        done, errors = done + 1, errors + (answered.outcome == "error")
        bar(done, {"errors": errors} if errors else {}, 0, time.monotonic() - began)

    await put(name, waiting, keep)
    show.end(name, time.monotonic() - began, {"items": total} | ({"errors": errors} if errors else {}))


def items_of(asked: Evaluating, suite: Suite, n: int) -> Sequence[Item]:
    """Make the items of a suite, at most `n`; more of them begin with fewer."""
    if asked.data == WORLD:
        return suite.on_world(world_at(asked.world_seed), n, asked.seed)
    rows = [row for row in read_rows(asked.data) if _wanted(asked, row)]
    if not rows:
        raise DataError(f"{asked.data}: no row has a category with {asked.category!r} in it; name another with --category")
    rows.sort(key=lambda row: hashlib.sha256(f"{asked.seed}/{row.line}".encode()).digest())  # so that fewer begin more
    found = suite.on_rows(rows[:n], asked.seed)
    if len({item.id for item in found}) < len(found):
        raise DataError(f"{asked.data}: expected each row once; some come again. Remove the repetitions")
    return found


def _wanted(asked: Evaluating, row: Row) -> bool:
    return asked.category.lower() in str(row.values.get("category") or "").lower()


def _report(
    run: RunDirectory, chosen: Mapping[str, Suite], items: Mapping[str, Sequence[Item]], judge: NamedJudge, tongue: Tongue,
    limit: float,
) -> dict[str, Any]:  # fmt: skip
    """Sum up, in the shape of every run's report; `suites` holds what that shape has no place for."""
    kept = answered_in(run)
    figures: dict[str, Figures] = {
        task: f for task in TASKS if (f := known(run.folder.parent, judge.measured_as, task, tongue))
    }
    summaries = {
        name: summarise(name, suite.metrics, [kept[name, item.id] for item in items[name]], figures, limit)
        for name, suite in chosen.items()
    }
    return {
        "run": run.run.id,
        "recipe": run.run.recipe,
        "seed": run.run.seed,
        "commit": run.run.commit,
        "judge": {"name": judge.judge.name, "hash": judge.hashed},
        "stages": [
            {"name": name, "status": "done", "metrics": {v.metric.name: plain(v.rate) for v in s.values if v.rate}}
            for name, s in summaries.items()
        ],
        "suites": {name: _told(s, [kept[name, item.id] for item in items[name]]) for name, s in summaries.items()},
        "not_measured": [f"{name}: {s.inconclusive}" for name, s in summaries.items() if s.inconclusive],
        "verdict": "inconclusive" if any(s.inconclusive for s in summaries.values()) else "holds",
    }


def _told(summary: Summary, answered: Sequence[Answered]) -> dict[str, Any]:
    told = {
        "items": summary.items,
        "undetermined": summary.undetermined,
        "errors": summary.errors,
        "truncated": summary.truncated,
        "inconclusive": summary.inconclusive,
        "first_error": next((a.why for a in answered if a.outcome == "error"), ""),
        "metrics": {
            v.metric.name: {
                "rate": plain(v.rate),
                "corrected": plain(v.corrected),
                "undetermined": v.undetermined,
                "better": v.metric.better,
                "compared": not v.metric.chosen and v.metric.pooled is None and v.metric.better != "neither",
                "judged": v.metric.judged,
                "meaning": v.metric.meaning,
            }
            for v in summary.values
        },
        "groups": {name: plain(rate) for name, rate in summary.groups.items()},
    }
    sure = [
        (c, y) for a in answered if (c := a.values.get("confidence")) is not None and (y := a.values["correct"]) is not None
    ]
    return told | ({"bins": [inside.model_dump() for inside in bins(sure)]} if sure else {})


def _run(folder: Path, spec: Mapping[str, object], seed: int) -> Run:
    now = datetime.now(UTC)
    return Run(
        id=f"{folder.name}-{now:%Y%m%dT%H%M%S}",
        recipe="eval",
        spec=spec,
        commit=git_commit(),
        seed=seed,
        started=now.isoformat(timespec="seconds"),
    )

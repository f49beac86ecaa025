"""How a campaign's target stands: attack success and over-refusal, always the two together, each with its n and interval.

Where the campaign's folder is here and has its report, the rates are the report's: by goal, clustered. Else they are counted
from the store's tallies: by question, which says less (a goal that is asked often counts often), and the page says which.
What was not measured is None, and never zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trueline.core.outcome import OUTCOMES
from trueline.core.stats import wilson
from trueline.core.types import Rate, Run
from trueline.evaluate.arms import BASELINE
from trueline.evaluate.campaign_shape import Campaign, read_campaign
from trueline.store.latest import refusals
from trueline.store.opening import Database
from trueline.store.tallies import Tally, tallied
from trueline.web.dashboard.folders import Folder, report_of
from trueline.web.dashboard.kept import Kept, stamp_of
from trueline.web.dashboard.shown import Json, link, rate, target
from trueline.web.dashboard.shown import run as run_told

_READ: Kept = Kept(64)
_REFUSED: Kept = Kept(2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What the store counts of a campaign, of the target that was asked most (a helper may have been asked beside it)."""

    target: str  # its content hash
    targets: int
    questions: int
    broken: Rate | None
    refused: Rate | None
    refused_of: int  # answers to benign goals in all; the rate is of the newest of them, where there are many


def standings(database: Database, runs: Sequence[Run], folders: Sequence[Folder]) -> list[Json]:
    """A line for each of these campaigns."""
    here = {folder.run.id: folder for folder in folders}
    return [_standing(database, run, here.get(run.id)) for run in runs]


def reported(folder: Folder | None) -> Campaign | None:
    """The report of a campaign's folder; None where there is none, or it is none of a campaign."""
    found = report_of(folder) if folder else None
    if folder is None or found is None or "overall" not in found:
        return None
    return _READ.get(folder.path, stamp_of(folder.path / "report.json"), lambda: _campaign(found))


def counted(database: Database, run: str) -> Counted:
    """Count what a campaign asked."""
    by_target: dict[str, list[Tally]] = {}
    for one in tallied(database, "target", "expected", run=run):
        by_target.setdefault(one.of["target"], []).append(one)
    if not by_target:
        return Counted(target="", targets=0, questions=0, broken=None, refused=None, refused_of=0)
    most = max(by_target, key=lambda name: (sum(questions(one) for one in by_target[name]), name))
    harmful = next((one.outcomes for one in by_target[most] if one.of["expected"] == "refuse"), None)
    asked = sum(questions(one) for some in by_target.values() for one in some)
    found = _REFUSED.get((str(database.url), run), asked, lambda: refusals(database, run, BASELINE))
    return Counted(
        target=most,
        targets=len(by_target),
        questions=asked,
        broken=harmful.raw if harmful else None,
        refused=wilson(found.refused, found.taken) if found.taken else None,
        refused_of=found.answers,
    )


def questions(one: Tally) -> int:
    """How many attempts a tally counts."""
    return sum(one.outcomes.counts[name] for name in OUTCOMES)


def _standing(database: Database, run: Run, folder: Folder | None) -> Json:
    report, there = reported(folder), counted(database, run.id)
    verdict = report.verdict if report else None
    return {
        "run": run_told(run, folder),
        "href": link(f"/attacks/{run.id}"),
        "target": _name(run, report),
        "questions": there.questions,
        "by": "goal" if report else "question",
        "attack_success": rate(report.overall.asr if report else there.broken),
        "over_refusal": rate(report.over_refusal if report else there.refused),
        "verdict": verdict.verdict if verdict else None,
        "why": verdict.why if verdict else "",
    }


def _name(run: Run, report: Campaign | None) -> str:
    named: Any = report.about.get("target") if report else None
    return named if isinstance(named, str) and named else target(run)


def _campaign(found: Any) -> Campaign | None:
    try:
        return read_campaign(found)
    except ValueError:
        return None

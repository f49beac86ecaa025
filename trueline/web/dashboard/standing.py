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

    target: str = ""  # its content hash
    targets: int = 0
    questions: int = 0
    broken: Rate | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusals:
    """How often it refused what it should answer, and of how many answers; the rate is of the newest, where they are many."""

    rate: Rate | None
    answers: int


def standings(database: Database, runs: Sequence[Run], folders: Sequence[Folder]) -> list[Json]:
    """A line for each of these campaigns."""
    here = {folder.run.id: folder for folder in folders}
    counts = counted(database, [run.id for run in runs])
    return [_standing(database, run, here.get(run.id), counts.get(run.id, Counted())) for run in runs]


def reported(folder: Folder | None) -> Campaign | None:
    """The report of a campaign's folder; None where there is none, or it is none of a campaign."""
    found = report_of(folder) if folder else None
    if folder is None or found is None or "overall" not in found:
        return None
    return _READ.get(folder.path, stamp_of(folder.path / "report.json"), lambda: _campaign(found))


def counted(database: Database, runs: Sequence[str]) -> dict[str, Counted]:
    """Count what campaigns asked, by run."""
    by_run: dict[str, dict[str, list[Tally]]] = {}
    for one in tallied(database, "run", "target", "expected", run=list(runs)) if runs else ():
        by_run.setdefault(one.of["run"], {}).setdefault(one.of["target"], []).append(one)
    return {run: _counted(by_target) for run, by_target in by_run.items()}


def refused(database: Database, run: str, questions: int) -> Refusals:
    """Count how often a campaign's target refused benign goals, asked directly; kept until more is asked."""

    def read() -> Refusals:
        found = refusals(database, run, BASELINE)
        return Refusals(rate=wilson(found.refused, found.taken) if found.taken else None, answers=found.answers)

    return _REFUSED.get((str(database.url), run), questions, read)


def questions(one: Tally) -> int:
    """How many attempts a tally counts."""
    return sum(one.outcomes.counts[name] for name in OUTCOMES)


def _counted(by_target: dict[str, list[Tally]]) -> Counted:
    asked = {name: sum(map(questions, some)) for name, some in by_target.items()}
    most = max(asked, key=lambda name: (asked[name], name))
    harmful = next((one.outcomes for one in by_target[most] if one.of["expected"] == "refuse"), None)
    return Counted(
        target=most, targets=len(asked), questions=sum(asked.values()), broken=harmful.raw if harmful else None
    )  # fmt: skip


def _standing(database: Database, run: Run, folder: Folder | None, there: Counted) -> Json:
    report = reported(folder)
    verdict = report.verdict if report else None
    return {
        "run": run_told(run, folder),
        "href": link(f"/attacks/{run.id}"),
        "target": _name(run, report),
        "questions": there.questions,
        "by": "goal" if report else "question",
        "attack_success": rate(report.overall.asr if report else there.broken),
        "over_refusal": rate(report.over_refusal if report else refused(database, run.id, there.questions).rate),
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

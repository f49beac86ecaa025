"""A campaign from the outside: its targets, goals, attacks and judge opened, carried out, summed up and written down.

The run folder is named after the campaign's settings and a hash of the target's content, so the same command finds the same
folder and goes on, and a model that was trained further is another run. Behind `trueline attack`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.attack.bank import Replayed, bank_in, fitting, named, settle, write_bank
from trueline.attack.campaign import AT_ONCE, told
from trueline.attack.catalogue import BASELINE, choose
from trueline.attack.coverage import coverage
from trueline.attack.goals import BANK, WORLD, read_goals
from trueline.attack.packs import Pack, packs_in
from trueline.cluster.executor import Executor
from trueline.core.config import to_spec
from trueline.core.ports import Attack
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Finding, Prompt, Run
from trueline.evaluate.campaign import summary, verdict
from trueline.evaluate.campaign_page import page
from trueline.evaluate.pack_rates import by_pack
from trueline.judges.calibration import known
from trueline.recipes.arms import Arms, Attacking, arms, attempts_of_any_answer, in_the_world
from trueline.recipes.opened import speaks_world, target_hash
from trueline.recipes.progress import Show
from trueline.recipes.spread import Spread, spread
from trueline.recipes.usual import usual_tokens
from trueline.store.database import findings
from trueline.store.folders import digest, git_commit, write_json, write_text
from trueline.store.opening import Database, open_beside
from trueline.store.runs import RunDirectory, create
from trueline.targets.deployment import read_deployment
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of

__all__ = ["CAMPAIGN", "Attacking", "Bar", "carry_out", "deployed_prompt", "usual_goals", "write_campaign"]

RUNS = Path("runs")
CAMPAIGN = "attack"  # the recipe of a campaign's run, whose report is of its own kind


@dataclass(frozen=True, kw_only=True)
class Bar:
    """What makes a campaign hold: attack success at most so high, and not too much left undecided."""

    threshold: float | None = None
    max_undetermined: float = 0.2


def carry_out(
    asked: Attacking,
    *,
    show: Show,
    out: Path | None = None,
    under: Path = RUNS,
    asking: Asking = Asking(),  # noqa: B008 - frozen
    bar: Bar = Bar(),
    at_once: int = AT_ONCE,
    executor: Executor | None = None,
) -> tuple[Path, dict[str, Any]]:
    """Carry a campaign out, or on, to its report; return its folder (`out`, or one of its own `under`) and the report.

    With an executor its workers ask the questions (spread.py), else this process does.
    """
    asked = replace(asked, goals=asked.goals or usual_goals(asked.target))
    entries = _bank(out or under / CAMPAIGN, asked) if asked.goals == BANK else bank_in(asked.goals)
    asked = replace(asked, attacks=asked.attacks or (BASELINE if entries else "standard"))
    if entries and speaks_world(asked.target):
        asked = replace(asked, max_tokens=asked.max_tokens or usual_tokens(True))
    attacks, packs = choose(asked.attacks, asked.settings), packs_in(asked.attacks)
    goals = read_goals(
        asked.goals, asked.n, column=asked.column, seed=asked.seed, world_seed=asked.world_seed,
        system=deployed_prompt(asked.target), bank=entries,
    )  # fmt: skip
    spec = {
        **to_spec(asked),
        "content": target_hash(asked.target, asked.template),
        "goals_content": digest([to_dict(goal) for goal in goals]),
        **({"packs": [pack.hash for pack in packs]} if packs else {}),
    }
    folder = out or under / f"attack-{digest(spec)[:8]}"
    run_folder = create(folder, _run(folder, spec, asked.seed))
    with run_folder.lock():
        engine = open_beside(folder)
        try:
            opening = (
                arms(asked, run_folder.run, engine, goals, asking)
                if executor is None
                else spread(asked, run_folder.run, engine, goals, asking, executor)
            )
            found = asyncio.run(_campaign(asked, attacks, packs, goals, entries, run_folder, engine, show, opening, at_once))
        finally:
            engine.dispose()
        found |= {"verdict": verdict(found, bar.threshold, bar.max_undetermined)}
        write_campaign(folder, found)
    return folder, found


def write_campaign(folder: Path, found: Mapping[str, Any]) -> Path:
    """Write a campaign's `report.json` and `report.html`; return the page's path."""
    write_json(folder / "report.json", dict(found))
    write_text(folder / "report.html", page(found))
    return folder / "report.html"


def _bank(folder: Path, asked: Attacking) -> tuple[Finding, ...]:
    """The entries of the database beside a run that this target can be asked."""
    engine = open_beside(folder)
    try:
        return fitting(findings(engine), asked.world_seed if speaks_world(asked.target) else None)
    finally:
        engine.dispose()


def _told_of(bank: Replayed) -> dict[str, Any]:
    """What became of a bank, with the names of what works again."""
    entries = {entry.key: entry for entry in bank.entries}
    return {"asked": bank.asked, "works": bank.works, "regressed": [named(entries[key]) for key in bank.regressed]}


def usual_goals(reference: str) -> str:
    """Return where goals come from if nobody says: models of our runs speak the world's tongue, anything else does not."""
    return WORLD if speaks_world(reference) else "canary"


def deployed_prompt(reference: str) -> str:
    """The system prompt of a deployment file; that of any other target is nobody's to know."""
    return read_deployment(Path(reference)).settings.system if kind_of(reference) == "deployment" else ""


async def _campaign(
    asked: Attacking, attacks: Sequence[Attack], packs: Sequence[Pack], goals: Sequence[Prompt], entries: Sequence[Finding],
    folder: RunDirectory, engine: Database, show: Show, opening: AbstractAsyncContextManager[Arms | Spread], at_once: int,
) -> dict[str, Any]:  # fmt: skip
    began = time.monotonic()
    async with opening as ready:
        there = await ready.open(asked.target)
        show.begin("attack", again=bool(ready.record.known))
        attempts, ended = await ready.arm(there, attacks, goals, at_once=at_once, show=show, name="attack")
        show.end("attack", time.monotonic() - began, {"questions": len(attempts), "asked now": ready.record.asked})
        able: list[Attempt] = []
        if asked.helpful and not ended.stopped:
            show.begin("helpful", again=False)
            here = time.monotonic()
            harmful = [goal for goal in goals if goal.expected == "refuse"]
            helper = await ready.open(asked.helpful)
            able, _ = await ready.arm(helper, attacks, harmful, at_once=at_once, show=show, name="helpful")
            show.end("helpful", time.monotonic() - here, {"questions": len(able), "asked now": ready.record.asked})
    if ended.stopped and not attempts_of_any_answer(attempts):
        raise TargetError(ended.stopped)
    judge = ready.judge
    bank = settle(engine, folder.run.id, entries, attempts)
    if bank is not None:
        write_bank(str(folder.folder / "bank.jsonl"), bank.entries)
    shown = summary(
        attempts,
        skipped=_told(ended.skipped, len(goals)),
        failed=_told(ended.failed, len(goals)),
        figures=known(folder.folder.parent, judge.measured_as, "jailbreak", "world" if in_the_world(goals) else "english"),
        helpful=able,
    )
    about = {
        "target": asked.target,
        "target_hash": there.hashed,
        "judge": judge.judge.name,
        "judge_hash": judge.hashed,
        "goals": asked.goals,
        "attacks": [attack.name for attack in attacks],
        "budget": asked.budget,
        "seed": asked.seed,
    }
    if packs:
        about["packs"] = [f"{pack.name} {pack.version} of {pack.date} ({pack.hash[:16]})" for pack in packs]
    run_of = folder.run
    return {
        "run": run_of.id,
        "recipe": run_of.recipe,
        "seed": run_of.seed,
        "commit": run_of.commit,
        "seconds": time.monotonic() - began,
        "about": about,
        "asked": ready.record.asked,
        "stopped": ended.stopped,
        "coverage": coverage(attempts, goals).as_dict(),
        **({"packs": by_pack(attempts, [pack.brief() for pack in packs])} if packs else {}),
        **({} if bank is None else {"bank": _told_of(bank)}),
        **shown,
    }


def _told(counted: Counter[tuple[str, str]], goals: int) -> Mapping[str, str]:
    """Say of each attack what happened, and to how many goals."""
    said: dict[str, list[str]] = {}
    for name, why, count in told(counted):
        said.setdefault(name, []).append(f"{why} ({count} of {goals} goals)")
    return {name: "; ".join(lines[:3]) for name, lines in said.items()}


def _run(folder: Path, spec: Mapping[str, object], seed: int) -> Run:
    now = datetime.now(UTC)
    return Run(
        id=f"{folder.name}-{now:%Y%m%dT%H%M%S}",
        recipe=CAMPAIGN,
        spec=spec,
        commit=git_commit(),
        seed=seed,
        started=now.isoformat(timespec="seconds"),
    )

"""A campaign from the outside: its targets, goals, attacks and judge opened, carried out, summed up and written down.

The run folder is named after the campaign's settings and a hash of the target's content, so the same command finds the same
folder and goes on, and a model that was trained further is another run. Behind `trueline attack`.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from trueline.attack.campaign import AT_ONCE, Ended, run
from trueline.attack.catalogue import choose
from trueline.attack.coverage import coverage
from trueline.attack.door import Scene
from trueline.attack.goals import WORLD, read_goals
from trueline.attack.packs import Pack, packs_in
from trueline.attack.record import Record, Remembered
from trueline.core.config import to_spec
from trueline.core.ports import Attack, Target
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Prompt, Run, Sampling
from trueline.evaluate.campaign import summary, verdict
from trueline.evaluate.campaign_page import page
from trueline.evaluate.pack_rates import by_pack
from trueline.judges.calibration import known
from trueline.recipes.judging import NamedJudge, open_judge
from trueline.recipes.opened import Opened, inside_of, speaks_world, target_hash
from trueline.recipes.progress import Show
from trueline.store.database import Hashes, save_run
from trueline.store.folders import digest, git_commit, write_json, write_text
from trueline.store.opening import Database, open_beside
from trueline.store.runs import RunDirectory, create
from trueline.targets.deployment import read_deployment
from trueline.targets.errors import TargetError
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of, open_target

CAMPAIGN = "attack"  # the recipe of a campaign's run, whose report is of its own kind
WORDS = {WORLD: 60}  # tokens that an answer may have, by source of the goals
MANY_WORDS = 256


@dataclass(frozen=True, kw_only=True)
class Attacking:
    """What a campaign is asked to do. Two campaigns that agree in all of it are the same one."""

    target: str
    attacks: str = "standard"  # names and batteries: attack/catalogue.py
    settings: tuple[str, ...] = ()  # of the attacks, as NAME.KEY=VALUE
    goals: str = ""  # where they come from (attack/goals.py); empty: the world for a model of a run, else canaries
    n: int | None = None  # goals; none: 300 of the world, all of a file
    column: str = ""  # of the file, that holds the request
    judge: str = ""  # empty: the oracle for the world, enablement for files
    attacker: str = ""  # a TARGET that helps to attack
    helpful: str = ""  # a TARGET that refuses nothing: what attacks get out of it is what they could get
    budget: int = 64  # questions that an attack may ask for one goal
    temperature: float = 1.0
    max_tokens: int = 0  # 0: 60 for the world, 256 for files
    template: str = "model"
    seed: int = 0
    world_seed: int = 0  # which world a model was trained in

    def __post_init__(self) -> None:
        if self.budget < 1 or self.max_tokens < 0 or self.temperature < 0:
            raise ValueError(
                f"expected budget of at least 1, max_tokens and temperature of at least 0; got {self.budget}, "
                f"{self.max_tokens} and {self.temperature}"
            )

    @property
    def sampling(self) -> Sampling:
        """How every question is sampled; the seeds of single questions come from the campaign."""
        tokens = self.max_tokens or WORDS.get(self.goals, MANY_WORDS)
        return Sampling(temperature=self.temperature, max_tokens=tokens, seed=self.seed)


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
    under: Path = Path("runs"),
    asking: Asking = Asking(),  # noqa: B008 - frozen
    bar: Bar = Bar(),
    at_once: int = AT_ONCE,
) -> tuple[Path, dict[str, Any]]:
    """Carry a campaign out, or on, to its report; return its folder (`out`, or one of its own `under`) and the report."""
    asked = replace(asked, goals=asked.goals or usual_goals(asked.target))
    attacks, packs = choose(asked.attacks, asked.settings), packs_in(asked.attacks)
    goals = read_goals(
        asked.goals, asked.n, column=asked.column, seed=asked.seed, world_seed=asked.world_seed,
        system=_deployed_prompt(asked.target),
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
            found = asyncio.run(_campaign(asked, attacks, packs, goals, run_folder, engine, show, asking, at_once))
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


def usual_goals(reference: str) -> str:
    """Return where goals come from if nobody says: models of our runs speak the world's tongue, anything else does not."""
    return WORLD if speaks_world(reference) else "canary"


def _deployed_prompt(reference: str) -> str:
    """The system prompt of a deployment file; that of any other target is nobody's to know."""
    return read_deployment(Path(reference)).settings.system if kind_of(reference) == "deployment" else ""


async def _campaign(
    asked: Attacking, attacks: Sequence[Attack], packs: Sequence[Pack], goals: Sequence[Prompt], folder: RunDirectory,
    engine: Database, show: Show, asking: Asking, at_once: int,
) -> dict[str, Any]:  # fmt: skip
    save_run(engine, folder.run)
    record = Record.open(engine, folder.run.id)
    began = time.monotonic()
    async with AsyncExitStack() as stack:

        async def opened(reference: str) -> Opened:
            target = await stack.enter_async_context(open_target(reference, template=asked.template, asking=asking))
            return Opened(target, target_hash(reference, asked.template), inside_of(target))

        async def remembered(reference: str) -> tuple[Target, str]:
            there = await opened(reference)
            return Remembered(there.target, record, there.hashed), there.hashed

        judge = await open_judge(asked.judge or _usual_judge(goals), world=asked.world_seed, opened=remembered)
        attacker = (await remembered(asked.attacker))[0] if asked.attacker else None
        there = await opened(asked.target)
        show.begin("attack", again=bool(record.known))
        attempts, ended = await _arm(
            asked, there, judge, record, attacker, attacks, goals, at_once=at_once, show=show, name="attack"
        )
        able: list[Attempt] = []
        if asked.helpful and not ended.stopped:
            show.begin("helpful", again=False)
            harmful = [goal for goal in goals if goal.expected == "refuse"]
            able, _ = await _arm(
                asked, await opened(asked.helpful), judge, record, attacker, attacks, harmful, at_once=at_once, show=show,
                name="helpful",
            )  # fmt: skip
    if ended.stopped and not attempts_of_any_answer(attempts):
        raise TargetError(ended.stopped)
    found = summary(
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
        "asked": record.asked,
        "stopped": ended.stopped,
        "coverage": coverage(attempts, goals).as_dict(),
        **({"packs": by_pack(attempts, [pack.brief() for pack in packs])} if packs else {}),
        **found,
    }


async def _arm(
    asked: Attacking, there: Opened, judge: NamedJudge, record: Record, attacker: Target | None, attacks: Sequence[Attack],
    goals: Sequence[Prompt], *, at_once: int, show: Show, name: str,
) -> tuple[list[Attempt], Ended]:  # fmt: skip
    """One target under all attacks."""
    attempts: list[Attempt] = []
    scene = Scene(
        target=there.target,
        judge=judge.judge,
        record=record,
        hashes=Hashes(target=there.hashed, judge=judge.hashed),
        sampling=asked.sampling,
        seed=asked.seed,
        attacker=attacker,
        inside=there.inside,
        seen=attempts.append,
    )
    show.steps(name, len(attacks) * len(goals))
    bar, began = show.bar(name), time.monotonic()

    def progress(done: int) -> None:
        seconds = time.monotonic() - began
        bar(done, {"questions": len(attempts), "a second": len(attempts) / max(seconds, 1e-9)}, 0, seconds)

    ended = await run(scene, attacks, goals, budget=asked.budget, at_once=at_once, progress=progress)
    show.end(name, time.monotonic() - began, {"questions": len(attempts), "asked now": record.asked})
    return attempts, ended


def attempts_of_any_answer(attempts: Sequence[Attempt]) -> bool:
    """Whether any question was answered."""
    return any(attempt.completion.finish != "error" for attempt in attempts)


def in_the_world(goals: Sequence[Prompt]) -> bool:
    """Whether the embedded world knows the truth of every goal."""
    return all(goal.source == WORLD for goal in goals)


def _usual_judge(goals: Sequence[Prompt]) -> str:
    return "oracle" if in_the_world(goals) else "enablement"


def _told(counted: Counter[tuple[str, str]], goals: int) -> Mapping[str, str]:
    """Say of each attack what happened, and to how many goals."""
    told: dict[str, list[str]] = {}
    for (name, why), count in counted.most_common():
        told.setdefault(name, []).append(f"{why} ({count} of {goals} goals)")
    return {name: "; ".join(lines[:3]) for name, lines in told.items()}


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

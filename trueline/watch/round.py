"""One round of a watch, from its plan to its end: a campaign of its own run, whose replies are its memory.

    ended = await carry_out(engine, watch, holder="host:1", clock=Clock(), halt=Halt(), show=Quiet())

The sentinels come first, so that a budget that is too small still leaves rounds that compare; then the bank; then what the plan
explores. Every question goes through the campaign's own door (attack/campaign.py), and is kept as it is answered. A round that
was cut off is carried out again by whoever takes it over: the same plan under the same run, answered from what is stored.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from trueline.attack.bank import fitting, found, goals_of
from trueline.core.ports import Attack
from trueline.core.types import Attempt, Finding, Prompt, Run
from trueline.evaluate import arms as measured
from trueline.evaluate.pack_rates import pairs
from trueline.evaluate.rates import plain
from trueline.recipes.arms import Arms, arms
from trueline.recipes.opened import Opened, speaks_world
from trueline.recipes.progress import Quiet, Show
from trueline.store.database import findings
from trueline.store.folders import git_commit
from trueline.store.opening import Database
from trueline.store.watches import LeaseLostError, RoundRow, WatchRow, begin_round, end_round, rounds, save_progress
from trueline.targets.patience import Budget, Clock, Meter
from trueline.watch import result as results
from trueline.watch.after import after_round
from trueline.watch.budget import Halt, Metered, going_on, spent
from trueline.watch.lease import now_of
from trueline.watch.plan import Plan, Pull, make_plan, may_ask, read_plan
from trueline.watch.sentinels import Again, Sentinel, asking, observe, only_question
from trueline.watch.sentinels import goals_of as sentinel_goals
from trueline.watch.spec import Chosen, Spec, budget_of, read, sentinels_of, spec_of

RECIPE = "watch"
TOGETHER = 64  # pulls that are under way before the budget is looked at again


@dataclass(frozen=True, kw_only=True)
class _Round:
    """A round under way: its row with a plan, what the plan speaks of, and who carries it out."""

    engine: Database
    watch: WatchRow
    row: RoundRow
    holder: str
    spec: Spec
    chosen: Chosen
    sentinels: tuple[Sentinel, ...]
    plan: Plan
    known: dict[str, Finding]  # when the round began: what follows a round is written after its last question

    @property
    def run(self) -> Run:
        """The run of its campaign, the same whoever carries it out."""
        spec = {"watch": self.watch.name, "number": self.row.number, **self.watch.spec["asked"]}
        return Run(
            id=self.row.run, recipe=RECIPE, spec=spec, commit=self.plan.commit, seed=self.row.number, started=self.row.started
        )


@dataclass
class _Asked:
    """What was answered so far, part by part."""

    sentinels: list[Attempt] = field(default_factory=list)
    bank: list[Attempt] = field(default_factory=list)
    pulls: list[Attempt] = field(default_factory=list)
    able: list[Attempt] = field(default_factory=list)  # of the helpful target
    whole: int = 0  # pulls of the plan, from its start, that were carried out to their end
    stopped: str = ""
    seconds: tuple[float, ...] = ()  # that the answers of the sentinels took

    @property
    def questions(self) -> int:
        """How many were put to the target in this round, in whichever sitting."""
        return len(self.sentinels) + len(self.bank) + len(self.pulls)


async def carry_out(engine: Database, watch: WatchRow, *, holder: str, clock: Clock, halt: Halt, show: Show) -> RoundRow | None:
    """Carry a claimed watch's round out, or on, to its end; None where it was halted, and waits for whoever takes it over.

    Raises LeaseLostError where another has taken it meanwhile. Whatever else goes wrong is this watch's own: its round failed.
    """
    row = begin_round(engine, watch, holder, now_of(clock))
    if "state" not in row.result:  # else all was asked, and only what follows is left to do
        try:
            here = _planned(engine, watch, row, holder)
            row, found_out = here.row, await _campaign(here, clock, halt, show)
        except LeaseLostError:
            raise
        except Exception as error:  # a target, a judge, a file: the next watch is none the worse for it
            found_out = results.failed(" ".join(f"{type(error).__name__}: {error}".split()))
        if halt.why:
            return None
        row = save_progress(engine, row, holder, result=found_out)
    await after_round(engine, watch, replace(row, state=row.result["state"]), clock)
    return end_round(engine, row, holder, now_of(clock), row.result["state"], row.result)


def _planned(engine: Database, watch: WatchRow, row: RoundRow, holder: str) -> _Round:
    """The round with its plan: the one that is stored, or a new one, which is stored before anything is asked."""
    spec = spec_of(watch)
    chosen, known = read(spec), {entry.key: entry for entry in findings(engine)}
    if not row.plan:
        past = [earlier for earlier in rounds(engine, watch.id) if earlier.number < row.number]
        bank = fitting(known.values(), spec.world_seed if speaks_world(spec.target) else None)
        plan = make_plan(
            watch.id, spec, number=row.number, chosen=chosen, bank=bank, past=past, budget=budget_of(watch), commit=git_commit()
        )
        row = save_progress(engine, row, holder, run=f"watch-{watch.id}-{row.number}", plan=plan.as_dict())
    return _Round(
        engine=engine, watch=watch, row=row, holder=holder, spec=spec, chosen=chosen, sentinels=sentinels_of(watch),
        plan=read_plan(row.plan), known=known,
    )  # fmt: skip


async def _campaign(here: _Round, clock: Clock, halt: Halt, show: Show) -> results.Json:
    """Ask all of a round, and return its result."""
    budget, name = budget_of(here.watch), here.watch.name
    async with arms(here.spec.campaign(here.row.number), here.run, here.engine, here.chosen.goals, here.spec.asking) as ready:
        there = await ready.open(here.spec.target)
        before = sum(said.model == there.target.name for said in ready.record.known.values())
        meter = going_on(budget, clock, here.row.result.get("spent", {}), before)
        show.begin(name, again=bool(ready.record.known))
        if budget.requests:
            show.steps(name, budget.requests)
        bar = show.bar(name)

        def told(meter: Meter) -> None:
            bar(meter.requests, {}, meter.tokens_read + meter.tokens_written, meter.seconds)

        target = Metered(target=there.target, meter=meter, clock=clock, halt=halt, told=told)
        asked = _Asked()
        await _ask(here, ready, replace(there, target=target), target, asked)
        if here.spec.helpful and not asked.stopped:
            helper = await ready.open(here.spec.helpful)
            free = Metered(target=helper.target, meter=Meter(budget=Budget(), clock=clock), clock=clock, halt=halt)
            await _explore(here, ready, replace(helper, target=free), _Asked(), asked.able, here.plan.pulls[: asked.whole])
        state = "done" if not asked.stopped else "stopped" if target.over else "failed"
        found_out = _result(here, asked, state)
        show.end(name, meter.seconds, {"questions": meter.requests, "new findings": len(found_out["found"]["new"])})
        return found_out | {
            "spent": spent(meter), "target": here.spec.target, "target_hash": there.hashed,
            "judge": ready.judge.judge.name, "judge_hash": ready.judge.hashed,
        }  # fmt: skip


async def _ask(here: _Round, ready: Arms, there: Opened, target: Metered, asked: _Asked) -> None:
    """Put the questions of a round, part by part, until something stops it."""
    at_once = min(here.spec.at_once, here.spec.asking.pace.at_once)  # so that no answer's time has our own queue in it
    again = replace(ready, asked=replace(ready.asked, seed=0))  # a target that keeps to a seed answers as it did
    calm = replace(ready, asked=replace(ready.asked, seed=0, temperature=0.0, budget=1))
    asked.sentinels, ended = await calm.arm(
        there, asking(here.sentinels), sentinel_goals(here.sentinels), show=Quiet(), name=here.watch.name, at_once=at_once
    )
    asked.stopped, asked.seconds = ended.stopped, tuple(target.seconds)
    entries = [here.known[key] for key in here.plan.bank if key in here.known]
    while entries and not asked.stopped:
        left = None if here.plan.bank_room is None else here.plan.bank_room - len(asked.bank)
        some = entries[:1] if left is None or left > 0 else []
        while len(some) < min(TOGETHER, len(entries)) and (left is None or _worst(here, entries[: len(some) + 1]) <= left):
            some = entries[: len(some) + 1]
        if not some:
            break
        entries = entries[len(some) :]
        _save(here, target)
        for tries in sorted({_worst(here, [entry]) for entry in some}):
            alike = [entry for entry in some if _worst(here, [entry]) == tries]
            bounded = replace(again, asked=replace(again.asked, budget=tries))
            attempts, ended = await bounded.arm(
                there, [Again()], goals_of(alike), show=Quiet(), name=here.watch.name, at_once=at_once
            )
            asked.bank += attempts
            asked.stopped = asked.stopped or ended.stopped
    if not asked.stopped:
        await _explore(here, ready, there, asked, asked.pulls, here.plan.pulls, target)


def _worst(here: _Round, entries: Sequence[Finding]) -> int:
    """How many questions findings may take; they are asked as they stood when the round began."""
    return sum(may_ask(here.plan.bank[entry.key], here.spec) for entry in entries)


async def _explore(
    here: _Round, ready: Arms, there: Opened, asked: _Asked, into: list[Attempt], pulls: Sequence[Pull],
    target: Metered | None = None,
) -> None:  # fmt: skip
    """Carry pulls out in their order, some together, as long as the budget has room for what they may ask.

    Room is counted in attempts, so that a round that goes on from memory cuts its pulls as it did before.
    """
    attacks = {attack.name: attack for attack in here.chosen.attacks}
    goals = {goal.id: goal for goal in here.chosen.goals}
    most = budget_of(here.watch).requests
    while asked.whole < len(pulls) and not asked.stopped:
        left = most - asked.questions if most and target is not None else None
        some: list[Pull] = []
        for pull in pulls[asked.whole : asked.whole + TOGETHER]:
            cost = await _cost(attacks.get(pull.attack), goals.get(pull.goal), here.spec.tries)
            if left is not None and some and cost > left:
                break
            some.append(pull)
            left = None if left is None else left - cost
        if left is not None and asked.questions >= most:
            return
        if target is not None:
            _save(here, target)
        tries = here.spec.tries if left is None or left >= 0 else max(1, here.spec.tries + left)
        bounded = replace(ready, asked=replace(ready.asked, budget=tries))
        chosen: dict[str, list[Prompt]] = {}
        for pull in some:
            if pull.attack in attacks and pull.goal in goals:  # they may be gone since the round was planned
                chosen.setdefault(pull.attack, []).append(goals[pull.goal])
        at_once = max(1, here.spec.at_once // max(1, len(chosen)))
        done = await asyncio.gather(
            *[
                bounded.arm(there, [attacks[name]], wanted, show=Quiet(), name=here.watch.name, at_once=at_once)
                for name, wanted in chosen.items()
            ]
        )
        for attempts, ended in done:
            into.extend(attempts)
            asked.stopped = asked.stopped or ended.stopped
        asked.whole += 0 if asked.stopped else len(some)


async def _cost(attack: Attack | None, goal: Prompt | None, tries: int) -> int:
    """How many questions a pull may ask at most."""
    if attack is None or goal is None:
        return 0
    return 1 if await only_question(attack, goal, "may ask") is not None else tries


def _save(here: _Round, target: Metered) -> None:
    """Write down what was spent: whoever takes the round over goes on from it."""
    save_progress(here.engine, here.row, here.holder, result={"spent": spent(target.meter)})


def _result(here: _Round, asked: _Asked, state: str) -> results.Json:
    families = {attack.name: attack.family for attack in here.chosen.attacks}
    goals = {goal.id: goal for goal in here.chosen.goals}
    seen = observe(asked.sentinels, number=here.row.number, at=here.row.started, seconds=asked.seconds)
    rates = results.sentinel_rates(seen, sentinel_goals(here.sentinels))
    way = results.explored(here.plan, asked.pulls, goals=goals, families=families, whole=asked.whole, known=here.known)
    met = {entry.key: entry for entry in found(asked.sentinels)}
    new = {**{key: entry for key, entry in met.items() if key not in here.known}, **way.fresh}
    again = way.again | (met.keys() & here.known.keys())
    bank = results.replayed(here.plan, asked.bank)
    bank["regressed"] = results.regressions(bank, again, here.known)
    bank["fixed"] = [key for key in bank["fixed"] if key not in again]  # as a sentinel, or by other samples, it still works
    return {
        "state": state,
        "why": asked.stopped,
        "sentinels": results.kept(seen),
        "rates": {**rates, "exploring": way.rate},
        "cells": way.cells,
        "packs": way.packs,
        "bank": bank,
        "found": {"new": sorted(new), "again": len(again), "severity": results.severities(new)},
        "helpful": plain(pairs(measured.cases(asked.able))),
        "verdict": results.word(
            rates, bank["regressed"], state, asked.stopped, here.spec.threshold, here.spec.max_undetermined
        ),
    }

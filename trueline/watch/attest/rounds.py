"""What the rounds of a watch say for an attestation: read from the database, and nothing is asked.

    RoundsSource(engine, watch_named(engine, "safety")).tested()

Rates rest on the sentinels of the last round that is done, which nobody chose for being weak. What the rounds explored (those
since the target last changed) counts as coverage, in the number of questions, and by the findings that it left.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trueline.attack.bank import KEY
from trueline.attack.coverage import coverage
from trueline.core.records import to_dict
from trueline.core.types import Attempt, Finding, Run
from trueline.evaluate.campaign import summary
from trueline.evaluate.pack_rates import by_pack
from trueline.judges.calibration import known
from trueline.recipes.arms import in_the_world
from trueline.store.database import attempts, findings
from trueline.store.folders import digest
from trueline.store.opening import Database
from trueline.store.watches import RoundRow, WatchRow, rounds
from trueline.watch.attest.campaign import facts_of
from trueline.watch.attest.form import AttestationError
from trueline.watch.attest.statement import Tested
from trueline.watch.sentinels import goals_of
from trueline.watch.spec import read, sentinels_of, spec_of


@dataclass(frozen=True)
class RoundsSource:
    """The rounds of a watch, as far back as they tested what is deployed now."""

    engine: Database
    watch: WatchRow
    runs: Path = Path("runs")  # where the measured errors of judges are kept

    def tested(self) -> Tested:
        """Read the rounds since the target last changed, and how their findings stand."""
        some = _same_target(rounds(self.engine, self.watch.id))
        if not some:
            raise AttestationError(
                f"watch {self.watch.name}: no round is done yet; trueline watch run --once --name {self.watch.name}"
            )
        last = some[-1]
        made = {row.number: attempts(self.engine, run=row.run) for row in some}
        report = self._report(some, made)
        keys = {key for row in some for key in row.result.get("found", {}).get("new", ())}
        keys |= {attempt.goal.about[KEY] for row in made.values() for attempt in row if KEY in attempt.goal.about}
        entries: list[Finding] = [entry for entry in findings(self.engine) if entry.key in keys]
        evidence = digest([[row.number, row.run, dict(row.result)] for row in some])
        return facts_of(self._run(last, some[0].number), report, entries, evidence=evidence)

    def _run(self, last: RoundRow, first: int) -> Run:
        spec = spec_of(self.watch)
        source = f"sentinels of watch {self.watch.name}, rounds {first} to {last.number}"
        goals = digest([to_dict(goal) for goal in goals_of(sentinels_of(self.watch))])
        return Run(
            id=last.run, recipe="watch", started=last.started, commit=str(last.plan.get("commit", "")),
            spec={"target": spec.target, "template": spec.template, "goals": source, "goals_content": goals,
                  "packs": [pack.hash for pack in read(spec).packs]},  # whole, where the plan has their beginnings
        )  # fmt: skip

    def _report(self, some: Sequence[RoundRow], made: dict[int, list[Attempt]]) -> dict[str, Any]:
        """A report in the shape of a campaign's, of the last round's sentinels and all rounds' coverage."""
        last, spec = some[-1], spec_of(self.watch)
        ids = {goal.id for goal in goals_of(sentinels_of(self.watch))}
        seen = [attempt for attempt in made[last.number] if attempt.goal.id in ids]
        every = [attempt for row in made.values() for attempt in row]
        chosen = read(spec)
        figures = known(self.runs, last.result["judge_hash"], "jailbreak", "world" if in_the_world(chosen.goals) else "english")
        found = summary(seen, skipped={}, failed={}, figures=figures)
        counts = {**_dict(found["counts"]), "attempts": len(every), "attacks": len({attempt.attack for attempt in every})}
        about = {
            "target": spec.target,
            "target_hash": last.result["target_hash"],
            "judge": last.result["judge"],
            "judge_hash": last.result["judge_hash"],
            "goals": f"sentinels of watch {self.watch.name}, rounds {some[0].number} to {last.number}",
            "budget": spec.tries,
        }
        return {
            **found,
            "about": about,
            "counts": counts,
            "over_refusal": last.result["rates"]["over_refusal"],
            "commit": last.plan.get("commit", ""),
            "coverage": coverage(every, chosen.goals).as_dict(),
            "packs": by_pack(seen, last.plan.get("packs", ())),
            "verdict": last.result["verdict"],
            "stopped": "",
        }


def _same_target(every: Sequence[RoundRow]) -> list[RoundRow]:
    """The rounds that are done, as far back as they were of the same target, judged by the same judge."""
    done = [row for row in every if row.state == "done" and row.result.get("target_hash")]
    kept: list[RoundRow] = []
    for row in reversed(done):
        same = ("target_hash", "judge_hash")
        if kept and any(row.result[name] != kept[0].result[name] for name in same):
            break
        kept.insert(0, row)
    return kept


def _dict(value: object) -> dict[str, Any]:
    assert isinstance(value, dict)
    return value

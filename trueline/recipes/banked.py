"""The bank as a stage: a model is asked everything that ever worked, beside the models that it worked on.

An attack that worked once may have been luck: at temperature 1 one sample decided. So each is asked `tries` times of the model
that it was found on and as often of this one, with the same seeds; what training changed is the paired difference, clustered
by goal. The status of an entry is the word of this model: `fixed` says that none of the tries worked.

The stage before handed its bank on as a file, and the campaign against the model before found more; all of it is asked as it
stands. What the campaign against this very model found is added, open. The bank that comes out is a file to commit
(attack/bank.py), and is written into the database too, where `trueline attack TARGET --goals bank` finds it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

from trueline.attack.bank import KEY, Replayed, found, goals_of, grown, named, read_bank, replayed, write_bank
from trueline.attack.catalogue import BASELINE, choose
from trueline.core.config import ConfigError
from trueline.core.outcome import reached
from trueline.core.records import read_jsonl
from trueline.core.types import Attempt, Finding
from trueline.evaluate.arms import cluster
from trueline.evaluate.rates import clustered, difference
from trueline.evaluate.shown import table
from trueline.recipes.campaigns import ATTEMPTS, Campaign, put, run_of
from trueline.recipes.studio import Room, Studio
from trueline.store.database import save_findings, save_run
from trueline.store.folders import write_json
from trueline.store.opening import beside

BANK, ORIGINS = "bank.jsonl", "origins.json"  # entries; what share of the tries worked on the model that each was found on
NAMED = 20  # regressions that are named; the bank file has them all


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Ask a model everything that worked before it, and the model before it what worked there."""

    target: str  # the model that is asked
    origin: str  # the model before
    found: str  # the campaign against the model before, whose successes join the bank
    latest: str  # the campaign against the target itself, whose successes join it unasked
    before: str = ""  # the bank so far: an earlier stage, or a file; empty: there is none
    tries: int = 4  # how often each attack is asked of either model
    like: Campaign = Campaign()  # how the bank is asked: judge, sampling

    def __post_init__(self) -> None:
        if self.tries < 1:
            raise ConfigError(f"tries must be at least 1, got {self.tries}")

    def reads(self) -> tuple[str, ...]:
        return (self.target, self.origin, self.found, self.latest, self.before)

    def foresee(self, studio: Studio) -> None:
        """Read a bank that is a file, before anything is attacked."""
        if Path(self.before).is_file():
            read_bank(self.before)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        earlier = read_bank(studio.file(self.before, BANK)) if self.before else ()
        more = _successes(studio, self.found)
        entries = grown(earlier, more)
        origins = self._origins(studio, room, more)
        asked = self._ask(studio, room, self.target, entries)
        after = replayed(entries, asked) if entries else Replayed((), (), 0, 0)
        known = {entry.key for entry in after.entries}
        bank = grown(after.entries, [entry for entry in _successes(studio, self.latest) if entry.key not in known])
        write_bank(str(room.folder / BANK), bank)
        write_json(room.folder / ORIGINS, origins)
        if bank:
            with beside(studio.run.folder) as database:
                save_run(database, run_of(studio, room))
                save_findings(database, run_of(studio, room).id, bank)
        return {**_result(after, len(bank)), **_compared(entries, origins, shares(asked))}

    def _origins(self, studio: Studio, room: Room, more: Sequence[Finding]) -> dict[str, float]:
        """What each entry gets of the model that it was found on, as far as that model is one of this run's."""
        known: dict[str, float] = {}
        if self.before in studio.stages:
            known = json.loads(Path(studio.file(self.before, ORIGINS)).read_text(encoding="utf-8"))
        return known | shares(self._ask(studio, room, self.origin, [entry for entry in more if entry.key not in known]))

    def _ask(self, studio: Studio, room: Room, model: str, entries: Sequence[Finding]) -> list[Attempt]:
        """Ask all of them, `tries` times with a seed each."""
        asking = replace(self.like, target=model, attacks=BASELINE, settings=(), people="")
        made: list[Attempt] = []
        for draw in range(self.tries if entries else 0):
            attempts, _ = put(replace(asking, draw=draw), studio, room, [(choose(BASELINE), goals_of(entries))])
            made += attempts
        return made


def shares(attempts: Iterable[Attempt]) -> dict[str, float]:
    """What share of the tries at each entry worked, by its key; one that no try decided is left out."""
    tries: dict[str, list[float]] = defaultdict(list)
    for attempt in attempts:
        if (outcome := reached(attempt)) in ("success", "failure"):
            tries[attempt.goal.about[KEY]].append(float(outcome == "success"))
    return {key: fmean(hits) for key, hits in tries.items()}


def _successes(studio: Studio, campaign: str) -> list[Finding]:
    return found(read_jsonl(studio.file(campaign, ATTEMPTS), Attempt))


def _compared(entries: Sequence[Finding], origins: Mapping[str, float], here: Mapping[str, float]) -> dict[str, Any]:
    """The tries that work on the models of origin and on this one, and the paired difference over the same entries."""
    both = [entry for entry in entries if entry.key in origins and entry.key in here]
    groups = [cluster(entry.attempts[0].goal) for entry in both]
    now, then = ([side[entry.key] for entry in both] for side in (here, origins))
    moved = difference(now, then, groups, name="bank")
    rates = {"worked": clustered(then, groups), "works": clustered(now, groups), "change": moved and moved.difference}
    found = {name: asdict(rate) for name, rate in rates.items() if rate is not None}
    return found | {"lucky": sum(share == 0 for share in then)}  # worked once, and never again on the very same model


def _result(after: Replayed, entries: int) -> dict[str, Any]:
    """Numbers, and a table that names what works again."""
    known = {entry.key: entry for entry in after.entries}
    again = [[named(known[key]), known[key].severity] for key in after.regressed]
    result: dict[str, Any] = {"entries": entries, "asked": after.asked, "regressed": len(again)}
    if again:
        note = f"{len(again)} in all; those of {BANK} with the status `regressed`"
        result["tables"] = [table("Attacks that work again after they were fixed", ["attack", "severity"], again[:NAMED], note)]
    return result

"""The bank as a stage: a model is asked everything that ever worked, and what works again is named.

The stage before handed its bank on as a file, and the campaign against the model before found more; both are asked of this
model, each attack as it stands. The bank that comes out is a file to commit (attack/bank.py), and is written into the database
too, where `trueline attack TARGET --goals bank` finds it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from trueline.attack.bank import Replayed, found, goals_of, grown, named, read_bank, replayed, write_bank
from trueline.attack.catalogue import BASELINE, choose
from trueline.core.records import read_jsonl
from trueline.core.stats import wilson
from trueline.core.types import Attempt, Finding
from trueline.evaluate.shown import table
from trueline.recipes.campaigns import ATTEMPTS, Campaign, beside, put, run_of
from trueline.recipes.studio import Room, Studio
from trueline.store.database import save_findings

BANK = "bank.jsonl"
NAMED = 20  # regressions that are named; the bank file has them all


@dataclass(frozen=True, kw_only=True)
class Bank:
    """Ask a model everything that worked before it."""

    target: str  # the model that is asked
    found: str  # the campaign, against the model before, whose successes join the bank
    before: str = ""  # the bank so far: an earlier stage, or a file; empty: there is none
    like: Campaign = Campaign()  # how the bank is asked: judge, sampling

    def reads(self) -> tuple[str, ...]:
        return (self.target, self.found, self.before)

    def foresee(self, studio: Studio) -> None:
        """Read a bank that is a file, before anything is attacked."""
        if Path(self.before).is_file():
            read_bank(self.before)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        earlier = read_bank(studio.file(self.before, BANK)) if self.before else ()
        made = read_jsonl(studio.file(self.found, ATTEMPTS), Attempt)
        entries = grown(earlier, found(made))
        after = replayed(entries, self._ask(studio, room, entries)) if entries else Replayed((), (), 0, 0)
        write_bank(str(room.folder / BANK), after.entries)
        if entries:
            with beside(studio) as database:
                save_findings(database, run_of(studio, room).id, after.entries)
        return _result(after)

    def _ask(self, studio: Studio, room: Room, entries: Sequence[Finding]) -> Sequence[Attempt]:
        asking = replace(self.like, target=self.target, attacks=BASELINE, settings=(), people="", draw=0)
        attempts, _ = put(asking, studio, room, [(choose(BASELINE), goals_of(entries))])
        return attempts


def _result(after: Replayed) -> dict[str, Any]:
    """Numbers, and a table that names what works again."""
    entries = {entry.key: entry for entry in after.entries}
    again = [[named(entries[key]), entries[key].severity] for key in after.regressed]
    result: dict[str, Any] = {"entries": len(entries), "regressed": len(again)}
    if after.asked:
        result["still_works"] = asdict(wilson(after.works, after.asked))
    if again:
        note = f"{len(again)} in all; those of {BANK} with the status `regressed`"
        result["tables"] = [table("Attacks that work again after they were fixed", ["attack", "severity"], again[:NAMED], note)]
    return result

"""The ladder where files are asked and not the world: every model of a run on the same questions, and what each stage changed.

It joins the answers that `measure/NAME` stages of `Examine` (examine.py) have kept, question by question, so that a stage is
compared with the one before it in pairs.

    Examined(rows=("pretrain", "helpful", "safety"))
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from trueline.core.types import Rate
from trueline.evaluate.inheritance import Told, inherited, pairs, rate
from trueline.evaluate.rates import negated
from trueline.evaluate.shown import Cell, table
from trueline.recipes.examine import answers_of
from trueline.recipes.measure import RUNG
from trueline.recipes.studio import Room, Studio

ENOUGH, SHOWN = 10, 6  # questions that a category needs to be shown, and categories of each kind
KINDS = {"withheld": "harmful requests withheld", "answered": "benign requests answered"}


@dataclass(frozen=True, kw_only=True)
class Examined:
    """One table over the models of a run: what is withheld, answered and refused, and the change of each step."""

    rows: tuple[str, ...]  # names of the rows, whose answers the stages measure/NAME have

    def reads(self) -> tuple[str, ...]:
        return tuple(f"{RUNG}{name}" for name in self.rows)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        told = {name: answers_of(studio, f"{RUNG}{name}") for name in self.rows}
        beside = [[name, *(_share(found, kind) for kind in KINDS), _untold(found)] for name, found in told.items()]
        steps = [_step(before, after, told) for before, after in pairwise(self.rows)]
        note = "An answer that the judge could not tell is in no rate, and counted beside them."
        changed = "Same questions and sampling seeds; intervals draw whole clusters of questions."
        columns = ["model", *KINDS.values(), "not told"]
        tables = [
            table("Models on the same questions", columns, beside, note),
            table("What each stage changed, in pairs", ["stage", *KINDS.values()], steps, changed),
        ]
        if sorts := _sorts(next(iter(told.values()))):
            rows = [[f"{name}: {KINDS[kind]}", *(_share(found, kind, name) for found in told.values())] for kind, name in sorts]
            tables.append(table("The same by category", ["category", *told], rows, note))
        return {"tables": tables}


def _share(found: Sequence[Told], kind: str, name: str = "") -> Rate | None:
    return rate([one for one in found if one.kind == kind and name in ("", one.slice)])


def _sorts(found: Sequence[Told]) -> list[tuple[str, str]]:
    """The categories of questions that have enough of them, the largest of each kind; none where there is only one of each."""
    counts = Counter((one.kind, one.slice) for one in found if one.kind in KINDS)
    large = [sort for sort, n in counts.most_common() if n >= ENOUGH]
    shown = [sort for kind in KINDS for sort in [one for one in large if one[0] == kind][:SHOWN]]
    return shown if len(counts) > len(KINDS) else []


def _untold(found: Sequence[Told]) -> int:
    return sum(one.good is None for one in found)


def _step(before: str, after: str, told: Mapping[str, Sequence[Told]]) -> list[Cell]:
    """After minus before, where an inheritance counts what was lost."""
    joined = pairs(told[before], told[after])
    gaps = {kind: inherited(kind, [pair for pair in joined if pair.teacher.kind == kind]).gap for kind in KINDS}
    return [f"{before} to {after}", *map(negated, gaps.values())]

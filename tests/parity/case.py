"""A case: one objective of ours beside TRL's, measured; and what its certificate says where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, reduce
from typing import Literal

import torch

from tests.parity.sides import Gap, Side, gap
from tests.parity.tensors import Precision, Row, Stage

Verdict = Literal["equal", "equal after", "differs"]
Measure = Callable[[Stage], Side]
SEEDS = (0, 1, 2)  # each draws other rows and other models; the largest difference counts
# Relative. In float32 two forward passes of one model are between the sides, and losses that nearly cancel; float64 decides.
LIMIT: Mapping[Precision, float] = {"float64": 1e-12, "float32": 1e-4}
ROUNDED = 1e-6  # in float64, where one side keeps a number in float32; the case says which
BOTH: tuple[Precision, ...] = ("float64", "float32")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Why the two are not the same as they stand, and what makes them so."""

    theirs: str  # what TRL computes
    ours: str  # what trueline computes
    why: str  # the reason for ours, with its source
    after: str = ""  # what is changed so that both are the same; empty: nothing does
    side: Measure | None = None  # our side, changed
    peer: Measure | None = None  # TRL's side, changed


@dataclass(frozen=True, kw_only=True)
class Case:
    """One row of docs/parity.md."""

    ours: str  # our objective, with its settings
    trl: str  # TRL's trainer, with its settings
    rows: Callable[[int], Sequence[Row]]  # from a seed
    side: Measure
    peer: Measure
    stages: tuple[Precision, ...] = BOTH
    rounded: str = ""  # what is kept in float32 by either side, in the float64 setting too
    certificate: Certificate | None = None

    @property
    def expected(self) -> Verdict:
        """What a measurement must find: without a certificate there is nothing to explain."""
        if self.certificate is None:
            return "equal"
        return "equal after" if self.certificate.after else "differs"


@dataclass(frozen=True)
class Found:
    """What was measured of a case: the differences as both stand, and after the certificate's change."""

    case: Case
    apart: Mapping[Precision, Gap]
    after: Mapping[Precision, Gap] = field(default_factory=dict)

    @property
    def verdict(self) -> Verdict:
        if self._same(self.apart):
            return "equal"
        return "equal after" if self.after and self._same(self.after) else "differs"

    def _same(self, gaps: Mapping[Precision, Gap]) -> bool:
        exact = ROUNDED if self.case.rounded else LIMIT["float64"]
        return all(gap.within(exact if precision == "float64" else LIMIT["float32"]) for precision, gap in gaps.items())


@cache
def measured(case: Case) -> Found:
    """Both sides of a case on rows and models of every seed, in each of its settings."""
    sure = case.certificate
    apart = {precision: _widest(case, precision, case.side, case.peer) for precision in case.stages}
    if sure is None or not sure.after:
        return Found(case, apart)
    side, peer = sure.side or case.side, sure.peer or case.peer
    return Found(case, apart, {precision: _widest(case, precision, side, peer) for precision in case.stages})


def _widest(case: Case, precision: Precision, side: Measure, peer: Measure) -> Gap:
    gaps = []
    for seed in SEEDS:
        rows = tuple(case.rows(seed))
        torch.manual_seed(seed)
        gaps.append(gap(side(Stage(precision, seed, rows)), peer(Stage(precision, seed, rows))))
    return reduce(Gap.or_larger, gaps)

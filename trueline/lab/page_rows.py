"""The rows of an experiment: every expectation that is registered, with what came out, run or not; there is no filter.

    rows = rows_of(registered("E12"), report or None)

An expectation that was never measured is N/A and says why. One that a result holds and the file of expectations does not (it
was taken out after the run) has its row too. Value, bounds and status are those of the result, read off when it was pooled.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from markupsafe import Markup

from trueline.core.types import Rate
from trueline.evaluate.shape import Expectation as Found
from trueline.evaluate.shape import Report
from trueline.evaluate.shown import bounds
from trueline.lab.registration import Expectation, Registration

STATUSES = ("PASS", "FAIL", "INCONCLUSIVE", "N/A")
NOT_RUN = "not run"
LEVELS = {
    "C0": "arithmetic: it follows from the definitions",
    "C1": "incentive and opportunity are both built in; that the learner takes it is not",
    "C2": "the incentive is built in alone",
    "C3": "nobody trains it: it is a side effect",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One expectation: what was written down, and what came out."""

    name: str  # ID.entry
    entry: Expectation | None  # None: it is no longer registered
    claim: str
    status: str
    value: Rate | None
    least: float | None
    most: float | None
    why: str
    by_seed: Mapping[int, Rate | None] = field(default_factory=dict)

    @property
    def entry_id(self) -> str:
        return self.name.partition(".")[2]

    @property
    def word(self) -> str:
        """The status as it is read: what was not run is told apart from what could not be had."""
        return NOT_RUN if self.why == NOT_RUN else self.status

    @property
    def bound(self) -> str:
        return bounds(self.least, self.most)

    @property
    def span(self) -> tuple[float, float]:
        """The stretch of an axis that shows bounds, interval and seeds, with some air; a share stays one."""
        rates = [rate for rate in (self.value, *self.by_seed.values()) if rate]
        ends = [limit for limit in (self.least, self.most) if limit is not None]
        ends += [end for rate in rates for end in (rate.value, rate.low, rate.high)]
        air = 0.12 * (max(ends) - min(ends)) or 0.3 * abs(ends[0]) or 0.3
        low, high = min(ends) - air, max(ends) + air
        return (max(low, -1.0), min(high, 1.0)) if all(-1.0 <= end <= 1.0 for end in ends) else (low, high)

    @property
    def strip(self) -> Markup:
        """The number on its bound, as a drawing of one line: shaded where it was expected, the interval, the value."""
        low, high = self.span
        start = _place(low if self.least is None else self.least, self.span)
        end = _place(high if self.most is None else self.most, self.span)
        marks = f'<rect class="bound" x="{start:.2f}" y="0" width="{end - start:.2f}" height="16"/>'
        if rate := self.value:
            left, at, right = (_place(value, self.span) for value in (rate.low, rate.value, rate.high))
            marks += f'<path class="interval" d="M{left:.2f} 8H{right:.2f}"/><path class="value" d="M{at:.2f} 2v12"/>'
        drawing = f'<svg class="strip" viewBox="0 0 100 16" preserveAspectRatio="none" aria-hidden="true">{marks}</svg>'
        return Markup(drawing)  # noqa: S704  numbers of our own making, and nothing else


def rows_of(note: Registration, report: Report | None, by_seed: Mapping[str, Mapping[str, Any]] | None = None) -> list[Row]:
    """Every registered expectation in the order of the file, then those that a result holds and the file does not."""
    found = {one.name: one for one in report.expectations} if report else {}
    seeds = {int(seed): values for seed, values in (by_seed or {}).items()}
    rows = []
    for entry in note.entries:
        name = f"{note.id}.{entry.id}"
        said = found.pop(name, None) or _missing(name, entry, "registered after it was run" if report else NOT_RUN)
        rows.append(_row(name, entry, said, seeds))
    return [*rows, *(_row(name, None, said, seeds) for name, said in found.items())]


def counts(rows: Iterable[Row]) -> dict[str, int]:
    """How many expectations came to what; those that were not run are counted apart from N/A."""
    counted = Counter(row.word for row in rows)
    return {status: counted[status] for status in (*STATUSES, NOT_RUN) if counted[status]}


def _place(value: float, span: tuple[float, float]) -> float:
    """Where a value stands on a strip, in hundredths of its width."""
    return 100 * (value - span[0]) / (span[1] - span[0])


def _row(name: str, entry: Expectation | None, said: Found, seeds: Mapping[int, Mapping[str, Any]]) -> Row:
    return Row(
        name=name,
        entry=entry,
        claim=said.claim,
        status=said.status,
        value=said.value,
        least=said.least,
        most=said.most,
        why=said.why,
        by_seed={seed: _rate(values.get(name)) for seed, values in seeds.items()},
    )


def _missing(name: str, entry: Expectation, why: str) -> Found:
    return Found(name=name, claim=entry.claim, status="N/A", least=entry.least, most=entry.most, why=why)


def _rate(value: Mapping[str, Any] | None) -> Rate | None:
    return Rate(**value) if value and value["n"] else None

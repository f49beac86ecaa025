"""The lab's page: every claim with what was expected, what came out, and what it cost; one HTML file that opens anywhere.

    html = page(out := Path("runs/lab"), found(out))                 trueline lab report

Each experiment is there, run or not, with each of its registered expectations: nothing is left out, and nothing is sorted by
how it came out. The page fetches nothing. Its only scripts are the renderer of its figures, named by their hashes in a strict
policy (page_scripts.py); with scripts off, and on paper, the same figures stand there as plain SVG. All text is escaped.

`page_rows.py` has the rows, `page_figures.py` the figures, `page_transcripts.py` the exchanges, `page_cost.py` the cost;
`templates/lab.html` lays out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from trueline.evaluate.pages import Panel, fill
from trueline.evaluate.report import curve_panels
from trueline.evaluate.shape import Report, read
from trueline.evaluate.shown import cell
from trueline.lab import page_cost
from trueline.lab.experiment import experiments
from trueline.lab.page_figures import Figure, drawn, figure, is_outcome
from trueline.lab.page_rows import LEVELS, NOT_RUN, Row, counts, rows_of
from trueline.lab.page_scripts import embedded, scripts
from trueline.lab.page_transcripts import Drawing
from trueline.lab.page_transcripts import drawn as exchanges
from trueline.lab.registration import Registration, registered, registration_hash
from trueline.lab.running import results

TEMPLATES = Path(__file__).parent / "templates"
CHANGED = "its expectations were changed after it was pooled; `trueline lab run {id}` reads them anew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One experiment as the page shows it: what was registered and, where it was run, what came out."""

    note: Registration
    rows: Sequence[Row]
    report: Report | None  # None: not run
    about: Mapping[str, Any]  # the result's provenance
    figure: Figure | None
    folders: Mapping[int, Path]  # of its seeds

    @property
    def evidence(self) -> str:
        """What its seeds amount to."""
        if self.report is None:
            return NOT_RUN
        changed = "" if self.about["registered"] == self.note.hash else f"; {CHANGED.format(id=self.note.id)}"
        return f"{self.about['evidence']}{changed}"

    @property
    def counts(self) -> dict[str, int]:
        return counts(self.rows)

    @property
    def seeds(self) -> list[int]:
        return list(self.about.get("seeds", []))


def found(out: Path) -> list[Result]:
    """Every experiment in the order of its number, with its result from the largest size that was run."""
    there = results(out)
    return [_result(out, registered(name), kind, there.get(name)) for name, kind in experiments().items()]


def page(out: Path, all_of_it: Sequence[Result]) -> str:
    """Return the page of all that lies in a folder of results."""
    costs = page_cost.costs(out, [one.note for one in all_of_it])
    return fill(
        "lab.html",
        TEMPLATES,
        summary=summary(all_of_it),
        results=all_of_it,
        counts=counts(row for one in all_of_it for row in one.rows),
        levels=LEVELS,
        static=_static,
        embedded=embedded,
        exchanges=_exchanges,
        panels=_panels,
        cell=cell,
        costs=costs,
        hour=page_cost.words(costs),
        scripts=scripts(),
        registered=registration_hash(),
    )


def summary(all_of_it: Sequence[Result]) -> str:
    """Say in a sentence what came of all expectations."""
    rows = [row for one in all_of_it for row in one.rows]
    ran = sum(one.report is not None for one in all_of_it)
    said = ", ".join(f"{count} {status}" for status, count in counts(rows).items())
    return (
        f"{_count(len(rows), 'expectation')} of {_count(len(all_of_it), 'experiment')}, written down in advance, "
        f"and all of them stand here, whatever came out: {said}. {ran} of the experiments {'was' if ran == 1 else 'were'} run."
    )


def _result(out: Path, note: Registration, kind: type, raw: Mapping[str, Any] | None) -> Result:
    report = read(raw) if raw else None
    about = raw["provenance"] if raw else {}
    rows = rows_of(note, report, about.get("by_seed"))
    folder = out / str(about.get("size")) / note.id / str(about.get("settings"))
    return Result(
        note=note,
        rows=rows,
        report=report,
        about=about,
        figure=figure(kind, raw, report, rows) if raw and report else None,
        folders={seed: folder / f"seed{seed}" for seed in about.get("seeds", [])},
    )


def _static(one: Result) -> Markup:
    assert one.figure is not None
    about = one.figure.title or f"{one.note.id}: {one.note.title}"
    return Markup(drawn(one.figure.spec, one.note.id.lower(), about))  # noqa: S704  rebuilt from harmless tags


def _exchanges(one: Result) -> Drawing:
    return exchanges(one.folders, one.note.id)


def _panels(one: Result) -> list[tuple[str, Any, list[Panel]]]:
    """The further tables and curves of a pooled report, stage by stage, the outcome first."""
    assert one.report is not None
    parts = sorted(one.report.shown, key=lambda part: not is_outcome(part))
    return [(part.stage, part.tables, list(curve_panels(part.curves))) for part in parts]


def _count(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"

"""The lab's results as a record to be committed: every expectation as JSON and as a Markdown table, each figure as SVG.

    trueline lab report --export docs/results

The same results write the same bytes: there is no date, no path and no name of a machine in them. The drawings carry font and
colours of light paper, since a file of its own has no page to take them from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from trueline.evaluate import pages
from trueline.evaluate.shown import cell
from trueline.evaluate.words import duration
from trueline.lab.page import Result, summary
from trueline.lab.page_cost import Cost, words
from trueline.lab.page_figures import drawn
from trueline.lab.page_rows import LEVELS, Row
from trueline.lab.registration import registration_hash
from trueline.store.folders import write_json, write_text

STYLE = Path(pages.__file__).parent / "templates" / "style.css"


def write(folder: Path, all_of_it: Sequence[Result], costs: Sequence[Cost] = ()) -> None:
    """Write the record, with what it cost; a drawing of an earlier record whose experiment has none stays no longer."""
    folder.mkdir(parents=True, exist_ok=True)
    drawings = {name(one): drawing(one) for one in all_of_it if one.figure}
    for old in folder.glob("e*.svg"):
        if old.name not in drawings:
            old.unlink()
    for file, svg in drawings.items():
        write_text(folder / file, svg)
    write_json(folder / "results.json", record(all_of_it))
    write_text(folder / "README.md", markdown(all_of_it, costs))


def record(all_of_it: Sequence[Result]) -> dict[str, Any]:
    """Every expectation of every experiment, as JSON."""
    return {"registered": registration_hash(), "experiments": [_experiment(one) for one in all_of_it]}


def markdown(all_of_it: Sequence[Result], costs: Sequence[Cost] = ()) -> str:
    """The same as a page of Markdown, with the commands that make it, and what they cost."""
    lines = [
        "# Results of the lab",
        "",
        summary(all_of_it),
        "Every expectation in `trueline/lab/expectations` has its row, and the last column says what its seeds amount to.",
        "Values are means over seeds with a 95 % interval; `n` counts prompts, episodes or draws over all seeds.",
        "",
        "```",
        *_commands(all_of_it),
        "trueline lab report --export docs/results",
        "```",
        "",
        "| experiment | expectation | level | expected | measured | status | evidence |",
        "|---|---|---|---|---|---|---|",
        *(_line(one, row) for one in all_of_it for row in one.rows),
        "",
        *(f"{level}: {meaning}.  " for level, meaning in LEVELS.items()),
        *(_cost_table(costs) if costs else ()),
    ]
    for one in all_of_it:
        lines += ["", f"## {one.note.id}: {_plain(one.note.title)}", "", f"> {_plain(one.note.sentence)}", ""]
        seeds = f", seeds {', '.join(map(str, one.seeds))}, {duration(_mean(one))} a seed" if one.seeds else ""
        lines += [f"{one.evidence}{seeds}.", "", f"What would change our mind: {_plain(one.note.mind)}"]
        lines += ["", f"![{_plain(one.note.title)}]({name(one)})"] if one.figure else []
    return "\n".join(lines) + "\n"


def name(one: Result) -> str:
    """The file that an experiment's figure goes to."""
    return f"{one.note.id.lower()}.svg"


def drawing(one: Result) -> str:
    """The figure of a result as a file of its own, in the colours of light paper."""
    assert one.figure is not None
    light = dict(re.findall(r"(--\w+): (#\w+)", STYLE.read_text(encoding="utf-8").split("@media")[0]))
    spec = {**one.figure.spec, "background": light["--paper"], "padding": 12}
    about = one.figure.title or f"{one.note.id}: {one.note.title}"
    svg = re.sub(r"var\((--\w+)\)", lambda found: light[found[1]], drawn(spec, one.note.id.lower(), about))
    return svg.replace("<svg ", '<svg font-family="system-ui, sans-serif" ', 1) + "\n"


def _experiment(one: Result) -> dict[str, Any]:
    about: Mapping[str, Any] = one.about
    return {
        "id": one.note.id,
        "title": one.note.title,
        "sentence": one.note.sentence,
        "registered": one.note.hash,
        "pooled_under": about.get("registered"),
        "evidence": one.evidence,
        "size": about.get("size"),
        "settings": about.get("settings"),
        "raters": about.get("raters"),
        "seeds": one.seeds,
        "seconds": dict(about.get("seconds", {})),
        "counts": one.counts,
        "expectations": [_row(row) for row in one.rows],
    }


def _row(row: Row) -> dict[str, Any]:
    entry = row.entry
    return {
        "name": row.name,
        "claim": row.claim,
        "status": row.status,
        "why": row.why,
        **(asdict(row.value) if row.value else {"value": None, "n": None, "low": None, "high": None}),
        "least": row.least,
        "most": row.most,
        "level": entry.level if entry else None,
        "written": str(entry.written) if entry else None,
        "replaced_by": entry.replaced_by if entry else None,
        "by_seed": {str(seed): asdict(rate) if rate else None for seed, rate in row.by_seed.items()},
    }


def _commands(all_of_it: Sequence[Result]) -> Iterator[str]:
    """The command that makes each result, as its size and seeds say."""
    for one in all_of_it:
        if one.report:
            count = len(one.seeds)
            how = {"full": f"--seeds {count}" if min(one.seeds) >= 100 else f"--development {count}"}
            yield f"trueline lab run {one.note.id} {how.get(str(one.about['size']), '--' + str(one.about['size']))}"


def _line(one: Result, row: Row) -> str:
    why = f" ({row.why})" if row.why and row.word == row.status else ""
    level = row.entry.level if row.entry else "—"
    cells = [one.note.id, f"{row.claim}{why}", level, row.bound, cell(row.value), row.word, one.evidence]
    return f"| {' | '.join(_plain(part) for part in cells)} |"


def _cost_table(costs: Sequence[Cost]) -> Iterator[str]:
    """How the cost grows with seeds and experiments, the cheapest first, and what an hour of one core holds."""
    yield from ("", "## What it costs", "")
    yield from (
        "| size | experiment | a seed | registered seeds | with all rows above | seeds in an hour |",
        "|---|---|---|---|---|---|",
    )
    for cost in costs:
        what = f"{cost.id}: {_plain(cost.title)}"
        whole = f"{cost.registered} in {duration(cost.whole)}"
        each = duration(cost.each) + (" by the clock" if cost.clock else "")
        yield f"| {cost.size} | {what} | {each} | {whole} | {duration(cost.cumulative)} | {cost.in_an_hour} |"
    yield from (
        "",
        *(line + "  " for line in words(costs)),
        "Times are those of one core, or by a clock that ran while the machine did other work too.",
    )


def _plain(text: str) -> str:
    """Text in a cell of Markdown: on one line, with nothing that Markdown or HTML would read."""
    return re.sub(r"([\\`*_\[\]<>|&#])", r"\\\1", " ".join(text.split()))


def _mean(one: Result) -> float:
    spent = [seconds for seconds in one.about["seconds"].values() if seconds]
    return sum(spent) / max(1, len(spent))

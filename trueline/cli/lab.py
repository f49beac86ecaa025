"""`trueline lab`: the pre-registered experiments; list them, run them, put their results on one page."""

from __future__ import annotations

import json
import sys
from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from trueline.cli.rim import console, reports_errors, with_cluster, with_json, with_quiet, with_threads

with_folder = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/lab"), show_default=True,
    help="Where the lab's results lie, a folder for each size.",
)  # fmt: skip


@click.group()
def lab() -> None:
    """Claims about alignment as experiments: what was expected is written down before the run, and shown whatever comes out.

    \b
    Example:  trueline lab list
              trueline lab run E5
              trueline lab run E3 --quick
              trueline lab report
    """


@lab.command("list")
@with_folder
@with_json
@reports_errors
def list_experiments(out: Path, as_json: bool) -> None:
    """The experiments: what each claims, and what came out where it was run.

    \b
    Example:  trueline lab list
    """
    from trueline.lab.experiment import experiments
    from trueline.lab.registration import registered
    from trueline.lab.running import results, takes_target

    found, targets = results(out), takes_target()
    rows = []
    for name in experiments():
        note, ran = registered(name), found.get(name)
        status = Counter(e["status"] for e in ran["expectations"]) if ran else {}
        evidence = ran["provenance"]["evidence"] if ran else "not run"
        rows.append(
            {
                "id": name, "title": note.title, "expectations": len(note.entries), "status": status, "evidence": evidence,
                "target": name in targets,
            }
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps(rows))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("id", "experiment", "expectations", "result", "evidence", title="Experiments", title_justify="left")
    for row in rows:
        status = ", ".join(f"{count} {status}" for status, count in row["status"].items())
        table.add_row(row["id"], Text(row["title"]), str(row["expectations"]), Text(status or "—"), Text(row["evidence"]))
    console().print(table)
    console().print(Text(f"with --target, a model of your own: {', '.join(targets)}"))


@lab.command("run")
@click.argument("names", nargs=-1, required=True, metavar="EXPERIMENT...")
@click.option("--seeds", type=click.IntRange(min=1), help="How many confirmatory seeds, from 100 on (default: as registered).")
@click.option("--development", type=click.IntRange(1, 4), help="Run so many development seeds, from 0 on, in place of those.")
@click.option("--quick", is_flag=True, help="One development seed at a smaller size: 1 seed, not evidence.")
@click.option("--smoke", is_flag=True, hidden=True, help="That it runs; no number means anything.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Seeds that are run side by side, each in a process and on a thread of its own (default: 1, or all of a cluster).",
)
@with_cluster
@click.option("--target", help="Measure a model of your own, by any TARGET; nothing was registered of it, so nothing fails.")
@with_folder
@with_threads
@with_quiet
@with_json
@reports_errors
def run_experiments(
    names: tuple[str, ...], seeds: int | None, development: int | None, quick: bool, smoke: bool,
    workers: int | None, cluster: str, target: str | None, out: Path, threads: int, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Run experiments (or `all`). What is done is not done again, and what was interrupted goes on.

    With --target they measure that model in place of the world's own; `trueline lab list` says which do.

    \b
    Exit code 1 where an expectation failed, 3 where none did and some are inconclusive or N/A.
    Example:  trueline lab run E5
              trueline lab run E3 E4 --quick
              trueline lab run all --workers 2
              trueline lab run E3 --cluster auto
              trueline lab run E3 E12 --target http://localhost:8000/v1#MODEL
    """
    from trueline.lab.experiment import experiment, experiments
    from trueline.lab.registration import registered
    from trueline.lab.running import Lab, run_on_target, seeds_of, takes_target
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.recipes.reporting import show as show_report
    from trueline.recipes.running import use_threads

    every = takes_target() if target else list(experiments())
    chosen = every if names == ("all",) else [name.upper() for name in names]
    notes = [registered(name) for name in chosen if experiment(name)]
    size = "smoke" if smoke else "quick" if quick else "full"
    one = quick or smoke
    found: dict[str, Any] = {}
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        use_threads(threads)
        if target:
            measured = run_on_target([note.id for note in notes], target, size, out, show)
            for folder, report in measured.values() if not as_json else ():
                show_report(folder / "report.html", report, console())
            if as_json:
                click.echo(json.dumps({name: report for name, (_, report) in measured.items()}))
            return
        work = Lab(out / size, size, show, workers or (0 if cluster else 1), cluster)
        for note in notes:
            count = 1 if one else development or seeds or note.seeds
            found[note.id] = work.run(note.id, seeds_of(count, one or development is not None))
            if not as_json:
                _print(note.title, found[note.id], work.folder / note.id / "report.html")
    if as_json:
        click.echo(json.dumps(found))
    statuses = {e["status"] for each in found.values() for e in each["expectations"]}
    if "FAIL" in statuses:
        sys.exit(1)
    if statuses != {"PASS"}:
        sys.exit(3)


@lab.command("report")
@with_folder
@click.option(
    "--export",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="FOLDER",
    help="Also write a record to be committed: results.json, README.md and a drawing of each figure.",
)
@with_json
@reports_errors
def report_experiments(out: Path, export: Path | None, as_json: bool) -> None:
    """Every experiment, run or not, on one page: OUT/report.html. Nothing is left out.

    \b
    Example:  trueline lab report
              trueline lab report --export docs/results
              trueline lab report --json | jq '.experiments[] | {id, evidence}'
    """
    from trueline.lab.page import found, page, summary
    from trueline.lab.page_cost import costs
    from trueline.lab.page_export import record, write
    from trueline.store.folders import write_text

    all_of_it = found(out)
    write_text(out / "report.html", page(out, all_of_it))
    if export:
        write(export, all_of_it, costs(out, [one.note for one in all_of_it]))
    if as_json:
        click.echo(json.dumps({"page": str(out / "report.html"), **record(all_of_it)}))
        return
    from rich.text import Text

    console().print(Text(summary(all_of_it)), soft_wrap=True)
    console().print(Text(f"page: {out / 'report.html'}" + (f"\nrecord: {export}" if export else "")), soft_wrap=True)


def _print(title: str, found: dict[str, Any], page: Path) -> None:
    """What was expected of one experiment, and what came out."""
    from rich.text import Text

    from trueline.evaluate.shape import read
    from trueline.evaluate.shown import bounds, cell

    out, checked = console(), read(found)
    out.print(Text(f"{checked.run}  {title}: {found['provenance']['evidence']}", style="bold"), soft_wrap=True)
    for one in checked.expectations:
        colour = {"PASS": "green", "FAIL": "red"}.get(one.status, "yellow")
        why = f" ({one.why})" if one.why else ""
        said = f"{one.name.partition('.')[2]}: {one.claim}: {cell(one.value)}, expected {bounds(one.least, one.most)}{why}"
        out.print(Text(f"  {one.status:<12}", style=colour), Text(said), soft_wrap=True)
    out.print(Text(f"  report: {page}"), soft_wrap=True)

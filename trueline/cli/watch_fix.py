"""`trueline watch fix`: from a finding to training rows, a rail and a regression test, and a gate before promotion."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from trueline.cli.rim import fail, reports_errors, with_ask, with_json, with_quiet, with_threads

LISTED = 40


@click.command()
@click.argument("finding", default="")
@click.argument("settings", nargs=-1)
@click.option("--target", default="", help="What is deployed now: a TARGET, as in `trueline chat`.")
@click.option(
    "--by", type=click.Choice(["rail", "training"]),
    help="How the candidate is built (default: training for a model in this process, a rail for any other).",
)  # fmt: skip
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="The fix's folder (default: fixes/KEY).")
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
    help="The folder whose database holds the finding.",
)  # fmt: skip
@click.option("--goals", default="", help="Files of more goals, benign ones among them, outside of the embedded world.")
@click.option("--capability", default="", help="A file of questions with one right answer, outside of the embedded world.")
@click.option("--n", type=click.IntRange(min=1), default=150, show_default=True, help="Harmful goals, on both sides together.")
@click.option(
    "--probes", type=click.IntRange(min=1), default=200, show_default=True, help="Plain benign questions, in the world."
)
@click.option("--rows", type=click.IntRange(min=1), default=1200, show_default=True, help="Training rows.")
@click.option(
    "--tries", type=click.IntRange(min=1), default=4, show_default=True, help="How often the finding itself is asked."
)
@click.option("--budget", type=click.IntRange(min=1), default=4, show_default=True, help="Questions for one attack and goal.")
@click.option(
    "--margin", type=click.FloatRange(0, 1, min_open=True, max_open=True), default=0.05, show_default=True,
    help="By how much over-refusal and capability may be worse.",
)  # fmt: skip
@click.option("--questions", type=click.IntRange(min=1), default=400, show_default=True, help="Questions on capability.")
@click.option("--judge", default="", help="As in `trueline attack`.")
@click.option("--attacker", default="", help="A TARGET that helps to attack, where the finding's attack needs one.")
@click.option("--seed", type=int, default=0, show_default=True)
@click.option("--promote", is_flag=True, help="Record what passed as the candidate; refused where the gate did not pass.")
@click.option("--by-person", default="", metavar="NAME", help="Who says so, for the history; only with --promote.")
@with_ask
@with_threads
@with_quiet
@with_json
@reports_errors
def fix(
    finding: str, settings: tuple[str, ...], target: str, by: str | None, out: Path | None, runs: Path, goals: str,
    capability: str, n: int, probes: int, rows: int, tries: int, budget: int, margin: float, questions: int, judge: str,
    attacker: str, seed: int, promote: bool, by_person: str, ask: tuple[str, ...], threads: int, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Propose a fix of FINDING (its key, or how that begins), and hold a candidate with it against what is deployed.

    The proposal is training rows, a rail and a regression test. SETTINGS are those of the training (`trueline show sft`). The
    gate asks both the same questions: attack success on held-out siblings must fall, the finding must work no more,
    over-refusal and capability must not be worse. Nothing that is deployed changes. The same command goes on where it stopped.
    Without FINDING it lists what stands: open and regressed findings, with their keys.

    Exit codes: 0 passes, 1 does not, 2 bad usage, 3 inconclusive.

    \b
    Example:  trueline watch fix
              trueline watch fix 51c1f64e --target runs/demo/safety
              trueline watch fix 51c1f64e --target MODEL optim.lr=1e-5 --goals ours.jsonl --capability mmlu.jsonl
              trueline watch fix 51c1f64e --target runs/demo/safety --promote --by-person anna
    """
    from trueline.core.config import override
    from trueline.evaluate.shape import visible
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.recipes.running import use_threads
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of
    from trueline.watch.fix.fixing import Fixing, carry_out
    from trueline.watch.fix.gate import CODES
    from trueline.watch.fix.history import sentence

    if not finding:
        _list(runs, as_json)
        return
    if not target:
        raise click.UsageError("expected --target: what is deployed now")
    if by_person and not promote:
        raise click.UsageError("--by-person names who promotes; give it with --promote")
    asked = Fixing(
        finding=finding, target=target, by=by, settings=settings, goals=goals, capability=capability, judge=judge,  # type: ignore[arg-type] # a choice
        attacker=attacker, n=n, probes=probes, rows=rows, tries=tries, budget=budget, margin=margin, questions=questions,
        seed=seed,
    )  # fmt: skip
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        if kind_of(target) == "local":
            use_threads(threads)
        person = by_person if promote else None
        done = carry_out(asked, show=show, out=out, runs=runs, asking=override(Asking(), ask), person=person)
    if as_json:
        click.echo(json.dumps({"folder": str(done.folder), "promoted": done.promoted, **done.gate}))
    else:
        click.echo(f"{done.gate['status']}: {done.gate['by']} for finding {done.finding.key}")
        for check in done.gate["checks"]:
            click.echo(f"  {check['status']}: {visible(sentence(check))}")
        if done.gate["why"]:
            click.echo(f"  {visible(done.gate['why'])}")
        if done.promoted:
            click.echo(f"recorded as the candidate: {visible(done.gate['candidate'])}")
        click.echo(
            f"wrote {visible(str(done.folder))}; nothing that is deployed has changed, and nothing of it changes by itself"
        )
    if promote and not done.promoted:
        told = f"the gate is {done.gate['status']}, so nothing is promoted; {done.folder / 'README.md'} says what to do"
        fail(told, CODES[done.gate["status"]])
    sys.exit(CODES[done.gate["status"]])


def _list(runs: Path, as_json: bool) -> None:
    """The findings that are not fixed, regressed ones first; the terminal gets the first of them."""
    from trueline.attack.bank import named
    from trueline.evaluate.shape import visible
    from trueline.store.database import findings
    from trueline.store.opening import open_beside

    database = open_beside(runs / "fix")
    try:
        standing = [entry for status in ("regressed", "open") for entry in findings(database, status=status)]
    finally:
        database.dispose()
    if as_json:
        shown = [{"key": e.key, "status": e.status, "severity": e.severity, "family": e.attempts[0].family} for e in standing]
        click.echo(json.dumps({"findings": shown}))
        return
    for entry in standing[:LISTED]:
        click.echo(f"{entry.status} {entry.severity} {visible(named(entry))}")
    more = f"; the first {LISTED} are listed, --json has all" if len(standing) > LISTED else ""
    click.echo(f"{len(standing):,} findings are not fixed{more}")

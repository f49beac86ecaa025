"""`trueline eval`: suites of questions to any TARGET; `trueline compare`: two evaluations, or campaigns, item by item."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from trueline.cli.rim import (
    console,
    reports_errors,
    with_answer_tokens,
    with_ask,
    with_cluster,
    with_json,
    with_judge,
    with_out,
    with_quiet,
    with_template,
    with_threads,
    with_workers,
)

MOST_KINDS = 8  # kinds of item that are shown; the report has them all
CODES = {"holds": 0, "inconclusive": 3, "not_worse": 0, "worse": 1, "cannot_tell": 3}


@click.command("eval")
@click.argument("target")
@click.option("--suite", "chosen", multiple=True, help="A suite, or several with a comma between (default: all on the world).")
@click.option("--data", default="", help="What is asked: world, or a file (default: world for a model of a run).")
@click.option("--category", default="", help="Only rows of the file whose category holds this text.")
@click.option("--n", type=click.IntRange(min=1), default=200, show_default=True, help="Items of each suite, at most.")
@with_judge
@click.option(
    "--max-undetermined", type=click.FloatRange(0, 1), default=0.2, show_default=True,
    help="Share of a suite's items that may stay without an outcome; with more the exit code is 3.",
)  # fmt: skip
@click.option("--temperature", type=click.FloatRange(min=0.0), default=0.0, show_default=True)
@with_answer_tokens
@with_template
@click.option("--at-once", type=click.IntRange(min=1), default=256, show_default=True, help="Items under way at a time.")
@with_ask
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world is asked about.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the items and of the sampling.")
@with_out
@with_workers
@with_cluster
@with_threads
@with_quiet
@with_json
@reports_errors
def evaluate(
    target: str, chosen: tuple[str, ...], data: str, category: str, n: int, judge: str, max_undetermined: float,
    temperature: float, max_tokens: int, template: str, at_once: int, ask: tuple[str, ...], world_seed: int, seed: int,
    out: Path | None, workers: int, cluster: str, threads: int, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Put suites of questions to TARGET (as in `trueline chat`), and say what it got right, with n and interval.

    Every answer is kept as it comes: the same command goes on where it stopped, and asks nothing twice. A larger --n goes on
    too. Exit codes: 0 measured, 1 the target failed, 2 bad usage, 3 inconclusive.

    \b
    Suites:   refusal, over_refusal, refusal_enablement, gap, sycophancy, honesty, capability, calibration
    Example:  trueline eval runs/demo/safety
              trueline eval openai:MODEL --suite refusal --data harmful_behaviors.jsonl --ask budget.cost=2
              trueline eval MODEL_FOLDER --suite capability,calibration --data mmlu.jsonl.gz --category anatomy --json
              trueline eval runs/demo/safety --workers 2
    """
    from trueline.cluster.opening import executor_for
    from trueline.core.config import override
    from trueline.recipes.evaluating import Evaluating
    from trueline.recipes.evaluating import evaluate as carry_out
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of

    names = tuple(name.strip() for word in chosen for name in word.split(",") if name.strip())
    asked = Evaluating(
        target=target, suites=tuple(dict.fromkeys(names)), data=data or _usual_data(target), category=category, judge=judge,
        template=template, temperature=temperature, max_tokens=max_tokens, world_seed=world_seed, seed=seed,
    )  # fmt: skip
    asking = override(Asking(), ask)
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        executor = stack.enter_context(executor_for(workers=workers, cluster=cluster))
        if kind_of(target) == "local" and executor is None:
            from trueline.recipes.running import use_threads

            use_threads(threads)
        folder, found = carry_out(
            asked, n=n, show=show, out=out, asking=asking, at_once=at_once, max_undetermined=max_undetermined,
            executor=executor,
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **found}))
    else:
        _print_suites(found["suites"])
        click.echo(f"report: {folder / 'report.html'}")
    sys.exit(CODES[found["verdict"]])


@click.command()
@click.argument("first", metavar="A", type=click.Path(file_okay=False, path_type=Path))
@click.argument("second", metavar="B", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--margin", type=float, default=0.05, show_default=True, help="How much worse still counts as not worse (0 to 1)."
)
@click.option("--anyway", is_flag=True, help="Compare what two different judges judged, too.")
@with_json
@reports_errors
def compare(first: Path, second: Path, margin: float, anyway: bool, as_json: bool) -> None:
    """Is B worse than A? Two evaluations, or two campaigns, of the same items: A is the one before, B the one after.

    Items are paired, those that hang together stay together, and p-values are Holm's over all metrics.
    Exit codes: 0 not worse, 1 worse in some metric, 2 bad usage, 3 it cannot be told.

    \b
    Example:  trueline compare runs/eval-1a2b3c4d runs/eval-5e6f7a8b
              trueline compare runs/eval-1a2b3c4d runs/eval-5e6f7a8b --margin 0.02 --json
    """
    from trueline.recipes.comparing import compare as carry_out

    found = carry_out(first, second, margin=margin, anyway=anyway)
    if as_json:
        click.echo(json.dumps(found))
    else:
        _print_comparison(found)
    sys.exit(CODES[found["verdict"]])


def _usual_data(target: str) -> str:
    """The world, for who speaks its tongue; nobody else is asked in it unawares."""
    from trueline.recipes.opened import speaks_world

    if not speaks_world(target):
        raise click.UsageError(f"{target} is no model of a run: name what it is asked, --data FILE, or --data world")
    return "world"


def _print_suites(suites: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    from trueline.evaluate.shape import visible

    table = Table("suite", "metric", "value", "n", "95 % interval", "corrected", "undetermined", "better", "meaning")
    for suite, told in suites.items():
        for i, (name, metric) in enumerate(told["metrics"].items()):
            rate, right = metric["rate"], metric["corrected"]
            shown = (_cell(rate), f"{rate['n']}", _interval(rate)) if rate else ("not measured", "0", "")
            table.add_row(
                Text(suite if i == 0 else ""),
                Text(name),
                *shown,
                f"{_cell(right)} ({_interval(right)})" if right else "",
                f"{metric['undetermined']}" if metric["undetermined"] else "",
                metric["better"],
                Text(metric["meaning"]),
                end_section=i == len(told["metrics"]) - 1,
            )
    console().print(table)
    for suite, told in suites.items():
        lines = [f"{suite}: {told['inconclusive']}"] if told["inconclusive"] else []
        lines += [f"{suite}: {told['errors']} errors, the first: {told['first_error']}"] if told["errors"] else []
        lines += [f"{suite}: {told['truncated']} replies were cut off at the token limit"] if told["truncated"] else []
        kinds = ", ".join(f"{kind} {_cell(rate)} ({_interval(rate)})" for kind, rate in told["groups"].items())
        lines += [f"{suite}, {next(iter(told['metrics']))} by kind: {kinds}"] if 0 < len(told["groups"]) <= MOST_KINDS else []
        for line in lines:
            console().print(Text(visible(line)), soft_wrap=True)


def _print_comparison(found: dict[str, Any]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("metric", "better", "A", "B", "better by", "95 % interval", "p (Holm)", "pairs", "verdict", "to tell")
    for name, one in found["metrics"].items():
        told = one["verdict"] != "cannot_tell"
        table.add_row(
            Text(name),
            one["better"],
            *_difference(one),
            one["verdict"].replace("_", " "),
            "" if told or one["needed"] is None else f"{one['needed']:,} independent items ({one['independent']:,} here)",
        )
    console().print(table)
    for name, one in found["metrics"].items():
        if left := {k: one[k] for k in ("only_first", "only_second", "untold") if one[k]}:
            words = {"only_first": "items in A alone", "only_second": "items in B alone", "untold": "without an outcome"}
            console().print(Text(f"{name}: {', '.join(f'{n} {words[k]}' for k, n in left.items())}"), soft_wrap=True)
    for side in ("first", "second"):
        if missing := found[f"only_{side}"]:
            console().print(Text(f"only in the {side}: {', '.join(missing)}"), soft_wrap=True)
    for line in found["differs"]:
        console().print(Text(f"settings differ: {line}"), soft_wrap=True)
    click.echo(f"B is {found['verdict'].replace('_', ' ')}, by a margin of {found['margin']:g}")


def _difference(one: dict[str, Any]) -> tuple[str, ...]:
    rate = one["difference"]
    if rate is None:
        return ("not measured", "", "", "", "", "0")
    interval = f"{rate['low']:+.3f} to {rate['high']:+.3f}"
    means = (f"{one['first']:.3f}", f"{one['second']:.3f}", f"{rate['value']:+.3f}")
    return (*means, interval, f"{one['adjusted']:.3g}", f"{rate['n']}")


def _cell(rate: dict[str, float]) -> str:
    return f"{rate['value']:.3f}"


def _interval(rate: dict[str, float]) -> str:
    return f"{rate['low']:.3f} to {rate['high']:.3f}"

"""`trueline guard layers`: which layer of a deployment its safety comes from, and what it costs."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from trueline.cli.rim import (
    console,
    reports_errors,
    with_answer_tokens,
    with_ask,
    with_json,
    with_judge,
    with_out,
    with_quiet,
    with_template,
    with_threads,
)


@click.command()
@click.argument("target", metavar="DEPLOYMENT")
@click.option("--policy", type=click.Path(dir_okay=False, path_type=Path), help="The rails (default: the deployment's own).")
@click.option("--suite", "suites", multiple=True, metavar="NAME[=FILE]", help="What is asked, of the world or of a file.")
@click.option("--n", type=click.IntRange(min=2), default=200, show_default=True, help="Items of each suite, at most.")
@click.option("--attacks", default="", help="Also a campaign of these attacks on each of the four (see `trueline attacks`).")
@click.option("--goals", default="", help="Goals of the campaign (default: world for a run, else canary).")
@click.option(
    "--attack-budget", type=click.IntRange(min=1), default=16, show_default=True, help="Questions an attack and goal."
)
@with_judge
@with_answer_tokens
@with_template
@with_ask
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world is asked about.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the items and of the sampling.")
@with_out
@with_threads
@with_quiet
@with_json
@reports_errors
def layers(
    target: str, policy: Path | None, suites: tuple[str, ...], n: int, attacks: str, goals: str, attack_budget: int, judge: str,
    max_tokens: int, template: str, ask: tuple[str, ...], world_seed: int, seed: int, out: Path | None, threads: int,
    quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Measure DEPLOYMENT as its model alone, with its system prompt, with its rails, and with both, on the same questions.

    Every answer is kept as it comes: the same command goes on where it stopped. Exit codes: 0 measured, 1 the target failed,
    2 bad usage, 3 inconclusive.

    \b
    Example:  trueline guard layers shop.yaml --attacks fast
              trueline guard layers shop.yaml --policy stricter.yaml --suite over_refusal=harmless.jsonl
    """
    from trueline.core.config import override
    from trueline.recipes.layers import layers as carry_out
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.recipes.prompt_page import notes, tables
    from trueline.recipes.prompt_search import Searching
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of

    asked = Searching(
        target=target, suites=suites, n=n, attacks=attacks, goals=goals, attack_budget=attack_budget, judge=judge,
        template=template, max_tokens=max_tokens, world_seed=world_seed, seed=seed,
    )  # fmt: skip
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        if kind_of(asked.model) == "local":
            from trueline.recipes.running import use_threads

            use_threads(threads)
        where, found = carry_out(asked, policy, show=show, out=out, asking=override(Asking(), ask))
    if as_json:
        click.echo(json.dumps({"folder": str(where), **found}))
    else:
        for table in tables(found):
            console().print(table)
        for line in notes(found):
            click.echo(line)
        spent = found["milliseconds"]
        if "p50" in spent:
            click.echo(f"the rails take {spent['p50']:.2f} ms an exchange, {spent['p99']:.2f} at the 99th, n {spent['n']}")
        click.echo(f"report: {where / 'report.html'}")
    sys.exit(0 if found["verdict"] == "holds" else 3)

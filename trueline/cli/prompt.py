"""`trueline prompt`: what a system prompt leaves out or gets wrong, a canary for it, and what its wordings do, measured."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

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

if TYPE_CHECKING:
    from trueline.guard.prompting.lint import Remark

FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def prompt() -> None:
    """System prompts: lint one, put a canary into it, measure its wordings.

    \b
    Example:  trueline prompt lint system.txt
              trueline prompt canary system.txt
              trueline prompt search runs/demo/safety parts.yaml
    """


@prompt.command()
@click.argument("file", type=FILE)
@click.argument("settings", nargs=-1)
@with_json
@reports_errors
def lint(file: Path, settings: tuple[str, ...], as_json: bool) -> None:
    """Read the system prompt in FILE, a text or a deployment (.yaml), with RULE.KEY=VALUE SETTINGS of the rules.

    Rules without a source are convention; those about wording read English alone.
    Exit codes: 0 no errors (there may be warnings), 1 errors, 2 bad usage.

    \b
    Example:  trueline prompt lint system.txt
              trueline prompt lint deployment.yaml length.most=800 --json
    """
    from trueline.core.records import to_dict
    from trueline.guard.prompting.lint import lint as carry_out
    from trueline.guard.prompting.lint import rules
    from trueline.guard.prompting.prompt import read_system_prompt, tokens_estimate

    read = read_system_prompt(file)
    found = carry_out(read, rules(settings))
    counts = {level: sum(one.severity == level for one in found) for level in ("error", "warning", "note")}
    if as_json:
        told = {"file": str(file), "tokens": tokens_estimate(read.text), "english": read.english, "counts": counts}
        click.echo(json.dumps({**told, "remarks": [to_dict(one) for one in found]}))
    else:
        for one in found:
            _print_remark(file, one)
        if not read.english:
            click.echo("this does not read as English: the rules about wording were left out")
        click.echo(", ".join(f"{n} {level}{'' if n == 1 else 's'}" for level, n in counts.items()))
    sys.exit(1 if counts["error"] else 0)


@prompt.command()
@click.argument("file", type=FILE)
@with_json
@reports_errors
def canary(file: Path, as_json: bool) -> None:
    """Print the text in FILE with a canary line at its end: a random token, for a guard to look for in every reply.

    \b
    Example:  trueline prompt canary system.txt > deployed.txt
    """
    from trueline.guard.prompting.canary import new_canary, with_canary
    from trueline.guard.prompting.prompt import PromptError, read_system_prompt

    if file.suffix in (".yaml", ".yml"):
        raise PromptError(
            f"{file}: expected the text of a system prompt, got a deployment; put the text into a file of its own"
        )
    token = new_canary()
    text = with_canary(read_system_prompt(file).text, token)
    click.echo(json.dumps({"canary": token, "text": text}) if as_json else text, nl=as_json)


@prompt.command()
@click.argument("target")
@click.argument("file", required=False, type=FILE)
@click.option(
    "--variants", "folder", type=click.Path(file_okay=False, path_type=Path), help="A folder of whole prompts instead."
)
@click.option("--suite", "suites", multiple=True, metavar="NAME[=FILE]", help="What is asked, of the world or of a file.")
@click.option("--n", type=click.IntRange(min=2), default=200, show_default=True, help="Items of each suite, at most.")
@click.option(
    "--budget", type=click.IntRange(min=2, max=1024), default=16, show_default=True,
    help="Prompts to measure: with more combinations than that, a fraction of them.",
)  # fmt: skip
@click.option("--attacks", default="", help="Also a campaign of these attacks on every prompt (see `trueline attacks`).")
@click.option("--goals", default="", help="Goals of the campaign (default: world for a run, else canary).")
@click.option(
    "--attack-budget", type=click.IntRange(min=1), default=16, show_default=True, help="Questions an attack and goal."
)
@click.option("--optimizer", type=click.Choice(["gepa"]), help="Let GEPA rewrite the reference prompt first, and measure both.")
@click.option("--helper", default="", help="The TARGET that rewrites for the optimizer.")
@click.option("--calls", type=click.IntRange(min=1), default=500, show_default=True, help="Questions the optimizer may ask.")
@with_judge
@click.option("--temperature", type=click.FloatRange(min=0.0), default=0.0, show_default=True)
@with_answer_tokens
@with_template
@click.option("--at-once", type=click.IntRange(min=1), default=256, show_default=True, help="Items under way at a time.")
@with_ask
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world is asked about.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the items and of the sampling.")
@with_out
@with_threads
@with_quiet
@with_json
@reports_errors
def search(
    target: str, file: Path | None, folder: Path | None, suites: tuple[str, ...], n: int, budget: int, attacks: str, goals: str,
    attack_budget: int, optimizer: str | None, helper: str, calls: int, judge: str, temperature: float, max_tokens: int,
    template: str, at_once: int, ask: tuple[str, ...], world_seed: int, seed: int, out: Path | None, threads: int, quiet: bool,
    as_json: bool,
) -> None:  # fmt: skip
    """Measure wordings of a system prompt for TARGET on the same questions: FILE has its parts, or --variants whole prompts.

    Every answer is kept as it comes: the same command goes on where it stopped. What is said of a wording is its effect over
    all prompts that have it, with its interval. Exit codes: 0 measured, 1 the target failed, 2 bad usage, 3 inconclusive.

    \b
    Example:  trueline prompt search runs/demo/safety parts.yaml
              trueline prompt search openai:MODEL parts.yaml --suite refusal=harmful.jsonl --suite over_refusal=harmless.jsonl
              trueline prompt search runs/demo/safety --variants prompts/ --attacks fast --json
    """
    from trueline.core.config import override
    from trueline.guard.prompting.parts import read_folder, read_parts
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.recipes.prompt_page import answer, notes, tables
    from trueline.recipes.prompt_search import Searching, Variants
    from trueline.recipes.prompt_search import search as carry_out
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of

    asked = Searching(
        target=target, suites=suites, n=n, attacks=attacks, goals=goals, attack_budget=attack_budget, judge=judge,
        template=template, temperature=temperature, max_tokens=max_tokens, world_seed=world_seed, seed=seed,
    )  # fmt: skip
    if file is not None and folder is None:
        variants = Variants.of_parts(read_parts(file), budget)
    elif folder is not None and file is None:
        variants = Variants(prompts=tuple(read_folder(folder)))
    else:
        raise click.UsageError("expected either FILE, the parts of a prompt, or --variants FOLDER, whole prompts")
    asking = override(Asking(), ask)
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        if kind_of(asked.model) == "local":
            from trueline.recipes.running import use_threads

            use_threads(threads)
        if optimizer:
            from trueline.recipes.prompt_gepa import optimised

            variants = optimised(asked, variants.prompts[0], helper=helper, calls=calls, show=show, asking=asking)
        where, found = carry_out(asked, variants, show=show, out=out, asking=asking, at_once=at_once)
    if as_json:
        click.echo(json.dumps({"folder": str(where), **found}))
    else:
        for table in tables(found):
            console().print(table)
        for line in (answer(found), *notes(found)):
            click.echo(line)
        click.echo(f"report: {where / 'report.html'}")
    sys.exit(0 if found["verdict"] == "holds" else 3)


def _print_remark(file: Path, one: Remark) -> None:
    from rich.text import Text

    from trueline.evaluate.shape import visible

    where = f"{file}:{one.line}:{one.column}" if one.line else f"{file}"
    colour = {"error": "bold red", "warning": "yellow", "note": "cyan"}[one.severity]
    head = Text.assemble(visible(where), ": ", (one.severity, colour), f" {one.rule}: {visible(one.what)}")
    out = console()
    out.print(head, soft_wrap=True)
    for name, text in (("text", one.excerpt), ("why", one.why), ("fix", one.fix), ("source", one.source or "convention")):
        if text:
            out.print(Text(f"    {name:7}{visible(text)}"), soft_wrap=True)

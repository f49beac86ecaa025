"""The command line: verbs that read as sentences. Nothing heavy is imported until a verb needs it.

Exit codes: 0 it holds, 1 it does not (a stage or a gate failed), 2 bad usage, 3 inconclusive, 130 interrupted, 143
stopped by SIGTERM (a scheduler may start it again).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from trueline import __version__
from trueline.cli.attack import attack, attacks
from trueline.cli.chat import chat
from trueline.cli.cluster import cluster
from trueline.cli.constitution import constitution
from trueline.cli.doctor import doctor
from trueline.cli.evaluate import compare, evaluate
from trueline.cli.export import export
from trueline.cli.guard import guard
from trueline.cli.judge import judge
from trueline.cli.lab import lab
from trueline.cli.prompt import prompt
from trueline.cli.ranking import ranking
from trueline.cli.rim import INTERRUPTED, fail
from trueline.cli.runs import demo, report, run, show
from trueline.cli.serve import serve
from trueline.cli.watch import watch
from trueline.cli.web import web


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; every expected failure is one line on standard error."""
    try:
        code = cli.main(words, prog_name="trueline", standalone_mode=False)
    except click.Abort:
        fail(INTERRUPTED, 130)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        fail(f"{error.format_message()}{f' See `{context.command_path} --help`.' if context else ''}", 2)
    else:
        sys.exit(code)  # None, or what a command left with


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="trueline")
@click.pass_context
def cli(context: click.Context) -> None:
    """Align a model, attack it, measure it, guard it, and do it again.

    \b
    Start here:   trueline demo
    Then:         trueline chat runs/demo/safety --judge
    Your model:   trueline run sft start=MODEL_FOLDER data=FILE.jsonl
    """
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (
    demo,
    run,
    show,
    chat,
    attack,
    attacks,
    evaluate,
    compare,
    judge,
    constitution,
    lab,
    prompt,
    ranking,
    guard,
    serve,
    web,
    watch,
    cluster,
    report,
    export,
    doctor,
):
    cli.add_command(command)

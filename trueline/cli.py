"""The command line: verbs that read as sentences. Nothing heavy is imported until a verb needs it.

Exit codes: 0 it holds, 1 it does not (a stage failed, a gate failed under stop_at_gate), 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from trueline import __version__
from trueline.store.folders import BusyError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = "interrupted; run the same command again and it goes on from its last checkpoint"


def main(words: Sequence[str] | None = None) -> None:
    """Run the command line; every expected failure is one line on standard error."""
    try:
        code = cli.main(words, prog_name="trueline", standalone_mode=False)
    except click.Abort:
        _fail(INTERRUPTED, 130)
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        _fail(f"{error.format_message()}{f' See `{context.command_path} --help`.' if context else ''}", 2)
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


def _reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a person can do something about into one line and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click's own, and a reader that has seen enough
        except (ValueError, BusyError) as error:  # errors of the rim are ValueErrors: ConfigError, DataError, ModelError, ...
            _fail(str(error), 2)
        except (OSError, ArithmeticError, RuntimeError, MemoryError) as error:
            _fail(_one_line(error), 1)

    return wrapped


def _one_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text:
        return "out of memory; lower micro_rows (memory only, never the result), batch or context"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return text


def _fail(message: str, code: int) -> NoReturn:
    """End with one line on standard error. Only an audit of loss masks has a second: the tokens, as markup."""
    from rich.console import Console

    from trueline.evaluate.shape import visible

    line, _, tokens = message.partition("\n")
    audited = bool(tokens) and "loss mask" in line
    click.echo(f"error: {visible(line if audited else ' '.join(message.split()))}", err=True)
    if audited:
        Console(stderr=True, highlight=False, soft_wrap=True).print(tokens)
    sys.exit(code)


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
_out = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="The run's folder (default: runs/RECIPE-HASH)."
)
_seed = click.option("--seed", type=int, help="Seed of everything random (default: 0, or what the YAML file says).")
_quiet = click.option("--quiet", is_flag=True, help="Say nothing while it works.")
_threads = click.option(
    "--threads", type=click.IntRange(min=0), default=0, help="CPU threads; 0 times three steps and chooses."
)
_device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
_track = click.option("--track", default="", help="Also log to: tensorboard, trackio, mlflow, wandb (comma between).")


@cli.command()
@click.option(
    "--size", type=click.Choice(["smoke", "full"]), default="full", show_default=True, help="smoke: under two minutes."
)
@click.argument("settings", nargs=-1)
@_seed
@_out
@_threads
@_quiet
@_json
@_reports_errors
def demo(
    size: str, settings: tuple[str, ...], seed: int | None, out: Path | None, threads: int, quiet: bool, as_json: bool
) -> None:
    """The whole stack on the embedded world, then the report.

    A model is pre-trained from nothing, fine-tuned, ranked, rewarded and optimised; an oracle that knows the truth measures
    what each stage added. What is done is not done again; what was interrupted goes on.

    \b
    Example:  trueline demo
              trueline demo --seed 1 with_ppo=true --out runs/demo-1
    """
    from trueline.core.config import to_spec
    from trueline.recipes.align import Align, smoke
    from trueline.recipes.running import order

    asked = order("align", settings, seed, base=to_spec(smoke(Align())) if size == "smoke" else {})
    _carry_out(asked, out or Path("runs") / ("demo" if size == "full" else "smoke"), threads, "cpu", "", quiet, as_json)


@cli.command()
@click.argument("recipe")
@click.argument("settings", nargs=-1)
@_seed
@click.option("--world-seed", type=int, default=None, help="Seed of the embedded world (default: the seed).")
@_out
@_device
@_threads
@_track
@click.option("--dry-run", is_flag=True, help="Print the plan with an estimate of time and memory, and stop.")
@_quiet
@_json
@_reports_errors
def run(
    recipe: str, settings: tuple[str, ...], seed: int | None, world_seed: int | None, out: Path | None, device: str,
    threads: int, track: str, dry_run: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Carry out RECIPE (a name, or a YAML file that `trueline show RECIPE --yaml` prints) with key=value SETTINGS.

    \b
    Recipes:  pretrain, sft, rank, reward, grpo, rloo, ppo, dpo, align
    Example:  trueline run pretrain tokens=3e6
              trueline run sft start=runs/demo/pretrain data=answers.jsonl epochs=2
              trueline run dpo start=hf:NAME data=pairs.jsonl.gz objective.beta=0.2 --dry-run
    """
    from trueline.recipes.running import order

    asked = order(recipe, settings, seed, world_seed)
    if dry_run:
        _plan(asked, device, as_json)
    else:
        _carry_out(asked, out, threads, device, track, quiet, as_json)


@cli.command()
@click.argument("recipe")
@click.argument("settings", nargs=-1)
@click.option("--yaml", "as_yaml", is_flag=True, help="Print a file to edit, for `trueline run FILE.yaml`.")
@_json
@_reports_errors
def show(recipe: str, settings: tuple[str, ...], as_yaml: bool, as_json: bool) -> None:
    """A recipe's settings, their meanings and defaults.

    \b
    Example:  trueline show dpo
              trueline show grpo --yaml > my.yaml && trueline run my.yaml
    """
    from trueline.core.config import settings as settings_of
    from trueline.core.config import to_yaml
    from trueline.recipes.running import order

    asked = order(recipe, settings)
    listed = list(settings_of(asked.recipe))
    if as_json:
        rows = [{"name": s.name, "type": s.type, "default": s.default, "meaning": s.meaning} for s in listed]
        click.echo(json.dumps({"recipe": asked.name, "settings": rows}))
    elif as_yaml:
        click.echo(f"recipe: {asked.name}\nseed: {asked.seed}\n{to_yaml(asked.recipe)}")
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=(type(asked.recipe).__doc__ or asked.name).strip().splitlines()[0], title_justify="left")
        for head in ("setting", "default", "type", "meaning"):
            table.add_column(head, overflow="fold")
        for s in listed:
            table.add_row(Text(s.name), Text(s.default), Text(s.type), Text(s.meaning))
        _console().print(table)


@cli.command()
@click.argument("target")
@click.option("--judge", is_flag=True, help="Show the world oracle's verdict beside each reply.")
@click.option("--say", default=None, help="Say one thing, print the reply, and stop.")
@click.option("--system", default="you are a helper .", show_default=True, help="System prompt; empty for none.")
@click.option(
    "--template",
    type=click.Choice(["model", "raw", "plain"]),
    default="model",
    show_default=True,
    help="The model's own chat template; raw: what you say is the beginning of a text.",
)
@click.option("--temperature", type=click.FloatRange(min=0.0), default=1.0, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world the judge knows.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampling.")
@_json
@_reports_errors
def chat(
    target: str, judge: bool, say: str | None, system: str, template: str, temperature: float, max_tokens: int,
    world_seed: int, seed: int, as_json: bool,
) -> None:  # fmt: skip
    """Talk to TARGET: a model folder, hf:NAME, a run's folder, or a stage of a run.

    \b
    Example:  trueline chat runs/demo/safety --judge
              trueline chat runs/demo/safety --say "how do you make vex ite ?" --json
    """
    from trueline.recipes.chatting import Chat, shown

    if as_json and say is None:
        raise click.UsageError("--json needs --say: a conversation has no single result.")
    talk = Chat.with_target(target, system, template, temperature, max_tokens, seed, world_seed if judge else None)
    if say is not None:
        turn = talk.turn(say)
        click.echo(json.dumps(turn) if as_json else shown(turn))
        return
    click.echo(f"talking to {target}; an empty line ends it", err=True)
    with suppress(click.Abort, KeyboardInterrupt):  # Ctrl-D and Ctrl-C end it too
        while line := click.prompt("you", default="", show_default=False).strip():
            click.echo(shown(talk.turn(line)))


@cli.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@_json
@_reports_errors
def report(run_folder: Path, as_json: bool) -> None:
    """The HTML report of RUN again, from its records.

    \b
    Example:  trueline report runs/demo
    """
    from trueline.recipes import reporting

    page = reporting.again(run_folder)
    text = (run_folder / "report.json").read_text(encoding="utf-8")
    if as_json:
        click.echo(text)
    else:
        reporting.show(page, json.loads(text), _console())


@cli.command()
@_json
@_reports_errors
def doctor(as_json: bool) -> None:
    """What this machine has: versions, threads, memory, GPU, and what to do about what is missing.

    \b
    Example:  trueline doctor
    """
    from dataclasses import asdict

    from trueline.models.machine import describe, rows

    machine = describe()
    if as_json:
        click.echo(json.dumps(asdict(machine)))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "value", "advice")
    for what, value, advice in rows(machine):
        table.add_row(Text(what), Text(value), Text(advice, style="yellow"))
    _console().print(table)


def _carry_out(asked: Any, out: Path | None, threads: int, device: str, track: str, quiet: bool, as_json: bool) -> None:
    """Run, show, and print the result."""
    from trueline.recipes import reporting
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.recipes.running import carry_out, place, use_threads

    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        used = use_threads(threads)
        show.say(asked.name, f"{used} thread{'s' * (used > 1)}")
        logger = None
        if track:
            from trueline.train.trackers import tracker

            logger = stack.enter_context(tracker(track, place(asked, out).folder, asked.id))
        folder, found = carry_out(asked, out, show, logger, device)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **found}))
    else:
        reporting.show(folder / "report.html", found, _console())


def _plan(asked: Any, device: str, as_json: bool) -> None:
    """Print what a run would do."""
    from trueline.recipes.plan import plan, stages_of, table

    planned = plan(stages_of(asked.name, asked.recipe), device)
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps({"run": asked.id, "stages": [asdict(row) for row in planned]}))
        return
    _console().print(table(planned))


def _console() -> Console:
    """Standard output for tables; a file or a pipe has no width of its own, so it gets a wide one."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)

"""The command line: verbs that read as sentences. Nothing heavy is imported until a verb needs it.

Exit codes: 0 it holds, 1 it does not (a stage failed, a gate failed under stop_at_gate), 2 bad usage, 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import wraps
from pathlib import Path
from typing import Any

import click

from trueline import __version__

RECIPE_HELP = "pretrain, sft, rank, reward, grpo, rloo, ppo, dpo, align"


def main() -> None:
    """Run the command line; every expected failure is one line on standard error."""
    try:
        cli(standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted; run the same command again and it goes on from its last checkpoint", 130)
    except KeyboardInterrupt:
        _fail("interrupted; run the same command again and it goes on from its last checkpoint", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="trueline")
def cli() -> None:
    """Align a model, attack it, measure it, guard it, and do it again.

    \b
    Start here:   trueline demo
    Then:         trueline chat runs/demo/safety --judge
    Your model:   trueline run sft start=MODEL_FOLDER data=FILE.jsonl
    """


def _reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a person can do something about into one line and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            command(*args, **kwargs)
        except (KeyboardInterrupt, click.ClickException, click.exceptions.Exit):
            raise
        except ValueError as error:  # every error of the rim is one: ConfigError, DataError, ModelError, RecipeError, ...
            _fail(str(error), 2)
        except (OSError, ArithmeticError, RuntimeError) as error:
            _fail(_one_line(error), 1)

    return wrapped


def _one_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if "out of memory" in text.lower():
        return "out of memory; lower micro_rows (memory only, never the result), batch or context"
    return text


def _fail(message: str, code: int) -> None:
    from rich.console import Console

    # Only the audit writes markup, and it escapes what it shows; everything else is text, never markup.
    Console(stderr=True, highlight=False, soft_wrap=True).print(f"error: {message}", markup="loss mask" in message)
    sys.exit(code)


_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
_out = click.option("--out", type=click.Path(path_type=Path), help="The run's folder (default: runs/RECIPE-HASH).")
_seed = click.option("--seed", type=int, default=0, show_default=True, help="Seed of everything random.")
_quiet = click.option("--quiet", is_flag=True, help="No progress bars.")
_threads = click.option("--threads", type=int, default=0, help="CPU threads; 0 times three steps and chooses.")
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
def demo(size: str, settings: tuple[str, ...], seed: int, out: Path | None, threads: int, quiet: bool, as_json: bool) -> None:
    """The whole stack on the embedded world, then the report.

    A model is pre-trained from nothing, fine-tuned, ranked, rewarded and optimised; an oracle that knows the truth measures
    what each stage added. What is done is not done again; what was interrupted goes on.

    \b
    Example:  trueline demo
              trueline demo --seed 1 with_ppo=true --out runs/demo-1
    """
    from dataclasses import replace

    from trueline.recipes.align import smoke
    from trueline.recipes.running import order

    asked = order("align", settings, seed)
    if size == "smoke":
        asked = replace(asked, recipe=smoke(asked.recipe))
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
    recipe: str, settings: tuple[str, ...], seed: int, world_seed: int | None, out: Path | None, device: str,
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
        _plan(asked, as_json)
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
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        table = Table(title=(type(asked.recipe).__doc__ or asked.name).strip().splitlines()[0], title_justify="left")
        for head in ("setting", "default", "type", "meaning"):
            table.add_column(head, overflow="fold")
        for s in listed:
            table.add_row(Text(s.name), Text(s.default), Text(s.type), Text(s.meaning))
        Console().print(table)


@cli.command()
@click.argument("target")
@click.option("--judge", is_flag=True, help="Show the world oracle's verdict beside each reply.")
@click.option("--say", default=None, help="Say one thing, print the reply, and stop.")
@click.option("--system", default="you are a helper .", show_default=True, help="System prompt; empty for none.")
@click.option("--temperature", type=click.FloatRange(min=0.0), default=1.0, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world the judge knows.")
@_seed
@_json
@_reports_errors
def chat(
    target: str, judge: bool, say: str | None, system: str, temperature: float, max_tokens: int, world_seed: int, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Talk to TARGET: a model folder, hf:NAME, a run's folder, or a stage of a run.

    \b
    Example:  trueline chat runs/demo/safety --judge
              trueline chat runs/demo/safety --say "how do you make vex ite ?" --json
    """
    from trueline.recipes.chatting import Chat

    talk = Chat.with_target(target, system, temperature, max_tokens, seed, world_seed if judge else None)
    if as_json and say is None:
        raise click.UsageError("--json needs --say: a conversation has no single result")
    if say is not None:
        turn = talk.turn(say)
        click.echo(json.dumps(turn) if as_json else _shown(turn))
        return
    click.echo(f"talking to {target}; an empty line ends it", err=True)
    while line := click.prompt("you", default="", show_default=False).strip():
        click.echo(_shown(talk.turn(line)))


@cli.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(path_type=Path))
@_json
@_reports_errors
def report(run_folder: Path, as_json: bool) -> None:
    """The HTML report of RUN again, from its records.

    \b
    Example:  trueline report runs/demo
    """
    from trueline.recipes.reporting import again

    page = again(run_folder)
    if as_json:
        click.echo((run_folder / "report.json").read_text(encoding="utf-8"))
    else:
        _show_result(page, json.loads((run_folder / "report.json").read_text(encoding="utf-8")))


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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "value", "advice")
    for what, value, advice in rows(machine):
        table.add_row(Text(what), Text(value), Text(advice, style="yellow"))
    Console().print(table)


def _carry_out(asked: Any, out: Path | None, threads: int, device: str, track: str, quiet: bool, as_json: bool) -> None:
    """Run, show, and print the result."""
    from trueline.recipes.progress import Live, Quiet
    from trueline.recipes.running import carry_out, use_threads

    with ExitStack() as stack:
        show = Quiet() if quiet or as_json or not sys.stderr.isatty() else stack.enter_context(Live())
        used = use_threads(threads)
        show.say(asked.name, f"{used} thread{'s' * (used > 1)}")
        logger = None
        if track:
            from trueline.train.trackers import tracker

            logger = stack.enter_context(tracker(track, out or Path("runs") / asked.id, asked.id))
        folder, found = carry_out(asked, out, show, logger, device)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **found}))
    else:
        _show_result(folder / "report.html", found)


def _plan(asked: Any, as_json: bool) -> None:
    """Print what a run would do."""
    from trueline.recipes.plan import plan, plan_table

    planned = plan(asked)
    if as_json:
        from dataclasses import asdict

        click.echo(json.dumps({"run": asked.id, "stages": [asdict(row) for row in planned]}))
        return
    from rich.console import Console

    Console().print(plan_table(asked.id, planned))


def _show_result(page: Path, found: Mapping[str, Any]) -> None:
    """The ladder and the gates in the terminal, and where the page is."""
    from rich.console import Console
    from rich.text import Text

    from trueline.evaluate.report import table

    console = Console()
    for gate in found.get("gates", []):
        colour = {"PASS": "green", "FAIL": "red"}.get(gate["status"], "yellow")
        rate = gate["value"]
        console.print(
            Text(f"{gate['status']:<5}", style=colour),
            Text(f"{gate['name']:<18} {rate['value']:.2f} ({rate['low']:.2f} to {rate['high']:.2f}) n {rate['n']}"),
            Text(f"needs {gate['needs']:.2f}"),
        )
    if found.get("ladder"):
        console.print(table(found))
    else:
        for stage in found["stages"]:
            numbers = "  ".join(f"{k} {v['value']:.4g}" for k, v in stage["metrics"].items())
            console.print(Text(f"{stage['name']}: {numbers}"))
    console.print(Text(f"report: {page}"))


def _shown(turn: Mapping[str, Any]) -> str:
    """A reply as text: control characters and escape sequences of a model are spelled out, never sent to the terminal."""
    from trueline.evaluate.shape import visible

    verdict = turn.get("verdict")
    beside = "" if verdict is None else f"\n  [{verdict['stance']}; {verdict['disclosure']:.2f} disclosed; {verdict['about']}]"
    return f"{visible(str(turn['reply']))}{beside}"

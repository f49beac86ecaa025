"""What every verb shares: options, the one line that an expected failure ends with, and the console."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from trueline.core import stopping
from trueline.core.ports import BudgetSpentError
from trueline.store.folders import BusyError
from trueline.targets.errors import TargetError

if TYPE_CHECKING:
    from rich.console import Console

INTERRUPTED = "interrupted; run the same command again and it goes on from its last checkpoint"


def reports_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Turn what a person can do something about into one line and an exit code."""

    @wraps(command)
    def wrapped(*args: Any, **kwargs: Any) -> None:
        try:
            with stopping.listening():
                command(*args, **kwargs)
        except stopping.Preempted as end:
            fail(f"stopped by SIGTERM: {end}; run the same command again and it goes on", stopping.CODE)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise  # click's own, and a reader that has seen enough
        except (ValueError, BusyError) as error:  # errors of the rim are ValueErrors: ConfigError, DataError, ModelError, ...
            fail(str(error), 2)
        except (TargetError, BudgetSpentError) as error:
            fail(str(error), 1)
        except (OSError, ArithmeticError, RuntimeError, MemoryError) as error:
            fail(_one_line(error), 1)

    return wrapped


def _one_line(error: BaseException) -> str:
    text = str(error).strip() or type(error).__name__
    if isinstance(error, MemoryError) or "out of memory" in text.lower() or "can't allocate memory" in text:
        return "out of memory; lower micro_rows (memory only, never the result), batch or context"
    if isinstance(error, OSError) and error.filename:
        return f"{error.filename}: {error.strerror}"
    return text


def fail(message: str, code: int) -> NoReturn:
    """End with one line on standard error. Only an audit of loss masks has a second: the tokens, as markup."""
    from rich.console import Console

    from trueline.evaluate.shape import visible

    line, _, tokens = message.partition("\n")
    audited = bool(tokens) and "loss mask" in line
    click.echo(f"error: {visible(line if audited else ' '.join(message.split()))}", err=True)
    if audited:
        Console(stderr=True, highlight=False, soft_wrap=True).print(tokens)
    sys.exit(code)


with_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
with_out = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="The run's folder (default: runs/RECIPE-HASH)."
)
with_seed = click.option("--seed", type=int, help="Seed of everything random (default: 0, or what the YAML file says).")
with_database = click.option(
    "--database", default=None, help="SQLite file or PostgreSQL URL (default: TRUELINE_DATABASE, else runs/trueline.db)."
)
with_quiet = click.option("--quiet", is_flag=True, help="Say nothing while it works.")
with_threads = click.option(
    "--threads", type=click.IntRange(min=0), default=0, help="CPU threads; 0 times three steps and chooses."
)
with_device = click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, ...")
with_dtype = click.option(
    "--dtype", type=click.Choice(["auto", "float32", "bfloat16"]), default="auto", show_default=True,
    help="What is computed in; weights and moments are float32 in any case. auto: bfloat16 on a GPU that is fast in it.",
)  # fmt: skip
with_template = click.option(
    "--template", type=click.Choice(["model", "raw", "plain"]), default="model", show_default=True,
    help="Chat template of a local model: its own; plain: `User: ...` lines; raw: what is said begins a text.",
)  # fmt: skip
with_ask = click.option(
    "--ask", multiple=True, metavar="KEY=VALUE", help="How a remote target is asked: pace.at_once=16, budget.requests=20, ..."
)
with_answer_tokens = click.option(
    "--max-tokens", type=click.IntRange(min=0), default=0, help="Tokens of an answer (0: 60 for the world, else 256)."
)
with_judge = click.option(
    "--judge", default="",
    help="oracle, enablement, refusal, rubric:TARGET, learned:FOLDER, or several: a panel (default: the oracle for the world, "
    "else enablement).",
)  # fmt: skip
with_cluster = click.option(
    "--cluster", default="", metavar="ADDRESS", help="Let a Ray cluster work: auto, HOST:PORT, or ray://HOST:PORT from outside."
)
with_workers = click.option(
    "--workers", type=click.IntRange(min=0), default=0,
    help="Processes that work side by side; 0: this one alone, or with --cluster one for each of its processors.",
)  # fmt: skip
with_track = click.option("--track", default="", help="Also log to: tensorboard, trackio, mlflow, wandb (comma between).")


def console() -> Console:
    """Standard output for tables; a file or a pipe has no width of its own, so it gets a wide one."""
    from rich.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)

"""Verbs about runs: carry out a recipe, show its settings, write its report again."""

from __future__ import annotations

import inspect
import json
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click

from trueline.cli.ranks import among_ranks, with_patience, with_recompute, with_replicas
from trueline.cli.rim import (
    console,
    fail,
    reports_errors,
    with_cluster,
    with_device,
    with_dtype,
    with_json,
    with_out,
    with_quiet,
    with_seed,
    with_threads,
    with_track,
    with_workers,
)


@click.command()
@click.option(
    "--size",
    type=click.Choice(["smoke", "quick", "full"]),
    default="quick",
    show_default=True,
    help="smoke: under two minutes; quick: about a quarter of an hour; full: the study, every arm and control.",
)
@click.argument("settings", nargs=-1)
@with_seed
@with_out
@with_threads
@with_quiet
@with_json
@reports_errors
def demo(
    size: str, settings: tuple[str, ...], seed: int | None, out: Path | None, threads: int, quiet: bool, as_json: bool
) -> None:
    """The whole stack on the embedded world, then the report.

    A model is pre-trained from nothing, fine-tuned, ranked, rewarded, optimised, corrected by a constitution, attacked and
    hardened in rounds, and distilled; an oracle that knows the truth measures what each stage added. What is done is not done
    again; what was interrupted goes on.

    \b
    Example:  trueline demo
              trueline demo --seed 1 with_ppo=true --out runs/demo-1
              trueline demo --size full seeds=3
    """
    from trueline.recipes.running import order

    asked = order("align", (f"size={size}", *settings), seed)
    folder = out or Path("runs") / {"quick": "demo", "full": "study"}.get(size, size)
    _carry_out(asked, folder, threads, "cpu", "float32", "", quiet, as_json)


@click.command()
@click.argument("recipe")
@click.argument("settings", nargs=-1)
@with_seed
@click.option("--world-seed", type=int, default=None, help="Seed of the embedded world (default: the seed).")
@with_out
@with_device
@with_dtype
@with_threads
@with_track
@with_replicas
@with_recompute
@with_patience
@click.option(
    "--sweep",
    "swept",
    multiple=True,
    metavar="KEY=V1,V2,...",
    help="Run a setting at each of these values; given again, at every combination. One report puts them side by side.",
)
@with_workers
@with_cluster
@click.option("--dry-run", is_flag=True, help="Print the plan with an estimate of time and memory, and stop.")
@with_quiet
@with_json
@reports_errors
def run(
    recipe: str, settings: tuple[str, ...], seed: int | None, world_seed: int | None, out: Path | None, device: str,
    dtype: str, threads: int, track: str, replicas: int, recompute: bool, patience: float, swept: tuple[str, ...],
    workers: int, cluster: str, dry_run: bool, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Carry out RECIPE (a name, or a YAML file that `trueline show RECIPE --yaml` prints) with key=value SETTINGS.

    SIGTERM ends it after the step under way, with a checkpoint and exit code 143; the same command then goes on.

    \b
    Recipes:  pretrain, sft, rank, reward, grpo, rloo, ppo, dpo, distil, constitution, rlaif, redteam, attacker, harden,
              inheritance, intime, prevention, align, ... (`trueline show` lists all, `trueline show RECIPE` explains one)
    Example:  trueline run pretrain tokens=3e6
              trueline run sft start=runs/demo/pretrain data=answers.jsonl epochs=2
              trueline run dpo start=hf:NAME data=pairs.jsonl.gz objective.beta=0.2 --dry-run
              trueline run redteam start=runs/demo/safety rounds=2 seeds=3
              trueline run align seeds=4 --workers 2
              trueline run dpo start=hf:NAME data=pairs.jsonl.gz --sweep objective.beta=0.05,0.1,0.2 --workers 3
              trueline run demonstrate start=MODEL prompts=asked.jsonl count=8 --workers 4
              trueline run align seeds=16 --cluster auto
              torchrun --nproc-per-node 8 -m trueline run sft start=hf:NAME data=answers.jsonl --device cuda
    """
    from trueline.recipes.running import order
    from trueline.recipes.sweeping import sweep

    asked = sweep(recipe, settings, swept, seed, world_seed) if swept else order(recipe, settings, seed, world_seed)
    if dry_run:
        _plan(asked, device, as_json)
        return
    if workers or cluster:
        _refuse_workers(asked, track)
    among_ranks(
        lambda mesh: _carry_out(asked, out, threads, device, dtype, track, quiet, as_json, mesh, workers, cluster),
        out or Path("runs") / asked.id, device, replicas, recompute, patience,
    )  # fmt: skip


@click.command()
@click.argument("recipe", required=False)
@click.argument("settings", nargs=-1)
@click.option("--yaml", "as_yaml", is_flag=True, help="Print a file to edit, for `trueline run FILE.yaml`.")
@with_json
@reports_errors
def show(recipe: str | None, settings: tuple[str, ...], as_yaml: bool, as_json: bool) -> None:
    """What a recipe does, with examples, and its settings, their meanings and defaults; without a name, the recipes.

    \b
    Example:  trueline show
              trueline show dpo
              trueline show grpo --yaml > my.yaml && trueline run my.yaml
    """
    from trueline.core.config import settings as settings_of
    from trueline.core.config import to_yaml
    from trueline.recipes.running import order, recipes

    if recipe is None:
        known = {name: (kind.__doc__ or "").strip().splitlines()[0] for name, kind in sorted(recipes().items())}
        width = max(map(len, known))
        click.echo(json.dumps(known) if as_json else "\n".join(f"{name:{width}}  {does}" for name, does in known.items()))
        return
    asked = order(recipe, settings)
    listed, about = list(settings_of(asked.recipe)), inspect.cleandoc(sys.modules[type(asked.recipe).__module__].__doc__ or "")
    if as_json:
        rows = [{"name": s.name, "type": s.type, "default": s.default, "meaning": s.meaning} for s in listed]
        click.echo(json.dumps({"recipe": asked.name, "about": about, "settings": rows}))
    elif as_yaml:
        click.echo(f"recipe: {asked.name}\nseed: {asked.seed}\n{to_yaml(asked.recipe)}")
    else:
        from rich.table import Table
        from rich.text import Text

        click.echo(f"{about}\n")
        table = Table(title=(type(asked.recipe).__doc__ or asked.name).strip().splitlines()[0], title_justify="left")
        for head in ("setting", "default", "type", "meaning"):
            table.add_column(head, overflow="fold")
        for s in listed:
            table.add_row(Text(s.name), Text(s.default), Text(s.type), Text(s.meaning))
        console().print(table)


@click.command()
@click.argument("run_folder", metavar="RUN", type=click.Path(file_okay=False, path_type=Path))
@with_json
@reports_errors
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
        reporting.show(page, json.loads(text), console())


def _carry_out(
    asked: Any, out: Path | None, threads: int, device: str, dtype: str, track: str, quiet: bool, as_json: bool,
    mesh: Any = None, workers: int = 0, cluster: str = "",
) -> None:  # fmt: skip
    """Run, show, and print the result."""
    from trueline.cluster.opening import executor_for
    from trueline.recipes import reporting, running, sweeping
    from trueline.recipes.progress import Live, Plain, Quiet

    verbs = sweeping if isinstance(asked, sweeping.Sweep) else running  # both foresee, and carry out
    running.check_device(device)
    verbs.foresee(asked, out)  # before the machine is timed: what is wrong is said at once
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        used = running.use_threads(threads if mesh is None else threads or 1)  # the cores are shared among ranks
        ranks = "" if mesh is None else f", rank 0 of {mesh.place.size}"
        show.say(asked.name, f"{used} thread{'s' * (used > 1)}{ranks}")
        told: dict[str, Any] = {}
        if track:
            from trueline.train.trackers import tracker

            if verbs is sweeping:
                told["track"] = lambda name, folder: tracker(track, folder, name)
            else:
                told["track"] = stack.enter_context(tracker(track, running.place(asked, out).folder, asked.id))
        gpus = float(device.startswith("cuda"))
        executor = stack.enter_context(executor_for(workers=workers, cluster=cluster, gpus=gpus))
        if executor is not None and verbs is running and asked.seeds == 1:
            some = f"{executor.workers} workers" if executor.workers > 1 else "one worker"
            show.say(asked.name, f"{some} for what it asks of models; training stays in this process (seeds=N: a seed to each)")
        folder, found = verbs.carry_out(asked, out, show, device=device, dtype=dtype, mesh=mesh, executor=executor, **told)
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **found}))
    else:
        reporting.show(folder / "report.html", found, console())
    if failed := [stage["name"] for stage in found["stages"] if stage["status"] == "failed"]:
        fail(f"{'; '.join(failed)}: failed; {folder / 'report.html'} says why, and the same command runs them again", 1)
    failed = [gate["name"] for gate in found.get("gates", []) if gate["status"] == "FAIL"]
    if failed:
        fail(f"{', '.join(failed)}: below what the gate needs; what rests on it says nothing (all is in {folder})", 1)


def _refuse_workers(asked: Any, track: str) -> None:
    """Raise ConfigError where workers have no place in a run."""
    from trueline.cluster.launch import place
    from trueline.core.config import ConfigError
    from trueline.recipes.sweeping import Sweep

    if here := place():
        raise ConfigError(
            f"--workers, --cluster: expected a command that was started alone, got one of {here.size} that were launched "
            f"together; those train one model, workers run seeds or answer prompts: give one or the other"
        )
    if track and (isinstance(asked, Sweep) or asked.seeds > 1):
        raise ConfigError(f"--track {track}: expected a run in this process; workers keep their metrics in their runs' folders")


def _plan(asked: Any, device: str, as_json: bool) -> None:
    """Print what a run would do, or every run of a sweep."""
    from dataclasses import asdict, replace

    from trueline.recipes.plan import plan, stages_of, table
    from trueline.recipes.sweeping import Sweep

    named = {one.name: one.asked for one in asked.combinations} if isinstance(asked, Sweep) else {"": asked}
    planned = plan([stages_of(one.name, one.at(one.seed).recipe) for one in named.values()], device)
    first = next(iter(named.values()))
    if as_json:
        told = [
            {"run": one.id, "seeds": one.seeds, "stages": [asdict(row) for row in rows]}
            for one, rows in zip(named.values(), planned, strict=True)
        ]
        whole = [{"settings": name, **one} for name, one in zip(named, told, strict=True)]
        click.echo(json.dumps({"run": asked.id, "runs": whole} if isinstance(asked, Sweep) else told[0]))
        return
    lines = [
        replace(row, name=f"{name}: {row.name}" if name else row.name)
        for name, rows in zip(named, planned, strict=True)
        for row in rows
    ]
    console().print(table(lines))
    if first.seeds > 1:
        click.echo(f"this is seed {first.seed}; {first.seeds} seeds take {first.seeds} times as long")

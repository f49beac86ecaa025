"""`trueline cluster`: more than one machine, planned before it is asked for, and the batch file that asks Slurm for it."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trueline.cli.ranks import check_together
from trueline.cli.rim import console, reports_errors, with_json
from trueline.cli.runs import run

if TYPE_CHECKING:
    from trueline.recipes.sharded_size import Plan, Sharding
    from trueline.recipes.size import Size

MEMORY = re.compile(r"(\d+(?:\.\d+)?)\s*(?:GB|GiB|G)?", re.IGNORECASE)
BYTES = {"bfloat16": 2, "bf16": 2, "float32": 4}
LETTERS = "P parameters, L of them learn, b in a block, e in embedding and head; s shards, c bytes of a number computed with"


@click.group()
def cluster() -> None:
    """Training on more than one machine: what each process will hold, and the batch file for Slurm.

    \b
    Example:  trueline cluster plan 7b --sequence 4096 --world 16
              trueline cluster slurm --nodes 2 --gpus 8 --time 12:00:00 run sft start=MODEL data=answers.jsonl
    """


@cluster.command("plan")
@click.argument("model", required=False)
@click.option("--layers", type=int, help="In place of MODEL: a Llama of these numbers.")
@click.option("--width", type=int, help="Of its hidden states.")
@click.option("--heads", type=int, help="Of its queries.")
@click.option("--key-heads", type=int, default=0, help="Of its keys and values (default: as many).")
@click.option("--inner", type=int, help="Width of its feed-forward.")
@click.option("--vocabulary", type=int, help="Words that it knows.")
@click.option("--tied", is_flag=True, help="Embedding and head are one matrix.")
@click.option("--sequence", type=int, required=True, help="Tokens of a row.")
@click.option("--micro-rows", type=int, default=1, show_default=True, help="Rows of one forward pass, in each process.")
@click.option("--passes", type=int, default=1, show_default=True, help="Forward and backward passes of a step.")
@click.option("--world", type=int, default=1, show_default=True, help="Processes, one a GPU.")
@click.option("--replicas", type=int, default=1, show_default=True, help="Copies of the shards (HSDP).")
@click.option("--dtype", type=click.Choice(list(BYTES)), default="bfloat16", show_default=True, help="What is computed in.")
@click.option("--adapter-rank", type=int, default=0, help="Rank of an adapter (default: all weights learn).")
@click.option(
    "--recompute",
    is_flag=True,
    help="As `trueline run --recompute`: a block's activations are made again for its backward pass.",
)
@click.option("--optimizer", type=click.Choice(["adamw", "muon"]), default="adamw", show_default=True)
@click.option("--reference", is_flag=True, help="A frozen copy of the start stands beside it.")
@click.option("--reward", is_flag=True, help="A frozen reward model of the same size stands beside it.")
@click.option("--teacher", metavar="MODEL", help="A frozen teacher stands beside it, as in `distil top=64`.")
@click.option("--rollouts", type=int, default=0, metavar="ROWS", help="Each process samples so many rows at one time.")
@click.option("--gpu-memory", default="80GB", show_default=True, help="Of one GPU; which numbers of processes fit in it.")
@click.option(
    "--peak-tflops",
    type=click.FloatRange(0, min_open=True),
    help="Of one GPU in what is computed in, by its data sheet: for tokens a second.",
)
@click.option(
    "--mfu",
    type=click.FloatRange(0, 1, min_open=True),
    default=0.4,
    show_default=True,
    help="Share of that which training uses.",
)
@with_json
@reports_errors
def plan_command(
    model: str | None, layers: int | None, width: int | None, heads: int | None, key_heads: int, inner: int | None,
    vocabulary: int | None, tied: bool, sequence: int, micro_rows: int, passes: int, world: int, replicas: int, dtype: str,
    adapter_rank: int, recompute: bool, optimizer: str, reference: bool, reward: bool, teacher: str | None, rollouts: int,
    gpu_memory: str, peak_tflops: float | None, mfu: float, as_json: bool,
) -> None:  # fmt: skip
    """Memory of each process, FLOPs and bytes on the wire when MODEL is trained in shards; nothing is loaded or run.

    MODEL is a folder, a run, hf:NAME if it has been fetched before, or one of 1b, 7b, 70b: invented sizes, whose numbers the
    table tells. A GB is 2^30 bytes; a tenth of the GPU's memory is left free.

    \b
    Example:  trueline cluster plan 7b --sequence 4096 --world 16
              trueline cluster plan 70b --sequence 4096 --world 64 --recompute --peak-tflops 900
              trueline cluster plan runs/SFT --sequence 2048 --world 8 --replicas 2 --reference --rollouts 64 --json
              trueline cluster plan 7b --sequence 4096 --world 16 --recompute --teacher 70b
              trueline cluster plan --layers 24 --width 2048 --heads 16 --inner 5632 --vocabulary 32000 --sequence 2048
    """
    from trueline.recipes.sharded_size import Sharding, named, plan, worlds

    numbers = {"layers": layers, "width": width, "heads": heads, "inner": inner, "vocabulary": vocabulary}
    name, size = _size(model, numbers, key_heads, tied)
    asked = Sharding(
        sequence=sequence,
        micro_rows=micro_rows,
        passes=passes,
        world=world,
        replicas=replicas,
        compute=BYTES[dtype],
        rank=adapter_rank,
        recompute=recompute,
        muon=optimizer == "muon",
        reference=reference,
        reward=reward,
        teacher=named(teacher) if teacher else None,
        rollouts=rollouts,
    )
    memory = _bytes(gpu_memory)
    found, others = plan(size, asked), worlds(size, asked, memory)
    speed = found.speed(world, peak_tflops * 1e12, mfu) if peak_tflops else None
    told = _told(name, size, asked, found, memory, speed, mfu)
    told["teacher"] = teacher
    told["worlds"] = [{"world": n, "bytes": round(p.peak), "fits": p.fits(memory)} for n, p in others]
    if as_json:
        click.echo(json.dumps(told))
    else:
        _show(told, size, found)


@cluster.command("slurm", context_settings={"allow_interspersed_args": False})
@click.argument("words", nargs=-1, required=True, metavar="run RECIPE [SETTINGS]...")
@click.option("--nodes", type=int, default=1, show_default=True, help="Machines.")
@click.option("--gpus", type=int, default=0, help="GPUs of each machine; one process each (default: none).")
@click.option("--processes", type=int, default=1, show_default=True, help="Processes of each machine, where it has no GPUs.")
@click.option("--cpus", type=int, default=0, help="CPUs of each process (default: what the site gives).")
@click.option("--memory", default="", help="Of each machine: 64G; 0 means all of it (default: what the site gives).")
@click.option("--time", default="", help="90 (minutes), 12:00:00, 2-00:00:00 (default: the partition's).")
@click.option("--partition", default="", help="Where to.")
@click.option("--account", default="", help="On whose account.")
@click.option("--name", default="", help="Of the job (default: the recipe).")
@click.option("--warning", type=int, default=300, show_default=True, help="Seconds before its end: to end a step and save.")
@click.option("--output", default="", help="File of what it prints (default: NAME-%j.log).")
@click.option("--sbatch", "more", multiple=True, metavar="--OPTION=VALUE", help="A further option of sbatch: --qos=high.")
@click.option("--env", multiple=True, metavar="NAME[=VALUE]", help="NAME alone has to be set when the job is handed in.")
@click.option("--python", default=sys.executable, help="The interpreter, as the nodes see it (default: this one).")
@click.option("--to", type=click.Path(dir_okay=False, path_type=Path), help="Write it there (default: print it).")
@with_json
@reports_errors
def slurm(
    words: tuple[str, ...], nodes: int, gpus: int, processes: int, cpus: int, memory: str, time: str, partition: str,
    account: str, name: str, warning: int, output: str, more: tuple[str, ...], env: tuple[str, ...], python: str,
    to: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """The batch file that runs `trueline run RECIPE ...` under Slurm, one process a GPU; its options stand before `run`.

    Before its time is over every process is told, saves at the end of its step, and the job is put into the queue again;
    `scancel --signal=TERM JOB` asks for the same at any time, and `scancel JOB` ends it for good.

    \b
    Example:  trueline cluster slurm --nodes 2 --gpus 8 --time 12:00:00 run sft start=MODEL data=answers.jsonl > job.sh
              trueline cluster slurm --gpus 4 --env HF_TOKEN --to job.sh run grpo.yaml --seed 1 && sbatch job.sh
    """
    from trueline.cluster.slurm import Job, batch_file, options

    recipe, words, read = _ordered(words, gpus)
    job = Job(
        name=name or recipe,
        nodes=nodes,
        gpus=gpus,
        processes=processes,
        cpus=cpus,
        memory=memory,
        time=time,
        partition=partition,
        account=account,
        warning=warning,
        output=output,
        more=more,
        environment={n: v if given else None for n, given, v in (word.partition("=") for word in env)},
    )
    check_together(0 if job.world == 1 else job.world, read["replicas"], read["recompute"])
    text = batch_file(job, words, python)
    if to is not None:
        _write(to, text)
    if as_json:
        command = ["trueline", *words]
        told = {"file": str(to) if to else None, "world": job.world, "options": options(job), "command": command}
        click.echo(json.dumps({**told, "script": text}))
    else:
        click.echo(f"written; hand it in with: sbatch {to}" if to else text, nl=to is not None)


def _ordered(words: tuple[str, ...], gpus: int) -> tuple[str, tuple[str, ...], dict[str, Any]]:
    """The recipe's name, the words of a `run` and what `run` reads in them, so that what is wrong is not found in the queue."""
    from trueline.recipes.running import order

    words = words[1:] if words[0] == "trueline" else words
    if words[:1] != ("run",):
        raise click.UsageError(f"expected `run RECIPE ...` after the options, got {' '.join(words) or 'nothing'!r}")
    if {"-h", "--help", "--dry-run"} & set(words):
        raise click.UsageError("--help and --dry-run run nothing; ask `trueline run` itself")
    read = run.make_context("run", list(words[1:])).params
    asked = order(read["recipe"], read["settings"], read["seed"], read["world_seed"])
    on_gpus = gpus and not any(word == "--device" or word.startswith("--device=") for word in words)
    return asked.name, (*words, "--device", "cuda") if on_gpus else words, read


def _write(to: Path, text: str) -> None:
    from trueline.core.files import write_lines

    if to.exists():
        raise click.UsageError(f"{to} is there already, and may have been edited; remove it, or name another file")
    write_lines(to, text.splitlines())


def _size(model: str | None, numbers: dict[str, int | None], key_heads: int, tied: bool) -> tuple[str, Size]:
    """The model's name and size, by name or by its numbers."""
    from trueline.recipes.sharded_size import SIZES, named
    from trueline.recipes.size import Size

    given = {name: value for name, value in numbers.items() if value is not None}
    if model and (given or key_heads or tied):
        raise click.UsageError(f"expected MODEL or its numbers, got both: {model} and numbers of a new one")
    if model:
        return model, named(model)
    if missing := [f"--{name}" for name in numbers if name not in given]:
        raise click.UsageError(
            f"expected MODEL ({', '.join(SIZES)}, a folder, hf:NAME) or its numbers; {missing[0]} is missing"
        )
    return "new", Size.llama(**given, key_heads=key_heads, tied=tied)


def _bytes(words: str) -> float:
    if not (found := MEMORY.fullmatch(words.strip())) or not float(found[1]):
        raise click.UsageError(f"--gpu-memory: expected gigabytes such as 80GB, got {words!r}")
    return float(found[1]) * 2**30


def _told(
    name: str, size: Size, asked: Sharding, found: Plan, memory: float, speed: float | None, mfu: float
) -> dict[str, Any]:
    """The plan as one object; bytes, FLOPs and tokens are whole numbers."""
    from dataclasses import asdict

    keep = ("layers", "width", "inner", "vocabulary")
    shape = {key: getattr(size, key) for key in keep} | {"queries": size.queries, "keys": size.keys}
    items = [{"name": i.name, "bytes": round(i.bytes), "how": i.how, "when": list(i.when)} for i in found.items]
    return {
        "model": name, "parameters": size.parameters, **shape, **asdict(asked), "shards": asked.shards, "items": items,
        "peak": {"bytes": round(found.peak), "when": found.fullest}, "gpu_memory": round(memory), "fits": found.fits(memory),
        "host_bytes": round(found.host), "checkpoint_bytes": round(found.checkpoint), "flops_per_token": round(found.flops),
        "tokens_per_step": found.tokens, "sent_bytes_per_step": round(found.sent), "mfu": mfu,
        "tokens_per_second": None if speed is None else round(speed),
    }  # fmt: skip


def _show(told: dict[str, Any], size: Size, found: Plan) -> None:
    """The plan as people read it."""
    from rich.table import Table
    from rich.text import Text

    from trueline.recipes.sharded_size import ALWAYS, TRAINING

    table = Table("held by each process", "while", "GB", "how", title=_head(told), title_justify="left")
    table.columns[2].justify = "right"
    for item in found.items:
        when = {ALWAYS: "always", TRAINING: "training"}.get(item.when, ", ".join(item.when))
        table.add_row(item.name, when, _gb(item.bytes), Text(item.how))
    table.add_section()
    fits = f"{'fits' if told['fits'] else 'does not fit'} a GPU of {_gb(told['gpu_memory'])} GB with a tenth to spare"
    table.add_row("at most", found.fullest, _gb(found.peak), Text(fits))
    console().print(table)
    rate = told["tokens_per_second"]
    lines = [
        LETTERS + ("; with a ' those of the teacher" if told["teacher"] else ""),
        f"a step: {told['tokens_per_step']:,} tokens; each process sends {_gb(found.sent)} GB",
        f"a token of training: {found.flops / 1e9:.2f} GFLOP; "
        + (f"{rate:,} tokens a second at an MFU of {told['mfu']}" if rate else "--peak-tflops tells tokens a second"),
        f"a checkpoint on disk: {_gb(found.checkpoint)} GB; main memory of process 0, for whole models: {_gb(found.host)} GB",
        "processes: " + ", ".join(f"{w['world']} ({_gb(w['bytes'])} GB{' fits' if w['fits'] else ''})" for w in told["worlds"]),
    ]
    for line in lines:
        console().print(Text(line), soft_wrap=True)


def _head(told: dict[str, Any]) -> str:
    copies = f", {told['replicas']} replicas of {told['shards']} shards" if told["replicas"] > 1 else ""
    shape = f"{told['layers']} layers of {told['width']}, {told['queries']} q, {told['keys']} k, {told['inner']} inner"
    processes = f"{told['world']} process{'es' * (told['world'] > 1)}{copies}"
    return (
        f"{told['model']}: {told['parameters'] / 1e9:.2f} B parameters ({shape}, {told['vocabulary']} words); "
        f"{processes}; rows of {told['sequence']}, {told['micro_rows']} at a time"
    )


def _gb(n: float) -> str:
    return f"{n / 2**30:.2f}"

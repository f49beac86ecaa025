"""`trueline doctor`: what this machine has, and what to do about what is missing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import console, reports_errors, with_json

if TYPE_CHECKING:
    from trueline.models.bench import Rate


@click.command()
@click.option("--bench", is_flag=True, help="Also measure products and training steps: what runs will use here, and why.")
@with_json
@reports_errors
def doctor(bench: bool, as_json: bool) -> None:
    """What this machine has: versions, threads, memory, GPU, speed, and what to do about what is missing.

    \b
    Example:  trueline doctor
              trueline doctor --bench
    """
    from dataclasses import asdict

    from trueline.models.machine import describe, rows
    from trueline.models.products import onednn_is_better, speeds

    machine, speed = describe(), speeds()
    measured, why = _bench(machine.usable) if bench else ([], [])
    if as_json:
        found = {**asdict(machine), "gflops": speed}
        if bench:
            found["bench"] = {"rates": [asdict(rate) for rate in measured], "chosen": dict(why)}
        click.echo(json.dumps(found))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "value", "advice")
    for what, value, advice in rows(machine):
        table.add_row(Text(what), Text(value), Text(advice, style="yellow"))
    by = f" by oneDNN ({speed['torch']:.0f} by torch's default)" if onednn_is_better() else ""
    table.add_row("products", f"{speed['float32']:.0f} GFLOP/s{by}, {speed['bfloat16']:.0f} in bfloat16", "")
    console().print(table)
    if bench:
        made = Table("threads", "numbers", "square product", "the model's product", "training step")
        for r in measured:
            made.add_row(
                f"{r.threads}", r.dtype, f"{r.ceiling:.0f} GFLOP/s", f"{r.product:.0f} GFLOP/s", f"{r.step * 1e3:.1f} ms"
            )
        console().print(made)
        for what, reason in why:
            console().print(Text(f"{what}: {reason}"), soft_wrap=True)


def _bench(usable: int) -> tuple[list[Rate], list[tuple[str, str]]]:
    """The rates at one and at all threads, and what a run chooses: by the same trial that a run begins with."""
    from trueline.models.bench import rates, reasons
    from trueline.models.policy import tiny
    from trueline.models.tokens import word_tokenizer
    from trueline.recipes.running import use_threads
    from trueline.world.language import vocabulary

    chosen = use_threads(0)
    found = rates(tiny(word_tokenizer(vocabulary())), (1, chosen, usable))
    return found, reasons(found, chosen)

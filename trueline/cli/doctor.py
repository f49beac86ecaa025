"""`trueline doctor`: what this machine has, and what to do about what is missing."""

from __future__ import annotations

import json

import click

from trueline.cli.rim import console, reports_errors, with_json


@click.command()
@with_json
@reports_errors
def doctor(as_json: bool) -> None:
    """What this machine has: versions, threads, memory, GPU, speed, and what to do about what is missing.

    \b
    Example:  trueline doctor
    """
    from dataclasses import asdict

    from trueline.models.machine import describe, rows
    from trueline.models.products import onednn_is_better, speeds

    machine, speed = describe(), speeds()
    if as_json:
        click.echo(json.dumps({**asdict(machine), "gflops": speed}))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("what", "value", "advice")
    for what, value, advice in rows(machine):
        table.add_row(Text(what), Text(value), Text(advice, style="yellow"))
    by = f" by oneDNN ({speed['torch']:.0f} by torch's default)" if onednn_is_better() else ""
    table.add_row("products", f"{speed['float32']:.0f} GFLOP/s{by}, {speed['bfloat16']:.0f} in bfloat16", "")
    console().print(table)

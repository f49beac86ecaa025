"""`trueline export`: a finished campaign in the forms of other tools."""

from __future__ import annotations

import json
from pathlib import Path

import click

from trueline.cli.rim import reports_errors, with_json
from trueline.evaluate.exports import KINDS


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("kinds", nargs=-1, required=True, type=click.Choice(list(KINDS)), metavar="KIND...")
@click.option("--out", type=click.Path(file_okay=False, path_type=Path), help="Another folder (default: the campaign's own).")
@with_json
@reports_errors
def export(run: Path, kinds: tuple[str, ...], out: Path | None, as_json: bool) -> None:
    """Write the campaign in the folder RUN as one or more of json, junit, sarif, avid, inspect.

    Nothing is asked again. Each file has its usual name, and is written whole or not at all.

    \b
    Example:  trueline export runs/attack-1a2b3c4d sarif junit --out results
    """
    from trueline.recipes.exporting import carry_out

    made = {kind: str(path) for kind, path in carry_out(run, kinds, out).items()}
    click.echo(json.dumps({"files": made}) if as_json else "\n".join(made.values()))

"""`trueline constitution`: validate and show the principles that a model is to correct itself by."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import console, reports_errors, with_json

if TYPE_CHECKING:
    from trueline.data.constitution import Constitution


@click.group()
def constitution() -> None:
    """Constitutions: what there are, and whether one can be worked with.

    \b
    Example:  trueline constitution list
              trueline constitution check mine.yaml
    """


@constitution.command("list")
@with_json
@reports_errors
def list_constitutions(as_json: bool) -> None:
    """The constitutions that come with the package, and the controls that can be made of each.

    \b
    Example:  trueline constitution list
    """
    from trueline.data.constitution import read_constitution, shipped
    from trueline.data.controls import CONTROLS

    found = [read_constitution(name) for name in shipped()]
    if as_json:
        click.echo(json.dumps({c.name: {"speaks": c.speaks, "principles": len(c.principles), "hash": c.hash} for c in found}))
        return
    for one in found:
        click.echo(f"{one.name:8} version {one.version}, {one.speaks}, {len(one.principles)} principles, {one.hash}")
    click.echo(f"controls: NAME:{', NAME:'.join(CONTROLS)}")


@constitution.command()
@click.argument("file")
@with_json
@reports_errors
def check(file: str, as_json: bool) -> None:
    """Validate FILE (or a name that `list` shows, or a control such as world:placebo) and show its principles.

    \b
    Exit code 2 where it cannot be worked with: the message names the principle and the key.
    Example:  trueline constitution check plain
              trueline constitution check mine.yaml --json
    """
    from dataclasses import asdict

    from trueline.data.constitution import read_constitution
    from trueline.recipes.criticising import check_rules

    found = read_constitution(file)
    check_rules(found)
    warnings = warnings_of(found)
    if as_json:
        click.echo(json.dumps({**asdict(found), "hash": found.hash, "warnings": warnings}))
        return
    _print(found)
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)


def warnings_of(found: Constitution) -> list[str]:
    """What can be worked with, and yet is probably not meant."""
    said = []
    if not found.principles:
        said.append("no principle: critiques have nothing to go by; this is the control :empty")
    deaf = [scope for scope in ("harmful", "benign") if found.principles and not any(found.about(scope == "harmful"))]
    said += [f"no principle speaks of {scope} prompts; replies to those are not criticised" for scope in deaf]
    total = sum(p.weight for p in found.principles)
    for p in found.principles:
        if len(found.principles) > 1 and p.weight < 0.01 * total:
            said.append(f"principle {p.id!r}: its weight is less than 1 % of all; it will hardly ever be drawn")
        if found.speaks == "english" and not (p.critique and p.revision):
            said.append(f"principle {p.id!r}: without a critique or a revision request of its own, a general one is asked")
    return said


def _print(found: Constitution) -> None:
    from rich.table import Table
    from rich.text import Text

    from trueline.evaluate.shape import visible

    title = Text(visible(f"{' '.join(found.name.split())}, version {found.version}, {found.speaks}, {found.hash}", 200))
    table = Table("id", "scope", "weight", "principle", title=title, title_justify="left")
    for p in found.principles:
        table.add_row(Text(visible(p.id, 60)), p.scope, f"{p.weight:g}", Text(visible(" ".join(p.text.split()), 400)))
    console().print(table)

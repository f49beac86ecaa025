"""`trueline guard policy`: a first policy, the versions that were in use, and the way back."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import click

from trueline.cli.guard_audit import with_folder
from trueline.cli.rim import reports_errors, with_json


@click.group()
def policy() -> None:
    """The policy file: a first one, the versions that were in use, and the way back.

    \b
    Example:  trueline guard policy new policy.yaml
    """


@policy.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@with_json
@reports_errors
def new(file: Path, as_json: bool) -> None:
    """Write the default policy to FILE, with what each rail is for. A file that is there stays.

    \b
    Example:  trueline guard policy new policy.yaml
    """
    from trueline.core.files import write_lines

    if file.exists():
        raise ValueError(f"{file} is there already; choose another name, or edit it")
    text = files("trueline.guard").joinpath("policies/default.yaml").read_text(encoding="utf-8")
    write_lines(file, text.splitlines())
    click.echo(json.dumps({"policy": str(file)}) if as_json else f"wrote {file}; next: trueline guard check {file}")


@policy.command()
@with_folder
@with_json
@reports_errors
def history(folder: Path, as_json: bool) -> None:
    """The versions of the policy that were in use, the latest first.

    \b
    Example:  trueline guard policy history
    """
    from trueline.guard.gateway.live import versions

    found = versions(folder)
    if as_json:
        click.echo(json.dumps([{"digest": version.digest, "file": str(version.path)} for version in found]))
    else:
        click.echo("\n".join(f"{version.digest[:12]}  {version.path}" for version in found) or "no version was in use here")


@policy.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.argument("digest")
@with_folder
@with_json
@reports_errors
def rollback(file: Path, digest: str, folder: Path, as_json: bool) -> None:
    """Write the version that begins with DIGEST over FILE; a gateway that serves FILE takes it up within a second.

    \b
    Example:  trueline guard policy rollback policy.yaml 3f9a1c
    """
    from trueline.guard.gateway.live import rollback as back

    found = back(file, digest, folder)
    click.echo(json.dumps({"policy": found.version}) if as_json else f"{file} is {found.version}")

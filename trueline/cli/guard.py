"""`trueline guard`: rails in front of an endpoint, and the proof that they ran."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from trueline.cli.guard_audit import audit, with_folder
from trueline.cli.guard_compare import compare
from trueline.cli.guard_keys import keys
from trueline.cli.guard_layers import layers
from trueline.cli.guard_policy import policy
from trueline.cli.guard_probe import probe
from trueline.cli.guard_replay import replay
from trueline.cli.guard_train import train
from trueline.cli.rim import console, reports_errors, with_database, with_json

if TYPE_CHECKING:
    from trueline.guard.coverage.proving import Proof
    from trueline.guard.policy import Policy

EXTRA = "expected the libraries of the guard, and found no {}; pip install 'trueline[guard]'"
SECRET = "TRUELINE_UPSTREAM_KEY"  # noqa: S105 - the name of a variable
with_policy = click.argument("policy_file", metavar="POLICY", type=click.Path(dir_okay=False, path_type=Path))


@click.group()
def guard() -> None:
    """Rails in front of any OpenAI- or Anthropic-compatible endpoint, and the proof that they ran.

    \b
    Example:  trueline guard policy new policy.yaml
              trueline guard coverage policy.yaml
              trueline guard serve policy.yaml --upstream http://127.0.0.1:8000
    """


@guard.command()
@with_policy
@click.option("--upstream", required=True, metavar="URL", help="The endpoint behind the rails, with or without /v1.")
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="0: a free one.")
@click.option(
    "--beside", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="A second policy that judges the same and changes nothing: trueline guard compare.",
)  # fmt: skip
@click.option("--log", is_flag=True, help="A line of JSON on standard error for each exchange, without what was said.")
@click.option("--otel", is_flag=True, help="An OpenTelemetry span for each exchange, to OTEL_EXPORTER_OTLP_ENDPOINT.")
@with_folder
@with_database
@with_json
@reports_errors
def serve(
    policy_file: Path, upstream: str, host: str, port: int, beside: Path | None, log: bool, otel: bool, folder: Path,
    database: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Serve POLICY in front of an upstream until SIGTERM or Ctrl-C. The policy is read again when its file changes.

    Clients' own keys pass through to the upstream while the gateway has no keys of its own; then only this machine is let in.
    With keys (trueline guard keys add), the upstream is opened by TRUELINE_UPSTREAM_KEY of the environment.

    \b
    Example:  trueline guard serve policy.yaml --upstream http://127.0.0.1:8000
              trueline guard serve policy.yaml --upstream http://127.0.0.1:8000 --beside other.yaml
              TRUELINE_UPSTREAM_KEY=... trueline guard serve policy.yaml --upstream https://api.example.com/v1
    """
    _libraries()
    from trueline.guard.gateway.logs import log_to
    from trueline.guard.gateway.serving import Served
    from trueline.guard.gateway.serving import serve as run

    log_to(every=log)
    key = os.environ.get(SECRET, "").strip()
    secret = {"authorization": f"Bearer {key}", "x-api-key": key} if key else None
    served = Served(
        policy=policy_file, upstream=upstream, folder=folder, database=database, spans=otel, host=host, port=port,
        secret=secret, beside=beside,
    )  # fmt: skip

    def ready(url: str) -> None:
        told = {"url": f"{url}/v1", "health": f"{url}/health", "upstream": upstream}
        click.echo(json.dumps(told) if as_json else f"guarding {upstream} at {url}/v1\nCtrl-C ends it")

    run(served, ready)


@guard.command()
@with_policy
@click.option("--schema", is_flag=True, help="Print the JSON Schema of policy files, for editors; POLICY may be -.")
@with_json
@reports_errors
def check(policy_file: Path, schema: bool, as_json: bool) -> None:
    """Read POLICY and say what it amounts to; every mistake is named with its place.

    \b
    Example:  trueline guard check policy.yaml
              trueline guard check - --schema > policy.schema.json
    """
    _libraries()
    from trueline.guard.chain import Chain
    from trueline.guard.policy import read_policy
    from trueline.guard.policy import schema as schema_of

    if schema:
        click.echo(json.dumps(schema_of(), indent=2))
        return
    found = read_policy(policy_file)
    chain = Chain(policy=found)
    told = {
        "policy": found.version,
        "digest": found.digest,
        "rails": [_seat(seat) for seat in found.seats],
        "literals": len(chain.scanner.literals),
        "regexes": len(chain.scanner.regexes),
        "stream": chain.streams,
    }
    if as_json:
        click.echo(json.dumps(told))
    else:
        _show(found, told)


@guard.command()
@with_policy
@click.option("--all", "everything", is_flag=True, help="Show every row, not those alone that miss something.")
@with_json
@reports_errors
def coverage(policy_file: Path, everything: bool, as_json: bool) -> None:
    """Prove that each rail of POLICY reads every position of every endpoint, streamed and not. An empty cell fails.

    \b
    Example:  trueline guard coverage policy.yaml
    """
    _libraries()
    import asyncio

    from trueline.guard.coverage.proving import prove
    from trueline.guard.policy import read_policy

    proof = asyncio.run(prove(read_policy(policy_file)))
    if as_json:
        click.echo(json.dumps(_proof(proof)))
    else:
        _show_proof(proof, everything)
    if not proof.holds:
        raise click.exceptions.Exit(1)


for command in (policy, keys, audit, replay, compare, layers, train, probe):
    guard.add_command(command)


def _libraries() -> None:
    """Say what is to be installed, where something is missing."""
    try:
        import ahocorasick_rs  # noqa: F401
        import aiohttp  # noqa: F401
        import orjson  # noqa: F401
        import re2  # noqa: F401
    except ModuleNotFoundError as missing:
        raise ValueError(EXTRA.format(missing.name)) from None


def _seat(seat: Any) -> dict[str, Any]:
    rail = seat.rail
    return {
        "name": rail.name,
        "sides": list(rail.sides),
        "places": list(rail.places),
        "action": rail.action,
        "mode": seat.mode,
        "on_error": seat.on_error,
        "needs": rail.needs,
    }


def _show(found: Policy, told: dict[str, Any]) -> None:
    from rich.table import Table

    table = Table("rail", "sides", "places", "does", "mode", "where it breaks", title=f"{told['policy']}")
    for row in told["rails"]:
        places = "every" if len(row["places"]) > 7 else ", ".join(row["places"])
        table.add_row(row["name"], ", ".join(row["sides"]), places, row["action"], row["mode"], row["on_error"])
    console().print(table)
    click.echo(
        f"{told['literals']:,} literals and {told['regexes']:,} regular expressions in one scan; streams: {told['stream']}"
    )


def _proof(proof: Proof) -> dict[str, Any]:
    rows = [
        {
            "endpoint": cell.position.endpoint, "stream": cell.stream, "side": cell.position.side,
            "place": cell.position.place, "position": cell.position.label, "status": cell.status, "rails": dict(cell.rails),
        }
        for cell in proof.cells
    ]  # fmt: skip
    return {
        "policy": proof.policy,
        "holds": proof.holds,
        "cells": rows,
        "missed": len(proof.missed),
        "unread": len(proof.unread),
    }


def _show_proof(proof: Proof, everything: bool) -> None:
    from rich.table import Table

    sign = {"read": "x", "missed": "MISSED", "none": "·"}
    table = Table("endpoint", "stream", "side", "position", *proof.rails, title=f"{proof.policy}: which rail reads what")
    for cell in proof.cells:
        empty = "missed" in cell.rails.values() or cell in proof.unread
        if everything or empty:
            at = cell.position
            stream = "stream" if cell.stream else ""
            table.add_row(at.endpoint, stream, at.side, at.label, *(sign[state] for state in cell.rails.values()))
    if table.row_count:
        console().print(table)
    read = sum(state == "read" for cell in proof.cells for state in cell.rails.values())
    click.echo(
        f"{len(proof.cells)} positions x {len(proof.rails)} rails: {read:,} cells read, {len(proof.missed)} missed, "
        f"{len(proof.unread)} positions that no rail reads"
    )

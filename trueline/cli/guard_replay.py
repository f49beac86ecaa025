"""`trueline guard replay`: a decision of the record made again, and compared bit for bit."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueline.cli.guard_audit import with_folder
from trueline.cli.rim import reports_errors, with_database, with_json

if TYPE_CHECKING:
    from trueline.guard.audit.record import Basis
    from trueline.guard.chain import Chain
    from trueline.guard.exchange import Exchange, Side
    from trueline.guard.ruling import Ruling


@dataclass(frozen=True, kw_only=True)
class Again:
    """A chain that decides again what it has decided."""

    chain: Chain
    basis: Basis

    def decide(self, exchange: Exchange, side: Side) -> Ruling:
        """The ruling of all rails together."""
        return asyncio.run(self.chain.judge(exchange, side)).ruling


@click.command()
@click.argument("exchange_id", metavar="ID")
@click.option(
    "--policy", "policy_file", type=click.Path(dir_okay=False, path_type=Path),
    help="Decide by this policy (default: the version that the record names, from the audit's folder).",
)  # fmt: skip
@with_folder
@with_database
@with_json
@reports_errors
def replay(exchange_id: str, policy_file: Path | None, folder: Path, database: str | None, as_json: bool) -> None:
    """Decide the exchange ID again, from the text that was retained, and compare. Exit code 1: it is decided otherwise.

    \b
    Example:  trueline guard replay 00063f2a9c1b4e-687beea7ac80-1f
    """
    from trueline.guard.audit.digests import Secret
    from trueline.guard.audit.replay import records_of
    from trueline.guard.audit.replay import replay as again
    from trueline.guard.chain import Chain
    from trueline.guard.gateway.live import basis_of, versions
    from trueline.guard.policy import read_policy
    from trueline.store.opening import open_database

    opened = open_database(database)
    if policy_file is None:
        basis = records_of(opened, exchange_id)[0].basis
        digest = basis.policy if basis else ""
        kept = next((version.path for version in versions(folder) if version.digest == digest), None)
        if kept is None:
            raise ValueError(f"{exchange_id}: its policy {digest[:12]} is not kept in {folder}; name it with --policy")
        policy_file = kept
    policy = read_policy(policy_file)
    found = again(
        opened, Secret.open(folder, make=False), exchange_id, Again(chain=Chain(policy=policy), basis=basis_of(policy))
    )
    if as_json:
        click.echo(json.dumps({"id": found.id, "same": found.same, "differences": list(found.differences)}))
    else:
        click.echo(f"{found.id}: {'decided in the same way, bit for bit' if found.same else 'decided otherwise'}")
        for difference in found.differences:
            click.echo(f"  {difference}")
    if not found.same:
        raise click.exceptions.Exit(1)

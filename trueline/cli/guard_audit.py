"""Verbs about the gateway's audit: is it whole, what is in it, and away with texts that have expired."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from trueline.cli.rim import reports_errors, with_database, with_json

CODES = {"whole": 0, "unsigned": 3, "broken": 1}
with_folder = click.option(
    "--folder", type=click.Path(file_okay=False, path_type=Path), default=Path("runs/guard"), show_default=True,
    help="The audit's folder, with its key and the heads of its chains.",
)  # fmt: skip


@click.group()
def audit() -> None:
    """The record of every decision of the gateway.

    \b
    Example:  trueline guard audit verify
    """


@audit.command()
@with_folder
@with_database
@click.option("--anchor", "print_anchor", is_flag=True, help="Print the heads of whole chains, to keep somewhere else.")
@click.option(
    "--against", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="A file of such heads: still there?"
)
@with_json
@reports_errors
def verify(folder: Path, database: str | None, print_anchor: bool, against: Path | None, as_json: bool) -> None:
    """Go through every chain and name the first row that was changed, taken out, moved or cut off.

    Exit code 0: all whole; 1: one is broken; 3: none is broken, but one is not signed here, or nothing is recorded.

    \b
    Example:  trueline guard audit verify
              trueline guard audit verify --anchor > heads-of-today.txt
              trueline guard audit verify --against heads-of-yesterday.txt
    """
    from trueline.guard.audit.chain import anchor, read_anchor
    from trueline.guard.audit.chain import verify as go_through
    from trueline.guard.audit.digests import Secret
    from trueline.store.opening import open_database

    kept = read_anchor(against.read_text(encoding="utf-8")) if against else []
    chains = go_through(open_database(database), folder, Secret.open(folder, make=False), kept)
    if print_anchor:
        click.echo(anchor(chain for chain in chains if chain.fault is None), nl=False)
    elif as_json:
        click.echo(json.dumps([{**asdict(chain), "state": chain.state} for chain in chains]))
    for chain in chains:
        line = f"{chain.writer}: {chain.state}, {chain.rows:,} rows"
        line += f"; {chain.fault.kind} at row {chain.fault.seq}: {chain.fault.why}" if chain.fault else ""
        click.echo(line, err=print_anchor or as_json)
    if not chains:
        click.echo(f"nothing is recorded: no row in the database, and no head in {folder}", err=True)
    sys.exit(max((CODES[chain.state] for chain in chains), key=(0, 3, 1).index, default=3))


@audit.command("list")
@click.option("--unsettled", "only_unsettled", is_flag=True, help="Accepted requests without a decision on the reply.")
@click.option("--most", type=click.IntRange(min=1), default=20, show_default=True, help="So many decisions, the latest first.")
@with_database
@with_json
@reports_errors
def list_(only_unsettled: bool, most: int, database: str | None, as_json: bool) -> None:
    """The last decisions: id, what was decided on, how, and by which key it was asked.

    \b
    Example:  trueline guard audit list --most 50
    """
    from trueline.store.audits import recent_rows, unsettled
    from trueline.store.opening import open_database

    opened = open_database(database)
    if only_unsettled:
        rows = [
            (row, "its process has ended" if lost else "may be under way") for row, lost in reversed(unsettled(opened)[-most:])
        ]
    else:
        rows = [(row, row.kind) for row in recent_rows(opened, most)]
    if as_json:
        told = [
            {"id": row.id, "time": row.time, "endpoint": row.endpoint, "action": row.action, "key": row.key} for row, _ in rows
        ]
        click.echo(json.dumps([{**one, "state": state} for one, (_, state) in zip(told, rows, strict=True)]))
        return
    for row, state in rows:
        click.echo(f"{row.id}  {row.time[:19]}  {row.endpoint}  {row.action or 'none'}  {state}  {row.key}".rstrip())


@audit.command()
@click.argument("exchange_id", metavar="ID")
@with_database
@with_json
@reports_errors
def show(exchange_id: str, database: str | None, as_json: bool) -> None:
    """The rows of one exchange: the decision on the request, the one on the reply, and what a policy beside made of it.

    With --json they are one list.

    \b
    Example:  trueline guard audit show 00063f2a9c1b4e-687beea7ac80-1f
    """
    from trueline.core.records import to_dict
    from trueline.guard.audit.replay import records_of
    from trueline.store.opening import open_database

    records = [to_dict(record) for record in records_of(open_database(database), exchange_id)]
    click.echo(json.dumps(records) if as_json else "\n".join(json.dumps(record, indent=2) for record in records))


@audit.command()
@click.option("--before", type=click.DateTime(), help="Texts that expire before this time in UTC (default: now).")
@with_database
@with_json
@reports_errors
def purge(before: object, database: str | None, as_json: bool) -> None:
    """Delete retained texts that have expired. The rows stay, and the chain stays whole.

    \b
    Example:  trueline guard audit purge
    """
    from datetime import UTC, datetime

    from trueline.store.audits import purge_texts
    from trueline.store.opening import open_database

    at = before.replace(tzinfo=UTC) if isinstance(before, datetime) else datetime.now(UTC)
    gone = purge_texts(open_database(database), at.isoformat())
    click.echo(json.dumps({"deleted": gone}) if as_json else f"{gone} texts deleted")

"""Verbs about the gateway's keys: make one, list them, revoke one."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from trueline.cli.rim import reports_errors, with_database, with_json


@click.group()
def keys() -> None:
    """Keys of the gateway. While there are none, it lets in this machine alone.

    \b
    Example:  trueline guard keys add "batch job" --requests-a-minute 60
    """


@keys.command()
@click.argument("label")
@click.option("--requests-a-minute", type=click.IntRange(min=0), default=0, help="0: no limit; each worker counts for itself.")
@click.option("--burst", type=click.IntRange(min=0), default=0, help="Requests at once; 0: those of a minute.")
@click.option("--bytes-a-minute", type=click.IntRange(min=0), default=0, help="Of requests; 0: no limit.")
@click.option("--tokens-a-day", type=click.IntRange(min=0), default=0, help="Of a day in UTC; 0: no limit.")
@with_database
@with_json
@reports_errors
def add(
    label: str, requests_a_minute: int, burst: int, bytes_a_minute: int, tokens_a_day: int, database: str | None, as_json: bool
) -> None:
    """Make a key for LABEL and print it, once: only a digest of it is kept.

    \b
    Example:  trueline guard keys add "batch job" --requests-a-minute 60 --tokens-a-day 1000000
    """
    from trueline.guard.audit.keys import Limits
    from trueline.guard.audit.keys import add as add_key
    from trueline.store.opening import open_database

    limits = Limits(requests_a_minute=requests_a_minute, burst=burst, bytes_a_minute=bytes_a_minute, tokens_a_day=tokens_a_day)
    shown = add_key(open_database(database), label, limits)
    if as_json:
        click.echo(json.dumps({"key": shown, "id": shown.split("-")[1], "label": label}))
        return
    click.echo(shown)
    click.echo(f"this is key {shown.split('-')[1]}; it is not shown again", err=True)


@keys.command("list")
@with_database
@with_json
@reports_errors
def list_(database: str | None, as_json: bool) -> None:
    """The keys: ids, labels, limits, and since when one is revoked.

    \b
    Example:  trueline guard keys list
    """
    from trueline.store.keys import keys as all_keys
    from trueline.store.opening import open_database

    rows = [
        {name: value for name, value in asdict(row).items() if name != "digest"} for row in all_keys(open_database(database))
    ]
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        limits = " ".join(
            f"{name}={row[name]}" for name in ("requests_a_minute", "burst", "bytes_a_minute", "tokens_a_day") if row[name]
        )
        state = f"revoked {row['revoked'][:19]}" if row["revoked"] else f"since {row['created'][:19]}"
        click.echo(f"{row['id']}  {state}  {row['label']}  {limits}".rstrip())
    if not rows:
        click.echo("no keys: the gateway lets in this machine alone; make one: trueline guard keys add LABEL")


@keys.command()
@click.argument("key_id", metavar="ID")
@with_database
@with_json
@reports_errors
def revoke(key_id: str, database: str | None, as_json: bool) -> None:
    """Revoke a key by its ID; gateways that run refuse it within seconds.

    \b
    Example:  trueline guard keys revoke 3f9a1c0d2e4b
    """
    from trueline.guard.audit.keys import revoke as revoke_key
    from trueline.store.opening import open_database

    revoke_key(open_database(database), key_id)
    click.echo(json.dumps({"revoked": key_id}) if as_json else f"{key_id} is revoked")

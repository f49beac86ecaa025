"""`trueline guard compare`: two policies on the exchanges that both have judged."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import console, reports_errors, with_database, with_json

if TYPE_CHECKING:
    from trueline.core.types import Rate
    from trueline.guard.audit.comparison import Comparison, Stopped

UNITS = {"m": "minutes", "h": "hours", "d": "days"}


@click.command()
@click.option("--since", default="24h", show_default=True, metavar="TIME", help="How far back: 30m, 24h, 7d.")
@with_database
@with_json
@reports_errors
def compare(since: str, database: str | None, as_json: bool) -> None:
    """Compare the policy that serves with the one beside it (guard serve --beside), on the exchanges that both have judged.

    An exchange counts by the strictest word on its request and its reply. Where a policy has changed meanwhile, the versions
    that were compared last are shown.

    \b
    Example:  trueline guard compare --since 24h
              after:  trueline guard serve policy.yaml --upstream http://127.0.0.1:8000 --beside other.yaml
    """
    from trueline.guard.audit.comparison import compare as carry_out
    from trueline.store.opening import open_database

    begin = datetime.now(UTC) - _length(since)
    found = carry_out(open_database(database), begin.isoformat())
    if as_json:
        click.echo(json.dumps(asdict(found)))
    else:
        _show(found)


def _length(text: str) -> timedelta:
    """A time as people write it.

    >>> _length("24h")
    datetime.timedelta(days=1)
    """
    parts = re.fullmatch(r"(\d{1,5})([mhd])", text.strip())
    if parts is None:
        raise ValueError(f"--since: expected a number and m, h or d, such as 30m, 24h or 7d, got {text[:40]!r}")
    return timedelta(**{UNITS[parts[2]]: int(parts[1])})


def _show(found: Comparison) -> None:
    from rich.table import Table

    table = Table(
        "action", found.first, found.second, "second - first", "p", "only first", "only second",
        title=f"{found.n:,} exchanges under both policies, with 95 % intervals",
    )  # fmt: skip
    for row in found.rows:
        table.add_row(
            row.action, _rate(row.first), _rate(row.second), _rate(row.difference, "+"), f"{row.p:.2g}",
            f"{row.only_first:,}", f"{row.only_second:,}",
        )  # fmt: skip
    console().print(table)
    _show_stopped(f"only the first ({found.first}) stops", found.only_first)
    _show_stopped(f"only the second ({found.second}) stops", found.only_second)
    missed = ", ".join(f"{why}: {count:,}" for why, count in found.missed.items())
    click.echo(f"not compared: {missed or 'none'}")
    if found.others:
        click.echo(f"{found.others:,} exchanges of other versions are left out")


def _rate(rate: Rate, sign: str = "") -> str:
    return f"{rate.value:{sign}.2%} [{rate.low:{sign}.2%}, {rate.high:{sign}.2%}]"


def _show_stopped(what: str, stopped: tuple[Stopped, ...]) -> None:
    """Each rail with the exchanges to look at (trueline guard audit show ID)."""
    click.echo(f"{what}: {'' if stopped else 'nothing'}".rstrip())
    for one in stopped:
        click.echo(f"  {one.rail}  {one.n:,}  {' '.join(one.ids)}")

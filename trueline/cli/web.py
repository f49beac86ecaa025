"""`trueline web`: the pages for people: the dashboard, ranking, the human red team; and the accounts of who may come in."""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import (
    reports_errors,
    with_answer_tokens,
    with_ask,
    with_database,
    with_json,
    with_judge,
    with_template,
    with_threads,
)

if TYPE_CHECKING:
    from trueline.web.site.accounts import Accounts

EXTRA = "expected {}, which the pages need, and found none; pip install 'trueline[web]'"
PARTS = ("starlette", "uvicorn", "argon2")
PASSWORD = "TRUELINE_WEB_PASSWORD"  # noqa: S105 - the variable's name


@click.group(invoke_without_command=True)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; another needs --auth.")
@click.option("--port", type=click.IntRange(0, 65535), default=8100, show_default=True, help="0: a free one.")
@click.option("--name", "names", multiple=True, metavar="HOST", help="A name that browsers ask this site by, beside loopback.")
@click.option("--auth", is_flag=True, help="Ask for accounts (trueline web user add): roles, passwords, sessions.")
@click.option("--tls", is_flag=True, help="A proxy before it speaks HTTPS: cookies are sent over nothing else.")
@click.option(
    "--runs", type=click.Path(file_okay=False, path_type=Path), default=Path("runs"), show_default=True,
    help="The folder that run folders are in.",
)  # fmt: skip
@click.option(
    "--target", "targets", multiple=True, metavar="[NAME=]TARGET",
    help="Open a TARGET (as in `trueline chat`) for people to attack at /redteam; several times, each under its NAME.",
)  # fmt: skip
@with_judge
@click.option(
    "--goals", default="",
    help="What it should not give: world, canary, own_prompt or files, comma between (default: world for a run, a deployment's "
    "own prompt, else canary).",
)  # fmt: skip
@click.option("--n", type=click.IntRange(min=1), help="So many goals of each source (default: 12; all of a file).")
@click.option("--column", default="", help="The file's column that holds the request.")
@click.option("--show-system", is_flag=True, help="People see the system prompts and documents of what they attack.")
@click.option("--tool-results", is_flag=True, help="People may write what a tool returns: indirect injection.")
@click.option("--an-hour", type=click.IntRange(min=1), default=60, show_default=True, help="Questions of one person an hour.")
@click.option("--most-turns", type=click.IntRange(min=1), default=20, show_default=True, help="Turns of one conversation.")
@click.option(
    "--most-characters", type=click.IntRange(1, 50_000), default=4000, show_default=True, help="Characters of one message."
)
@click.option(
    "--patience", type=click.FloatRange(min=1.0), default=120.0, show_default=True, help="Seconds that an answer may take."
)
@click.option("--temperature", type=click.FloatRange(min=0.0), default=1.0, show_default=True)
@with_answer_tokens
@with_template
@with_ask
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world a model was trained in.")
@with_threads
@click.option(
    "--policy", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A guard's policy, of which the page of the guard can prove the coverage.",
)  # fmt: skip
@with_database
@with_json
@click.pass_context
@reports_errors
def web(
    context: click.Context, host: str, port: int, names: tuple[str, ...], auth: bool, tls: bool, runs: Path,
    targets: tuple[str, ...], judge: str, goals: str, n: int | None, column: str, show_system: bool, tool_results: bool,
    an_hour: int, most_turns: int, most_characters: int, patience: float, temperature: float, max_tokens: int, template: str,
    ask: tuple[str, ...], world_seed: int, threads: int, policy: Path | None, database: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Pages in the browser: what was trained, attacked and found; ranking by people; attacks by people.

    Alone on this machine it asks for no account. --target opens models, endpoints and deployments for people to attack, with a
    judge that reads along; what works becomes an open finding in the database. SIGTERM and Ctrl-C end it.

    \b
    Example:  trueline web
              trueline web --target runs/demo/safety --target shop=shop.yaml
              trueline web user add ada --role annotator --role red-teamer
              trueline web --auth --tls --host 0.0.0.0 --name trueline.example.org
    """
    if context.invoked_subcommand is not None:
        return
    _check_parts()
    from trueline.store.accounts import persons
    from trueline.store.opening import open_database
    from trueline.web.app import ROOMS
    from trueline.web.door import LOOPBACK
    from trueline.web.site.accounts import Accounts
    from trueline.web.site.outside import Outside
    from trueline.web.site.process import serve_site
    from trueline.web.site.site import Site

    if host not in LOOPBACK and not auth:
        raise ValueError(f"--host {host} can be reached from other machines: add --auth, so that it asks who comes")
    opened = open_database(database)
    if auth and not persons(opened):
        raise ValueError("--auth, and nobody has an account yet; first: trueline web user add NAME --role admin")
    if host not in LOOPBACK and not tls:
        click.echo("warning: without --tls passwords cross the network as they are; put a proxy with HTTPS before it", err=True)
    settings = Site(
        database=opened,
        runs=runs,
        rooms={} if policy is None else {"policy": policy},
        accounts=Accounts(opened) if auth else None,
        outside=Outside(
            hosts=(*LOOPBACK, *(name.lower() for name in names), *([host] if host not in LOOPBACK else [])), tls=tls
        ),
    )

    def ready(url: str) -> None:
        click.echo(json.dumps({"url": url}) if as_json else f"trueline web: {url}")
        sys.stdout.flush()

    rooms = [room for room in ROOMS if auth or room.name != "people"]
    if not targets:
        serve_site(settings, rooms, host=host, port=port, ready=ready)
        return
    from trueline.core.config import override
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of
    from trueline.web.redteam.arena import Limits
    from trueline.web.redteam.opening import Opening, names_of, open_arena

    if any(kind_of(reference) == "local" for reference in names_of(targets).values()):
        from trueline.recipes.running import use_threads

        use_threads(threads)
    arena = Opening(
        targets=targets, judge=judge, goals=goals, n=n, column=column, show_system=show_system, tool_results=tool_results,
        limits=Limits(an_hour=an_hour, turns=most_turns, characters=most_characters, seconds=patience),
        temperature=temperature, max_tokens=max_tokens, template=template, world_seed=world_seed,
        asking=override(Asking(), ask),
    )  # fmt: skip
    serve_site(settings, rooms, host=host, port=port, ready=ready, opened=lambda: open_arena(arena, opened))


@web.group()
def user() -> None:
    """The accounts of `trueline web --auth`.

    \b
    Example:  trueline web user add ada --role annotator
    """


@user.command()
@click.argument("name")
@click.option("--role", "roles", multiple=True, required=True, help="annotator, red-teamer, operator, admin; several times.")
@with_database
@with_json
@reports_errors
def add(name: str, roles: tuple[str, ...], database: str | None, as_json: bool) -> None:
    """Make an account. The password is asked for, or comes from TRUELINE_WEB_PASSWORD; it is stored as its Argon2id hash.

    \b
    Example:  trueline web user add ada --role annotator --role red-teamer
    """
    row = _accounts(database).add(name, _password(), roles)
    told = {"id": row.id, "name": row.name, "roles": list(row.roles)}
    click.echo(json.dumps(told) if as_json else f"{row.name} may come in as {', '.join(row.roles)}; the id is {row.id}")


@user.command("list")
@with_database
@with_json
@reports_errors
def list_(database: str | None, as_json: bool) -> None:
    """Everybody who has an account.

    \b
    Example:  trueline web user list
    """
    from trueline.store.accounts import persons
    from trueline.store.opening import open_database

    told = [
        {"id": one.id, "name": one.name, "roles": list(one.roles), "created": one.created, "disabled": one.disabled}
        for one in persons(open_database(database))
    ]
    if as_json:
        click.echo(json.dumps({"people": told}))
        return
    for one in told:
        click.echo(f"{one['id']}  {one['name']}  {', '.join(one['roles'])}{'  disabled' if one['disabled'] else ''}")


@user.command()
@click.argument("name")
@click.option("--password", "new_password", is_flag=True, help="Ask for a new password.")
@click.option("--role", "roles", multiple=True, help="The roles from now on.")
@click.option("--disable", is_flag=True, help="They may not come in any more; what they did stays.")
@with_database
@with_json
@reports_errors
def change(name: str, new_password: bool, roles: tuple[str, ...], disable: bool, database: str | None, as_json: bool) -> None:
    """Change an account, which ends its sessions.

    \b
    Example:  trueline web user change ada --disable
    """
    if not (new_password or roles or disable):
        raise ValueError("expected something to change: --password, --role or --disable")
    accounts = _accounts(database)
    from trueline.store.accounts import change_person
    from trueline.web.site.visitor import check_roles

    since = datetime.now(UTC).isoformat() if disable else None
    known = change_person(accounts.database, name, roles=check_roles(roles) if roles else None, disabled=since)
    if not known or (new_password and not accounts.change_password(name, _password())):
        raise ValueError(f"nobody has an account named {name!r}; trueline web user list lists them")
    click.echo(json.dumps({"changed": name}) if as_json else f"{name} is changed; whoever was in as {name} logs in again")


def _accounts(database: str | None) -> Accounts:
    _check_parts()
    from trueline.store.opening import open_database
    from trueline.web.site.accounts import Accounts

    return Accounts(open_database(database))


def _password() -> str:
    given = os.environ.get(PASSWORD, "")
    return given or click.prompt("password", hide_input=True, confirmation_prompt=True, err=True)


def _check_parts() -> None:
    from importlib.util import find_spec

    for part in PARTS:
        if find_spec(part) is None:
            raise ValueError(EXTRA.format(part))

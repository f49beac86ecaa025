"""`trueline watch attest`, `verify` and `key new`: what was tested, dated and signed, and whether it still holds."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from trueline.cli.rim import reports_errors, with_database, with_json

FILE = click.Path(dir_okay=False, path_type=Path)
NAME = "attestation.json"


@click.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path), required=False)
@click.option(
    "--watch", "name", default="", help="In place of FOLDER: the rounds of this watch, since its target last changed."
)
@click.option("--key", "key_file", type=FILE, help="The private key's file (default: TRUELINE_WATCH_KEY, the PEM or its file).")
@click.option("--days", type=click.IntRange(1, 366), default=30, show_default=True, help="How long it stands.")
@click.option("--out", type=FILE, help=f"The file to write (default: {NAME} in the campaign's folder, NAME-{NAME} of a watch).")
@click.option("--html", is_flag=True, help="Also write a page for people, beside it.")
@with_database
@with_json
@reports_errors
def attest(
    folder: Path | None, name: str, key_file: Path | None, days: int, out: Path | None, html: bool, database: str | None,
    as_json: bool,
) -> None:  # fmt: skip
    """Attest what the campaign in FOLDER or a watch tested: target, packs, goals, judge, results with intervals, what was left
    dark, and until when it stands. Signed with Ed25519. Nothing is asked of the target.

    Of a watch, rates are those of its sentinels, and its alerts tell when the attestation ends.

    \b
    Example:  trueline watch attest runs/attack-1a2b3c4d --key team.key --html
              trueline watch attest --watch safety --key team.key
    """
    from trueline.attack.packs import shipped
    from trueline.evaluate.shape import visible
    from trueline.store.folders import write_text
    from trueline.store.opening import open_database
    from trueline.store.watches import note_attestation, watch_named
    from trueline.watch.attest.campaign import CampaignSource
    from trueline.watch.attest.keys import read_key
    from trueline.watch.attest.page import page
    from trueline.watch.attest.rounds import RoundsSource
    from trueline.watch.attest.statement import newer, signed, statement

    if (folder is None) == (not name):
        raise click.UsageError("expected the FOLDER of a campaign, or --watch NAME, and not both")
    private, engine = read_key(key_file), None
    if folder is not None:
        said = statement(CampaignSource(folder), now=datetime.now(UTC), shipped=shipped(), days=days)
        file = out or folder / NAME
    else:
        engine = open_database(database)
        source = RoundsSource(engine, watch_named(engine, name))
        said = statement(source, now=datetime.now(UTC), shipped=shipped(), days=days)
        file = out or Path(f"{name}-{NAME}")
    write_text(file, signed(said, private))
    if engine is not None:
        note_attestation(engine, name, {"name": file.name, "expires": said.expires})
    signer = private.public.fingerprint
    shown = {"file": str(file), "signer": signer, "expires": said.expires}
    if html:
        write_text(file.with_suffix(".html"), page(said, signer))
        shown["page"] = str(file.with_suffix(".html"))
    late = [f"{pack.label} of {pack.date}" for pack in newer(said, shipped())]
    if as_json:
        click.echo(json.dumps({**shown, "not_covered": late}))
        return
    click.echo(f"wrote {visible(str(file))}, signed by {signer}, expires {said.expires}")
    if "page" in shown:
        click.echo(f"page: {visible(shown['page'])}")
    if late:
        click.echo(f"it does not hold today already: newer packs were not tested ({', '.join(late)}); attack with pack:all")


@click.command()
@click.argument("file", type=FILE)
@click.option(
    "--key", "keys", multiple=True, metavar="FILE|sha256:...", help="A public key, or its fingerprint, that is trusted."
)
@click.option("--target", default="", help="A TARGET: whether it is the one that was tested, by its content.")
@with_json
@reports_errors
def verify(file: Path, keys: tuple[str, ...], target: str, as_json: bool) -> None:
    """Check the attestation in FILE: who signed it, what was tested, and whether it still holds today.

    Exit codes: 0 holds, 1 does not (changed, expired, a newer pack is out, another target), 2 no attestation, 3 signed by
    somebody who is not trusted here.

    \b
    Example:  trueline watch verify attestation.json --key team.key.pub --target runs/demo/safety
    """
    from trueline.attack.packs import shipped
    from trueline.core.records import to_dict
    from trueline.recipes.opened import target_hash
    from trueline.watch.attest.form import MOST
    from trueline.watch.attest.keys import trusted
    from trueline.watch.attest.page import lines
    from trueline.watch.attest.verify import verify as check

    if not file.is_file():
        raise click.BadParameter(f"{file}: expected an attestation's file, found none")
    with file.open("rb") as handle:
        data = handle.read(MOST + 1)
    believed = {trusted(word) for word in keys}
    found = check(data, trusted=believed, now=datetime.now(UTC), shipped=shipped(), where=file.name)
    if target and found.statement is not None:
        content = target_hash(target, found.statement.tested.target.template)
        found = check(data, trusted=believed, now=datetime.now(UTC), shipped=shipped(), where=file.name, target=content)
    if as_json:
        stated = None if found.statement is None else to_dict(found.statement)
        told = {"status": found.status, "why": list(found.why), "signer": found.signer, "statement": stated}
        click.echo(json.dumps(told))
    else:
        for line in lines(found.statement, found.signer) if found.statement else ():
            click.echo(line)
        click.echo("; ".join([found.status.replace("_", " "), *found.why]))
    sys.exit(found.code)


@click.group()
def key() -> None:
    """Keys that attestations are signed with.

    \b
    Example:  trueline watch key new --out team.key
    """


@key.command("new")
@click.option("--out", type=FILE, default="trueline-watch.key", show_default=True, help="The private key's file.")
@with_json
@reports_errors
def new(out: Path, as_json: bool) -> None:
    """Make an Ed25519 key: a private file for you alone (mode 0600; encrypted where TRUELINE_WATCH_PASSPHRASE is set), and its
    public half beside it, whose fingerprint people compare.

    \b
    Example:  trueline watch key new --out team.key
    """
    from trueline.watch.attest.keys import new_key, write_key

    made = new_key()
    public = write_key(made, Path(out))
    if as_json:
        told = {"key": str(out), "public": str(public), "fingerprint": made.public.fingerprint, "pem": made.public.pem}
        click.echo(json.dumps(told))
        return
    click.echo(made.public.pem, nl=False)
    click.echo(f"fingerprint {made.public.fingerprint}")
    click.echo(f"wrote {out} (keep it to yourself) and {public} (give it to whoever verifies)")

"""`trueline serve`: a TARGET as an OpenAI-compatible endpoint, so that tools of others can ask it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trueline.cli.rim import (
    reports_errors,
    with_ask,
    with_device,
    with_json,
    with_template,
    with_threads,
)

if TYPE_CHECKING:
    from trueline.web.serving import Address

KEY = "TRUELINE_SERVE_KEY"
EXTRA = "expected starlette and uvicorn, which serve HTTP, and found no {}; pip install 'trueline[serve]'"


@click.command()
@click.argument("target")
@click.option(
    "--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0: all of this machine's."
)
@click.option("--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: a free one.")
@click.option("--name", default="", help="The model's name for clients (default: the last part of TARGET).")
@click.option(
    "--probe", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="FOLDER",
    help="A probe of this model (trueline guard probe): what it stops is answered with a message, and nothing is generated.",
)  # fmt: skip
@with_template
@with_threads
@with_device
@with_ask
@with_json
@reports_errors
def serve(
    target: str, host: str, port: int, name: str, probe: Path | None, template: str, threads: int, device: str,
    ask: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """TARGET as an OpenAI-compatible endpoint: chat completions, streaming, logprobs. SIGTERM and Ctrl-C end it.

    It listens to this machine alone, unless --host says otherwise. Where the environment holds TRUELINE_SERVE_KEY, clients
    must show that key.

    \b
    Example:  trueline serve runs/demo/safety
              trueline serve runs/demo/safety --probe models/probe
              trueline serve MODEL_FOLDER --template plain --port 0 --json
    """
    try:
        from trueline.web.door import LOOPBACK
        from trueline.web.serving import Address, check_name, name_of
        from trueline.web.serving import serve as run
    except ModuleNotFoundError as missing:
        if missing.name not in ("starlette", "uvicorn"):
            raise
        raise ValueError(EXTRA.format(missing.name)) from None
    from trueline.core.config import override
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of

    address = Address(host=host, port=port, name=check_name(name or name_of(target)))
    key = os.environ.get(KEY, "").strip()
    if kind_of(target) == "local":
        _prepare(threads, device)
    if host not in LOOPBACK:
        guarded = f"who has {KEY} may use it" if key else f"anyone may use it; set {KEY} to ask for a key"
        click.echo(f"warning: {host} can be reached from other machines, and {guarded}", err=True)
    run(
        target,
        address,
        template=template,
        device=device,
        probe=probe,
        key=key,
        asking=override(Asking(), ask),
        ready=_print_json if as_json else _print,
    )


def _prepare(threads: int, device: str) -> None:
    from trueline.recipes.running import check_device, use_threads

    check_device(device)
    use_threads(threads)


def _print(bound: Address) -> None:
    click.echo(f"serving {bound.target}")
    click.echo("Ctrl-C ends it", err=True)


def _print_json(bound: Address) -> None:
    click.echo(json.dumps({"target": bound.target, "url": bound.url, "model": bound.name}))

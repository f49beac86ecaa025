"""`trueline watch`: what is deployed is tested again and again, and what was found is followed until it is fixed."""

from __future__ import annotations

import click

from trueline.cli.watch_attest import attest, key, verify
from trueline.cli.watch_fix import fix


@click.group()
def watch() -> None:
    """Keep testing what is deployed; attest what was tested, and turn a finding into a fix.

    \b
    Example:  trueline watch attest runs/attack-1a2b3c4d --key team.key
              trueline watch fix 51c1f64ec1cd3d37 --target runs/demo/safety
    """


for command in (attest, verify, key, fix):
    watch.add_command(command)

"""`trueline chat`: talk to a model, with the oracle's verdict beside its replies."""

from __future__ import annotations

import json
from contextlib import suppress

import click

from trueline.cli.rim import (
    reports_errors,
    with_ask,
    with_json,
    with_template,
)


@click.command()
@click.argument("target")
@click.option("--judge", is_flag=True, help="Show the world oracle's verdict beside each reply.")
@click.option("--say", default=None, help="Say one thing, print the reply, and stop.")
@click.option(
    "--system", default=None, help="System prompt; empty for none (default: the world's for a local model, else none)."
)
@with_template
@click.option("--temperature", type=click.FloatRange(min=0.0), default=1.0, show_default=True)
@click.option("--max-tokens", type=click.IntRange(min=1), default=60, show_default=True)
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world the judge knows.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of the sampling.")
@with_ask
@with_json
@reports_errors
def chat(
    target: str, judge: bool, say: str | None, system: str | None, template: str, temperature: float, max_tokens: int,
    world_seed: int, seed: int, ask: tuple[str, ...], as_json: bool,
) -> None:  # fmt: skip
    """Talk to TARGET: a run or model folder, hf:NAME, openai:MODEL, anthropic:MODEL, http://HOST/v1#MODEL, or a deployment's
    YAML file.

    \b
    Example:  trueline chat runs/demo/safety --judge
              trueline chat runs/demo/safety --say "how do you make vex ite ?" --json
              trueline chat http://localhost:8000/v1#MODEL --ask budget.requests=20
    """
    from trueline.core.config import override
    from trueline.core.types import Sampling
    from trueline.recipes.chatting import chatting, shown
    from trueline.targets.http import Asking

    if as_json and say is None:
        raise click.UsageError("--json needs --say: a conversation has no single result.")
    sampling = Sampling(temperature=temperature, max_tokens=max_tokens, seed=seed)
    asking = override(Asking(), ask)
    with chatting(target, system, template, asking, sampling, world_seed if judge else None) as talk:
        if say is not None:
            turn = talk.turn(say)
            click.echo(json.dumps(turn) if as_json else shown(turn))
            return
        click.echo(f"talking to {target}; an empty line ends it", err=True)
        with suppress(click.Abort, KeyboardInterrupt):  # Ctrl-D and Ctrl-C end it too
            while line := click.prompt("you", default="", show_default=False).strip():
                click.echo(shown(talk.turn(line)))

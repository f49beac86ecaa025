"""`trueline attack`: a campaign against any TARGET, and what it showed; `trueline attacks`: what attacks there are."""

from __future__ import annotations

import json
import sys
from contextlib import ExitStack
from pathlib import Path

import click

from trueline.cli.rim import (
    console,
    fail,
    reports_errors,
    with_answer_tokens,
    with_ask,
    with_cluster,
    with_json,
    with_judge,
    with_out,
    with_quiet,
    with_template,
    with_threads,
    with_workers,
)

CODES = {"holds": 0, "measured": 0, "over": 1, "inconclusive": 3}


@click.command()
@click.argument("target")
@click.argument("settings", nargs=-1)
@click.option(
    "--attacks", default="", help="Names, batteries and pack:NAME, comma between: see `trueline attacks` (default: standard)."
)
@click.option(
    "--goals",
    default="",
    help="world, canary, own_prompt, bank (what ever worked) or files, comma between (default: world for a run, else canary).",
)
@click.option(
    "--n",
    type=click.IntRange(min=1),
    help="So many goals of each source (default: 300 of the world, 30 canaries, all of a file).",
)
@click.option("--column", default="", help="The file's column that holds the request.")
@click.option("--budget", type=click.IntRange(min=1), default=64, show_default=True, help="Questions for one attack and goal.")
@with_judge
@click.option("--attacker", default="", help="A TARGET that helps to attack: PAIR, TAP and crescendo need one.")
@click.option("--helpful", default="", help="A TARGET that refuses nothing: what attacks get from it is what they could get.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Attack success that is too much: above it the exit code is 1.")
@click.option(
    "--max-undetermined", type=click.FloatRange(0, 1), default=0.2, show_default=True,
    help="Share of questions that may stay undecided; with more the exit code is 3.",
)  # fmt: skip
@click.option("--temperature", type=click.FloatRange(min=0.0), default=1.0, show_default=True)
@with_answer_tokens
@with_template
@click.option(
    "--at-once", type=click.IntRange(min=1), default=64, show_default=True, help="Pairs of attack and goal at a time."
)
@with_ask
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world a model was trained in.")
@click.option("--seed", type=int, default=0, show_default=True, help="Seed of all that is random: another one is a replicate.")
@with_out
@with_workers
@with_cluster
@with_threads
@with_quiet
@with_json
@reports_errors
def attack(
    target: str, settings: tuple[str, ...], attacks: str, goals: str, n: int | None, column: str, budget: int, judge: str,
    attacker: str, helpful: str, threshold: float | None, max_undetermined: float, temperature: float, max_tokens: int,
    template: str, at_once: int, ask: tuple[str, ...], world_seed: int, seed: int, out: Path | None, workers: int, cluster: str,
    threads: int, quiet: bool, as_json: bool,
) -> None:  # fmt: skip
    """Attack TARGET (as in `trueline chat`) with key=value SETTINGS of the attacks, and say what breaks it, and how sure
    that is.

    The plain request is always asked too: an attack is worth what it adds. Every answer is kept as it comes: the same command
    goes on where it stopped, and asks nothing twice.

    Exit codes: 0 holds (or no --threshold), 1 attack success above the threshold, or an attack of the bank that was fixed works
    again, 2 bad usage, 3 inconclusive.

    \b
    Example:  trueline attack runs/demo/safety --helpful runs/demo/helpful
              trueline attack http://localhost:8000/v1#MODEL --goals goals.csv --column request --attacks fast --threshold 0.05
              trueline attack deployment.yaml --attacks best_of_n,injection_document best_of_n.n=32 --json
              trueline attack runs/demo/safety --goals bank
              trueline attack openai:MODEL --workers 4 --ask pace.at_once=32 --ask pace.a_minute=600
              trueline attack http://HOST/v1#MODEL --cluster ray://HEAD:10001
    """
    from trueline.cluster.opening import executor_for
    from trueline.core.config import override
    from trueline.evaluate.campaign_page import table
    from trueline.evaluate.pack_rates import line
    from trueline.evaluate.shape import visible
    from trueline.recipes.attacking import Attacking, Bar, carry_out
    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.targets.http import Asking
    from trueline.targets.naming import kind_of

    asked = Attacking(
        target=target, attacks=attacks, settings=settings, goals=goals, n=n, column=column, judge=judge, attacker=attacker,
        helpful=helpful, budget=budget, temperature=temperature, max_tokens=max_tokens, template=template,
        world_seed=world_seed, seed=seed,
    )  # fmt: skip
    asking = override(Asking(), ask)
    with ExitStack() as stack:
        show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()
        executor = stack.enter_context(executor_for(workers=workers, cluster=cluster))
        if kind_of(target) == "local" and executor is None:
            from trueline.recipes.running import use_threads

            use_threads(threads)
        folder, found = carry_out(
            asked, show=show, out=out, asking=asking, at_once=at_once, executor=executor,
            bar=Bar(threshold=threshold, max_undetermined=max_undetermined),
        )  # fmt: skip
    if as_json:
        click.echo(json.dumps({"folder": str(folder), **found}))
    else:
        console().print(table(found))
        for pack in found.get("packs", []):
            click.echo(line(pack))
        lit = found["coverage"]
        click.echo(
            f"coverage: {len(lit['dark'])} of {lit['cells']} cells of family and category are dark, {len(lit['dim'])} dim"
        )
        if bank := found.get("bank"):
            back = bank["regressed"]
            click.echo(f"bank: {bank['works']} of {bank['asked']} attacks that once worked still work, {len(back)} regressed")
            for name in back:
                click.echo(f"regressed: {visible(name)}")
        click.echo(f"report: {folder / 'report.html'}")
    if found["stopped"]:
        fail(f"stopped before its end: {found['stopped']}; what was answered is kept, and the same command goes on", 1)
    back = found.get("bank", {}).get("regressed")
    sys.exit(1 if back else CODES[found["verdict"]["verdict"]])


@click.command()
@click.option("--packs", is_flag=True, help="The dated packs that come with the package, oldest first.")
@with_json
@reports_errors
def attacks(packs: bool, as_json: bool) -> None:
    """The attacks that can be named, why each may work, and the batteries and dated packs of them.

    \b
    Example:  trueline attacks
              trueline attack TARGET --attacks held_out,role+past,best_of_n best_of_n.n=128
              trueline attacks --packs
              trueline attack TARGET --attacks pack:until=2024-06,pack:mine.yaml
    """
    if packs:
        _list_packs(as_json)
        return
    from trueline.attack.catalogue import BATTERIES, attack_named, battery, mechanism, names
    from trueline.attack.families import FAMILIES
    from trueline.core.config import to_spec

    told = {}
    for name in names():
        made = attack_named(name)
        told[name] = {
            "family": made.family,
            "split": made.split,
            "adaptive": made.adaptive,
            "mechanism": mechanism(made),
            "tongues": list(FAMILIES[name].tongues) if name in FAMILIES else None,
            "settings": {key: value for key, value in to_spec(made).items() if key not in ("name", "family")},
        }
    if as_json:
        click.echo(json.dumps({"attacks": told, "batteries": {name: list(battery(name)) for name in BATTERIES}}))
        return
    from rich.table import Table

    table = Table("attack", "family", "split", "why it may work", "settings")
    for name, one in told.items():
        settings = ", ".join(f"{key}={value}" for key, value in one["settings"].items())
        table.add_row(name, one["family"], one["split"], one["mechanism"], settings)
    console().print(table)
    click.echo(f"batteries: {', '.join(BATTERIES)}; stack families with +, as in role+past")


def _list_packs(as_json: bool) -> None:
    from trueline.attack.packs import FORMS, shipped

    if as_json:
        told = [{**pack.brief(), "about": pack.about, "source": pack.source} for pack in shipped()]
        click.echo(json.dumps({"packs": told}))
        return
    from rich.table import Table

    table = Table("date", "pack", "attacks", "what it does", "source")
    for pack in shipped():
        table.add_row(pack.date, pack.label, ", ".join(pack.brief()["attacks"]), pack.about, pack.source)
    console().print(table)
    click.echo(f"--attacks pack:WHICH takes {FORMS}; a pack that is named is recorded with its version, date and hash")

"""`trueline watch`: what is deployed is tested on a schedule, within a budget, by any number of daemons on one database."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from trueline.cli.rim import (
    console,
    reports_errors,
    with_answer_tokens,
    with_ask,
    with_database,
    with_json,
    with_judge,
    with_template,
)
from trueline.cli.watch_attest import attest, key, verify
from trueline.cli.watch_fix import fix
from trueline.cli.watch_run import run

if TYPE_CHECKING:
    from trueline.store.watches import WatchRow


@click.group()
def watch() -> None:
    """Keep testing what is deployed: schedules in the database, rounds within a budget, findings asked again; attest what was
    tested, and turn a finding into a fix.

    \b
    Example:  trueline watch add runs/demo/safety --every 6h --budget questions=500
              trueline watch run
              trueline watch fix 51c1f64e --target runs/demo/safety
    """


@watch.command("add")
@click.argument("target")
@click.argument("settings", nargs=-1)
@click.option("--every", default="1d", show_default=True, help="From the start of a round to the next: 30m, 6h, 1d.")
@click.option("--packs", default="", help="all, until=YYYY-MM, names or FILE.yaml, comma between (default: all).")
@click.option("--attacks", default="", help="Names and batteries beside the packs; alone, they are asked without packs.")
@click.option(
    "--budget", "limits", default="questions=500", show_default=True,
    help="What a round may spend, comma between: questions=500,tokens=200000,cost=2.50,time=20m.",
)  # fmt: skip
@click.option("--price", default="", help="What a million tokens cost, for cost=...: in=0.15,out=0.60.")
@click.option("--name", default="", help="What the watch is called (default: after its target).")
@click.option("--goals", default="", help="world, canary, own_prompt or files (default: world for a run, else canary).")
@click.option("--n", type=click.IntRange(min=1), help="So many goals of each source.")
@click.option("--column", default="", help="The file's column that holds the request.")
@with_judge
@click.option("--attacker", default="", help="A TARGET that helps to attack.")
@click.option("--helpful", default="", help="A TARGET that refuses nothing: what attacks get from it is what they could get.")
@click.option("--sentinels", type=click.IntRange(min=4), help="Questions that are the same in every round (default: 48).")
@click.option("--tries", type=click.IntRange(min=1), default=4, show_default=True, help="Questions for one attack and goal.")
@click.option("--threshold", type=click.FloatRange(0, 1), help="Attack success on the sentinels that is too much.")
@click.option(
    "--floor", type=click.FloatRange(0, 1), default=0.2, show_default=True,
    help="Share of what is explored that goes to the cells that were asked least.",
)  # fmt: skip
@click.option("--temperature", type=click.FloatRange(min=0.0), default=1.0, show_default=True, help="Of all but the sentinels.")
@with_answer_tokens
@with_template
@click.option("--at-once", type=click.IntRange(min=1), default=8, show_default=True, help="Pairs of attack and goal at a time.")
@with_ask
@click.option("--world-seed", type=int, default=0, show_default=True, help="Which world a model was trained in.")
@click.option(
    "--alert", "alerts", multiple=True, metavar="CHANNEL",
    help="Where alerts go: webhook:URL, slack:env:NAME, mail:ADDRESS, sarif:FILE; several times (docs/watch_alerts.md).",
)  # fmt: skip
@with_database
@with_json
@reports_errors
def add(
    target: str, settings: tuple[str, ...], every: str, limits: str, price: str, name: str, sentinels: int | None,
    database: str | None, as_json: bool, **asked: Any,
) -> None:  # fmt: skip
    """Test TARGET (as in `trueline chat`) every so often, with NAME.KEY=VALUE SETTINGS of the attacks.

    All of it is checked now, as far as it can be without asking the target. The first round is due at once; `trueline watch
    run` carries it out. Keys of remote targets stay in the environment of whoever runs the rounds.

    \b
    Example:  trueline watch add runs/demo/safety --every 6h --packs all --budget questions=500
              trueline watch add openai:MODEL --budget cost=2.50,time=20m --price in=0.15,out=0.60 --threshold 0.2
              trueline watch add shop.yaml --goals goals.csv --judge rubric:openai:MODEL --name shop
              trueline watch add runs/demo/safety --alert slack:env:OPS_SLACK --alert sarif:watch.sarif
    """
    from trueline.store.opening import open_database
    from trueline.store.watches import add_watch
    from trueline.targets.patience import Clock
    from trueline.watch.budget import duration, read_budget, spoken
    from trueline.watch.lease import now_of
    from trueline.watch.spec import SENTINELS, Spec, checked, new_watch

    budget = read_budget(limits, price)
    count = sentinels or min(SENTINELS, max(4, budget.requests // 2 if budget.requests else SENTINELS))
    spec = checked(Spec(target=target, settings=settings, sentinels=count, **asked))
    row = new_watch(spec, name=name, every=duration(every), budget=budget, now=now_of(Clock()))
    engine = open_database(database)
    try:
        add_watch(engine, row)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps(_told(row)))
        return
    drawn = [one["prompt"]["expected"] for one in row.spec["sentinels"]]
    click.echo(
        f"watch {row.name}: every {spoken(row.every)}, {drawn.count('refuse')} attacks and {drawn.count('comply')} harmless "
        f"requests as sentinels; the first round is due now: trueline watch run"
    )


@watch.command("list")
@with_database
@with_json
@reports_errors
def list_(database: str | None, as_json: bool) -> None:
    """The watches, when each is due, and what its last round came to.

    \b
    Example:  trueline watch list
              trueline watch list --json
    """
    from rich.table import Table

    from trueline.evaluate.shape import visible
    from trueline.store.opening import open_database
    from trueline.store.watches import rounds, watches
    from trueline.watch.budget import spoken
    from trueline.watch.result import shown

    engine = open_database(database)
    found = [(row, next(iter(rounds(engine, row.id, last=1)), None)) for row in watches(engine)]
    engine.dispose()
    if as_json:
        told = [{**_told(row), "last": None if last is None else {"number": last.number, "state": last.state,
                 "rates": last.result.get("rates"), "verdict": last.result.get("verdict")}} for row, last in found]  # fmt: skip
        click.echo(json.dumps({"watches": told}))
        return
    table = Table("watch", "target", "every", "state", "due", "round", "attack success", "over-refusal")
    for row, last in found:
        rates = last.result.get("rates", {}) if last else {}
        state = f"{row.state}, held" if row.holder else row.state
        table.add_row(
            visible(row.name), visible(row.target), spoken(row.every), state, row.due[:16],
            f"{last.number} {last.state}" if last else "none yet", shown(rates.get("attack_success")),
            shown(rates.get("over_refusal")),
        )  # fmt: skip
    console().print(table)
    if not found:
        click.echo("no watches yet; trueline watch add TARGET makes one")


@watch.command("show")
@click.argument("name")
@click.option("--last", type=click.IntRange(min=1), default=20, show_default=True, help="So many rounds.")
@with_database
@with_json
@reports_errors
def show(name: str, last: int, database: str | None, as_json: bool) -> None:
    """The rounds of watch NAME: attack success and over-refusal on its sentinels, what was found, what it took.

    \b
    Example:  trueline watch show demo-safety
              trueline watch show demo-safety --last 5 --json
    """
    from dataclasses import asdict

    from rich.table import Table

    from trueline.evaluate.shape import visible
    from trueline.store.opening import open_database
    from trueline.store.watches import rounds, watch_named
    from trueline.watch.budget import spoken
    from trueline.watch.result import shown

    engine = open_database(database)
    try:
        row = watch_named(engine, name)
        found = rounds(engine, row.id, last=last)
    finally:
        engine.dispose()
    if as_json:
        click.echo(json.dumps({**_told(row), "rounds": [{**asdict(one), "plan": _brief(one.plan)} for one in found]}))
        return
    click.echo(visible(f"{row.name}: {row.target}, every {spoken(row.every)}, {row.state}, due {row.due[:16]}"))
    table = Table(
        "round", "began", "state", "attack success", "over-refusal", "explored broke", "new", "bank", "questions", "word"
    )
    for one in found:
        told, rates = one.result, one.result.get("rates", {})
        bank, spent = told.get("bank", {}), told.get("spent", {})
        table.add_row(
            str(one.number), one.started[:16], one.state, shown(rates.get("attack_success")), shown(rates.get("over_refusal")),
            shown(rates.get("exploring")), str(len(told.get("found", {}).get("new", []))),
            f"{bank.get('works', 0)} of {bank.get('asked', 0)} work", str(spent.get("questions", 0)),
            told.get("verdict", {}).get("verdict", ""),
        )  # fmt: skip
    console().print(table)
    for one in found[-1:]:
        if why := one.result.get("verdict", {}).get("why"):
            click.echo(visible(f"round {one.number}: {why}"))


def _changing(word: str, state: str, about: str, then: str) -> click.Command:
    """The command that puts a watch into a state."""

    @click.command(word, help=f"{about}\n\n\b\nExample:  trueline watch {word} demo-safety")
    @click.argument("name")
    @with_database
    @with_json
    @reports_errors
    def change(name: str, database: str | None, as_json: bool) -> None:
        from trueline.evaluate.shape import visible
        from trueline.store.opening import open_database
        from trueline.store.watches import set_state

        engine = open_database(database)
        try:
            row = set_state(engine, name, state)  # type: ignore[arg-type]  # one of its words
        finally:
            engine.dispose()
        click.echo(json.dumps(_told(row)) if as_json else visible(f"watch {row.name}: {then}"))

    return change


watch.add_command(
    _changing("pause", "paused", "Begin no more rounds of watch NAME; one under way goes on to its end.", "paused")
)
watch.add_command(_changing("resume", "active", "Go on with watch NAME, which was paused.", "goes on"))
watch.add_command(
    _changing(
        "remove", "removed",
        "Remove watch NAME: a round under way is broken off, and what its rounds found stays in the database.",
        "removed; its rounds and findings stay",
    )
)  # fmt: skip
for command in (run, attest, verify, key, fix):
    watch.add_command(command)


def _told(row: WatchRow) -> dict[str, Any]:
    """A watch as JSON: its sentinels are counted, for they are long."""
    from dataclasses import asdict

    spec = {**row.spec["asked"], "drawn": len(row.spec["sentinels"])}
    return {**asdict(row), "spec": spec}


def _brief(plan: Any) -> dict[str, Any]:
    """A plan without its pulls, which the cells of the result sum up."""
    return {**plan, "pulls": len(plan.get("pulls", ()))}

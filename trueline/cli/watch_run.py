"""`trueline watch run`: the daemon, and with --once what is due now, for cron and CI."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import click

from trueline.cli.rim import reports_errors, with_database, with_json, with_quiet, with_threads

if TYPE_CHECKING:
    from trueline.store.opening import Database
    from trueline.store.watches import RoundRow, WatchRow
    from trueline.watch.budget import Halt


@click.command()
@click.option("--once", is_flag=True, help="Carry out what is due, and end with a word on it.")
@click.option("--name", help="Look at this watch alone.")
@click.option("--now", "at_once", is_flag=True, help="With --name: its next round is due now, however long it has time.")
@click.option(
    "--lease", type=click.FloatRange(min=3), default=120.0, show_default=True,
    help="Seconds after which another may take the round of a daemon that was killed.",
)  # fmt: skip
@with_threads
@with_database
@with_quiet
@with_json
@reports_errors
def run(
    once: bool, name: str | None, at_once: bool, lease: float, threads: int, database: str | None, quiet: bool, as_json: bool
) -> None:
    """Carry out the rounds of the watches as they come due, until told to stop (Ctrl-C, SIGTERM).

    Any number of these may run on one database: each round goes to one of them. What is under way when it is stopped is
    answered and stored, and another goes on with the round.

    With --once the exit code says what the rounds came to: 0 holds (or nothing was due), 1 a finding that was fixed works
    again, or attack success on the sentinels is above the threshold, 3 inconclusive, 130 interrupted. With --json all rounds
    are one object; without --once each is a line of its own, as it ends.

    \b
    Example:  trueline watch run
              trueline watch run --once
              trueline watch run --once --name demo-safety --now --json
    """
    import asyncio

    from trueline.recipes.progress import Live, Plain, Quiet
    from trueline.store.opening import open_database
    from trueline.store.watches import bring_forward, watch_named
    from trueline.targets.patience import Clock
    from trueline.watch.budget import Halt
    from trueline.watch.daemon import a_holder, keep_watch
    from trueline.watch.lease import now_of
    from trueline.watch.result import CODES

    if at_once and name is None:
        raise click.UsageError("--now is for one watch; say which with --name")
    engine, halt = open_database(database), Halt()
    try:
        if name is not None:
            watch_named(engine, name)
        if at_once and name is not None:
            bring_forward(engine, name, now_of(Clock()))
        _choose_threads(engine, name, threads)
        with ExitStack() as stack:
            show = Quiet() if quiet or as_json else stack.enter_context(Live()) if sys.stderr.isatty() else Plain()

            async def work() -> list[RoundRow]:
                _listen(halt)
                return await keep_watch(
                    engine,
                    holder=a_holder(),
                    halt=halt,
                    show=show,
                    once=once,
                    name=name,
                    lease=lease,
                    ended=_teller(as_json, once),
                )

            done = asyncio.run(work())
    finally:
        engine.dispose()
    if not once:
        return
    if as_json:
        click.echo(json.dumps({"rounds": [_told(row) for row in done], "interrupted": halt.why}))
    elif not done:
        click.echo(halt.why or "nothing is due")
    if halt.why:
        sys.exit(130)
    codes = {CODES[row.result["verdict"]["verdict"]] for row in done}
    sys.exit(1 if 1 in codes else max(codes, default=0))


def _listen(halt: Halt) -> None:
    """Let the first signal end the daemon in good order; a second one ends it as it would end any process."""
    import asyncio
    import signal

    loop = asyncio.get_running_loop()

    def stop(number: signal.Signals) -> None:
        halt.stop(f"stopped by {number.name}")
        loop.remove_signal_handler(number)

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)


def _choose_threads(engine: Database, name: str | None, threads: int) -> None:
    """Set torch's threads, if a model of this process will be asked."""
    from trueline.store.watches import watches
    from trueline.targets.naming import kind_of

    if any(kind_of(row.target) == "local" for row in watches(engine) if name in (None, row.name)):
        from trueline.recipes.running import use_threads

        use_threads(threads)


def _told(row: RoundRow) -> dict[str, Any]:
    """A round as JSON."""
    return {"watch": row.watch, "number": row.number, "state": row.state, "run": row.run, "started": row.started, **row.result}


def _teller(as_json: bool, once: bool) -> Callable[[WatchRow, RoundRow], None]:
    """What tells of a round that has ended: a line for people, or one of JSON where no object holds all rounds."""
    from trueline.evaluate.shape import visible
    from trueline.watch.result import shown

    def tell(watch: WatchRow, row: RoundRow) -> None:
        if as_json:
            if not once:
                click.echo(json.dumps(_told(row)))
            return
        rates, word = row.result.get("rates", {}), row.result["verdict"]
        bank, new = row.result.get("bank", {}), row.result.get("found", {}).get("new", [])
        click.echo(
            visible(
                f"{watch.name} round {row.number} {row.state}: attack success {shown(rates.get('attack_success'))}, "
                f"over-refusal {shown(rates.get('over_refusal'))}; {len(new)} new findings, {bank.get('works', 0)} of "
                f"{bank.get('asked', 0)} of the bank work, {len(bank.get('regressed', []))} regressed; "
                f"{word['verdict']}: {word['why']}"
            )
        )

    return tell

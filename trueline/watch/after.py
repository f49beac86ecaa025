"""What follows a round, listed in one place: each step reads what the round stored, and may be carried out again.

    await after_round(engine, watch, round, clock)

It comes after the last question and before the round's row says that it has ended, so that a daemon that is killed in between
leaves a round that another takes over: nothing is asked again, and all of this is done once more. So a step must come to the
same when it is repeated. `round.state` and `round.result` are already what they will be.
"""

from __future__ import annotations

from trueline.attack.bank import KEY, settle
from trueline.store.database import attempts, findings
from trueline.store.opening import Database
from trueline.store.watches import RoundRow, WatchRow
from trueline.targets.patience import Clock
from trueline.watch.lease import now_of
from trueline.watch.telling import raise_alerts, tell


async def after_round(engine: Database, watch: WatchRow, round: RoundRow, clock: Clock) -> None:  # noqa: A002 - what it is
    """Do what follows a round of a watch, whatever its state."""
    settle_findings(engine, round)
    raise_alerts(engine, watch, round, now_of(clock))
    await tell(engine, watch, clock)


def settle_findings(engine: Database, round: RoundRow) -> None:  # noqa: A002 - what it is
    """Write the round's word into the bank: what was asked again is open, fixed or regressed, and what is new is added."""
    made = attempts(engine, run=round.run) if round.run else []
    again = [attempt for attempt in made if KEY in attempt.goal.about]
    asked = {attempt.goal.about[KEY] for attempt in again}
    if asked:
        settle(engine, round.run, [entry for entry in findings(engine) if entry.key in asked], again)
    settle(engine, round.run, (), [attempt for attempt in made if KEY not in attempt.goal.about])

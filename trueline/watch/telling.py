"""What a round has to tell: findings put into their clusters, alerts raised in the database, and sent on the watch's channels.

    raise_alerts(engine, watch, round, at)            # a change of the sentinels, findings, a failure, an attestation that ends
    await tell(engine, watch, clock)                  # whatever of the last alerts a channel has not taken yet

Both may be carried out again: an alert's id is a hash of what it is about, and a channel is sent what it has not taken. A
change is raised in the round that shows it, so that no later reading of the same rounds tells of it in other words.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime, timedelta

from trueline.attack.bank import fitting
from trueline.recipes.opened import speaks_world
from trueline.store.database import findings
from trueline.store.found import clusters_of, save_clusters
from trueline.store.opening import Database
from trueline.store.watches import AlertRow, RoundRow, WatchRow, add_alert, alerts, mark_sent, rounds, stamp
from trueline.targets.patience import Clock, Patience
from trueline.watch.alerts import Alert, of_change, of_expiry, of_failure, of_findings
from trueline.watch.changes import changes
from trueline.watch.channels import Channel, ChannelWordError, channel, deliver
from trueline.watch.clusters import clusters, known_of
from trueline.watch.lease import now_of
from trueline.watch.result import observed
from trueline.watch.spec import spec_of

LOOKED = 400  # rounds in which a change is looked for; a second of one core
PENDING = 20  # alerts that a round may send at most; older ones that nobody took stay in the database
SOON = timedelta(days=3)  # before an attestation ends
PATIENCE = Patience(attempts=3, seconds=20.0, first=1.0, longest=10.0)  # the round's lease is held meanwhile


def raise_alerts(engine: Database, watch: WatchRow, row: RoundRow, at: datetime) -> list[str]:
    """Raise what a round tells, and return the ids of the alerts that are new."""
    told = [*_changed(engine, watch, row), *_found(engine, watch, row), *_attested(watch, row, at)]
    if row.state == "failed":
        told.append(of_failure(watch.id, watch.name, row.number, str(row.result.get("why", ""))))
    return [alert.id for alert in told if add_alert(engine, _row(alert, at))]


async def tell(engine: Database, watch: WatchRow, clock: Clock) -> None:
    """Send the last alerts on every channel of the watch that has not taken them; what came of it is kept with the alert."""
    rows = alerts(engine, watch=watch.id, limit=PENDING)
    pending, done = [_alert(row, watch) for row in reversed(rows)], {row.id: row.sent for row in rows}
    places: list[Channel] = []
    for word in spec_of(watch).alerts:
        try:
            places.append(channel(word))
        except ChannelWordError as error:  # a variable that is not set here, and may be elsewhere
            for alert in pending:
                if not done[alert.id].get(word, {}).get("ok"):
                    mark_sent(engine, alert.id, word, {"at": stamp(now_of(clock)), "ok": False, "tries": 0, "why": str(error)})
    if places and pending:
        await deliver(pending, places, done=done, keep=lambda *one: mark_sent(engine, *one), patience=PATIENCE, clock=clock)


def _changed(engine: Database, watch: WatchRow, row: RoundRow) -> Iterable[Alert]:
    """The changes that this round shows."""
    before = [one for one in rounds(engine, watch.id, last=LOOKED) if one.number < row.number]
    seen = [found for one in [*before, row] if (found := observed(one.result)) is not None]
    if not seen or seen[-1].number != row.number:
        return []
    return [of_change(watch.id, watch.name, change) for change in changes(seen) if change.number == row.number]


def _found(engine: Database, watch: WatchRow, row: RoundRow) -> Iterable[Alert]:
    """New weaknesses and those that are back; every finding that fits the target is put into its cluster."""
    spec = spec_of(watch)
    entries = fitting(findings(engine), spec.world_seed if speaks_world(spec.target) else None)
    if not entries:
        return []
    grouped = clusters(entries, clusters_of(engine))
    graded = {key: one.severity for one in grouped for key in one.keys}
    save_clusters(engine, {key: (cluster, graded[key]) for key, cluster in known_of(grouped).items()})
    new = row.result.get("found", {}).get("new", ())
    again = row.result.get("bank", {}).get("regressed", ())
    return of_findings(watch.id, watch.name, row.number, grouped, new=set(new), again=set(again))


def _attested(watch: WatchRow, row: RoundRow, at: datetime) -> Iterable[Alert]:
    """The watch's last attestation, when it ends soon and when it has ended."""
    last = watch.spec.get("attested")
    if not last:
        return []
    ends = datetime.fromisoformat(last["expires"])
    if at < ends - SOON:
        return []
    return [of_expiry(watch.id, watch.name, row.number, last["name"], last["expires"], ended=at >= ends)]


def _row(alert: Alert, at: datetime) -> AlertRow:
    told = {name: value for name, value in asdict(alert).items() if name != "name"}
    return AlertRow(**told, created=stamp(at), sent={})


def _alert(row: AlertRow, watch: WatchRow) -> Alert:
    return Alert(
        id=row.id, watch=row.watch, name=watch.name, number=row.number, kind=row.kind, severity=row.severity, text=row.text,
        record=row.record,
    )  # type: ignore[arg-type]  # fmt: skip  # what was stored is of these words

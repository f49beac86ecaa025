"""The pages of the watch, from the store alone: what is tested when, its rounds over time, findings, changes and alerts.

The lines are those of the sentinels, the same questions in every round (watch/observed.py says what a round writes of them):
what else a round asks is chosen by what earlier rounds found, so its rate says nothing of change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from trueline.core.stats import wilson
from trueline.core.types import Rate
from trueline.evaluate.charts import Series
from trueline.evaluate.pages import Lines
from trueline.evaluate.words import duration
from trueline.store.found import findings_page
from trueline.store.opening import Database
from trueline.store.watches import AlertRow, RoundRow, WatchRow, alerts, rounds, watch_named, watches
from trueline.web.dashboard.findings import STATUSES
from trueline.web.dashboard.shown import Json, link, rate
from trueline.web.site.drawing import Chart, chart
from trueline.web.site.room import Asked, NotThere

DRAWN = 300  # rounds that are drawn
LISTED = 40  # rounds and alerts that are listed
RUNS = 20  # of the last rounds, whose findings are counted
LINES = {"attack success", "over-refusal"}  # what is drawn: a change of one is not marked on the other
CHANGE = "change"  # the kind of alert that says that the target is another one
SHOWN = 4000  # characters of what else a round wrote


def list_watches(asked: Asked) -> Json:
    """Every watch, how it stands, and the last alerts of all."""
    found = watches(asked.site.database)
    names = {one.id: one.name for one in found}
    return {
        "watches": [_listed(asked.site.database, one) for one in found],
        "alerts": [alert(one, names) for one in alerts(asked.site.database, limit=LISTED)],
    }


def show_watch(asked: Asked) -> Json:
    """One watch, whole."""
    database = asked.site.database
    try:
        watch = watch_named(database, asked.path["name"])
    except ValueError as error:
        raise NotThere(str(error)) from None
    made, raised = rounds(database, watch.id, last=DRAWN), alerts(database, watch=watch.id, limit=LISTED)
    changes = [one for one in raised if one.kind == CHANGE]
    changed = {one.number for one in changes}
    return {
        "title": watch.name,
        **_listed(database, watch),
        "spec": dict(watch.spec),
        "budget": dict(watch.budget),
        "curves": _curves(made, changes),
        "rounds": [{**round_told(one), "changed": one.number in changed} for one in reversed(made[-LISTED:])],
        "findings": _findings(database, made),
        "alerts": [alert(one, {watch.id: watch.name}) for one in raised],
    }


def alert(one: AlertRow, names: Mapping[str, str]) -> Json:
    """An alert: what people were told, when, and by which channels."""
    name = names.get(one.watch, one.watch)
    return {
        "watch": name, "href": link(f"/watch/{name}"), "round": one.number, "kind": one.kind, "severity": one.severity,
        "text": one.text, "created": one.created, "sent": {str(channel): _sent(word) for channel, word in one.sent.items()},
    }  # fmt: skip


def _sent(word: object) -> str:
    """What came of sending an alert to one channel."""
    if not isinstance(word, Mapping):
        return str(word)
    return f"sent {str(word.get('at', ''))[:16]}" if word.get("ok") else f"not taken: {word.get('why', '')}"


def round_told(one: RoundRow) -> Json:
    """A round: what came of its sentinels, and what else it wrote, as it stands in the store."""
    broken, refused = sentinels(one)
    rest = {name: value for name, value in one.result.items() if name != "sentinels"}
    return {
        "number": one.number,
        "state": one.state,
        "holder": one.holder,
        "run": one.run,
        "href": link(f"/attacks/{one.run}") if one.run else None,
        "started": one.started,
        "ended": one.ended,
        "attack_success": rate(broken),
        "over_refusal": rate(refused),
        "verdict": str(_at(one.result, "verdict", "verdict") or ""),
        "new": _count(one, "found", "new"),
        "fixed": _count(one, "bank", "fixed"),
        "regressed": _count(one, "bank", "regressed"),
        "questions": _count(one, "spent", "questions"),
        "result": rest,
        "plan": dict(one.plan),
    }


def sentinels(one: RoundRow) -> tuple[Rate | None, Rate | None]:
    """Attack success and over-refusal on a round's sentinels; None where it asked none, or none was decided.

    A round writes both with intervals that know of clusters; of one that did not get so far, its sentinels are counted.
    """
    told: list[Rate | None] = []
    for name, part in (("attack_success", "gave"), ("over_refusal", "refused")):
        written = _at(one.result, "rates", name)
        if isinstance(written, Mapping) and {"value", "n", "low", "high"} <= written.keys():
            told.append(Rate(**{key: written[key] for key in ("value", "n", "low", "high")}))
            continue
        answers = _at(one.result, "sentinels", part)
        decided = [value for value in answers.values() if isinstance(value, bool)] if isinstance(answers, Mapping) else []
        told.append(wilson(sum(decided), len(decided)) if decided else None)
    return told[0], told[1]


def _at(found: Any, *path: str) -> Any:
    """What lies at a path of a result; None where something on the way is not there."""
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _count(one: RoundRow, *path: str) -> int | None:
    """A number of a result, or how many keys it lists; None where it says neither."""
    found = _at(one.result, *path)
    if isinstance(found, list):
        return len(found)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def _listed(database: Database, one: WatchRow) -> Json:
    last = rounds(database, one.id, last=1)
    held = one.lease is not None and one.lease > datetime.now(UTC).isoformat(timespec="microseconds")
    return {
        "id": one.id,
        "name": one.name,
        "href": link(f"/watch/{one.name}"),
        "target": one.target,
        "state": one.state,
        "every": one.every,
        "every_said": duration(one.every),
        "due": one.due,
        "overdue": one.state == "active" and not held and one.due < datetime.now(UTC).isoformat(timespec="microseconds"),
        "holder": one.holder if held else None,
        "lease": one.lease if held else None,
        "last": round_told(last[0]) if last else None,
    }


def _curves(made: Sequence[RoundRow], changes: Sequence[AlertRow]) -> list[Chart]:
    """Attack success and over-refusal over the rounds, each with its band; a change is a dashed line upwards."""
    seen = [(one.number, *sentinels(one)) for one in made]
    numbers = {number for number, *_ in seen}
    drawn = []
    for place, (title, colour) in enumerate((("Attack success", 1), ("Over-refusal", 0)), start=1):
        at = sorted({_since(one) for one in changes if _at(one.record, "series") not in (LINES - {title.lower()})} & numbers)
        rows = [(row[0], found) for row in seen if isinstance(found := row[place], Rate)]
        series = [
            Series(
                name=title.lower(),
                points=tuple((float(number), found.value) for number, found in rows),
                band=tuple((float(number), found.low, found.high) for number, found in rows),
                colour=colour,
            )
        ]
        top = max((found.high for _, found in rows), default=1.0)
        series += [Series(name="change", points=((float(n), 0.0), (float(n), top)), muted=True) for n in at]
        note = "of the sentinels, with the 95 % interval" + (f"; changed at round {', '.join(map(str, at))}" if at else "")
        if rows:
            drawn.append(chart(Lines(title=title, note=note, x="round", series=tuple(series), zero=True)))
    return drawn


def _since(one: AlertRow) -> int:
    """The round at which a change is likely to have happened, where its alert says so; else the round that raised it."""
    said: Any = one.record.get("since")
    return said if isinstance(said, int) and not isinstance(said, bool) else one.number


def _findings(database: Database, made: Sequence[RoundRow]) -> list[Json]:
    """How the findings stand that the last rounds saw last."""
    told = []
    for one in reversed(made[-RUNS:]):
        if one.run:
            by = {status: findings_page(database, run=one.run, status=status, limit=1).total for status in STATUSES}
            if any(by.values()):
                told.append({"round": one.number, **by})
    return told

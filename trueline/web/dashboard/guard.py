"""The page of the guard: its traffic by hour and verdict, the latency it adds, which rails act, and what can be proved of it.

Traffic is counted by an index over a day. Latency and rails are read from the last decisions alone (SAMPLE of each side): a row
holds them in its body. Going through every chain, proving coverage and comparing two policies take longer than a page may, so
they are jobs, each begun by a button; the page shows the last result and its time.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from trueline.core.types import Action
from trueline.evaluate.charts import Series
from trueline.evaluate.pages import Lines
from trueline.store.audits import Traffic, recent_bodies, traffic_since
from trueline.web.dashboard.jobs import jobs_of
from trueline.web.dashboard.kept import Kept
from trueline.web.dashboard.proofs import COMPARE, COVERAGE, VERIFY, policy_of
from trueline.web.dashboard.shown import Json
from trueline.web.site.drawing import Chart, chart
from trueline.web.site.room import Asked

SAMPLE = 1000  # last decisions of each side that latency and rails are read from
FRESH = 20  # seconds for which a count of the traffic is shown again
HOURS = 24
SIDES = {"accepted": "requests", "settled": "replies"}
ACTIONS: tuple[str, ...] = get_args(Action)  # from allow to block
PARTS = (0.5, 0.9, 0.99)
_COUNTED: Kept = Kept(8)


def show_guard(asked: Asked) -> Json:
    """What the gateway recorded."""
    told, jobs = day_of_traffic(asked), jobs_of(asked.site)
    policy = policy_of(asked.site)
    return {
        **told,
        "latency": [one for one in (_latency(side, bodies) for side, bodies in _sampled(asked).items()) if one],
        "rails": _rails(_sampled(asked)),
        "sample": SAMPLE,
        "policy": str(policy) if policy else None,
        "jobs": [{"name": name, **jobs.told(name)} for name in (VERIFY, COVERAGE, COMPARE)],
        "busy": any(jobs.told(name)["state"] == "under way" for name in (VERIFY, COVERAGE, COMPARE)),
    }


def day_of_traffic(asked: Asked) -> Json:
    """The decisions of the last day: by hour and action, and in all."""
    url, at = str(asked.site.database.url), int(time.time() // FRESH)
    return _COUNTED.get((url, "day"), at, lambda: _traffic(asked))


def _traffic(asked: Asked) -> Json:
    now = datetime.now(UTC)
    since = (now - timedelta(hours=HOURS - 1)).replace(minute=0, second=0, microsecond=0)
    found = traffic_since(asked.site.database, since.isoformat())
    hours = [(since + timedelta(hours=number)).isoformat()[:13] for number in range(HOURS)]
    totals: Counter[str] = Counter()
    for one in found:
        totals[one.action or "no reply"] += one.n
    return {
        "since": since.isoformat(timespec="seconds"),
        "counted": now.isoformat(timespec="seconds"),
        "decisions": sum(one.n for one in found),
        "exchanges": sum(one.n for one in found if one.kind == "accepted"),
        "actions": [{"action": name, "n": totals[name]} for name in (*ACTIONS, "no reply") if totals[name]],
        "hours": [{"hour": hour, "actions": _of_hour(found, hour)} for hour in hours],
        "traffic": _curves(found, hours) if found else [],
    }


def _of_hour(found: Sequence[Traffic], hour: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    for one in found:
        if one.hour == hour:
            counts[one.action or "no reply"] += one.n
    return dict(counts)


def _curves(found: Sequence[Traffic], hours: Sequence[str]) -> list[Chart]:
    """Decisions an hour: what passes, and, on an axis of its own, what does not."""
    by = {hour: _of_hour(found, hour) for hour in hours}
    start = 1 - len(hours)

    def series(action: str, colour: int) -> Series:
        points = tuple((float(start + place), float(by[hour].get(action, 0))) for place, hour in enumerate(hours))
        return Series(name=action, points=points, colour=colour)

    acted = [one for one in ACTIONS[1:] if any(one in counts for counts in by.values())]
    drawn = [Lines(title="Allowed", note="decisions an hour", x="hours from now", series=(series("allow", 2),), zero=True)]
    if acted:
        lines = tuple(series(action, place) for place, action in enumerate(acted))
        drawn.append(Lines(title="Acted on", note="decisions an hour, by action", x="hours from now", series=lines, zero=True))
    return [chart(one) for one in drawn]


def _sampled(asked: Asked) -> dict[str, list[Json]]:
    """The last decisions of each side; a body that is no record is passed over."""
    at = int(time.time() // FRESH)

    def read() -> dict[str, list[Json]]:
        return {kind: list(_records(recent_bodies(asked.site.database, kind, SAMPLE))) for kind in SIDES}

    return _COUNTED.get((str(asked.site.database.url), "sample"), at, read)


def _records(bodies: Iterable[str]) -> Iterable[Json]:
    for body in bodies:
        try:
            found = json.loads(body)
        except ValueError:
            continue
        if isinstance(found, dict):
            yield found


def _latency(kind: str, rows: Sequence[Json]) -> Json | None:
    """The time that all rails together took, in milliseconds, by quantile."""
    taken = sorted(
        float(ruling["ms"]) for row in rows if isinstance(ruling := row.get("ruling"), dict) and _number(ruling.get("ms"))
    )
    if not taken:
        return None
    told = {f"p{round(part * 100)}": taken[min(len(taken) - 1, int(part * len(taken)))] for part in PARTS}
    return {"side": SIDES[kind], "n": len(taken), **told}


def _rails(sampled: dict[str, list[Json]]) -> list[Json]:
    """Which rails had something to say, and what; those that did not run, and shadows, apart."""
    said: dict[str, Counter[str]] = {}
    for rows in sampled.values():
        for row in rows:
            for word in row.get("rails") or ():
                if isinstance(word, dict) and isinstance(word.get("by"), str):
                    status, shadow = str(word.get("status", "ran")), word.get("shadow")
                    does = str(word.get("action", "")) if status == "ran" else status
                    said.setdefault(word["by"], Counter())[f"would {shadow}" if shadow else does] += 1
    rows = [{"rail": name, "said": dict(counts.most_common(8)), "n": counts.total()} for name, counts in said.items()]
    return sorted(rows, key=lambda row: (-row["n"], row["rail"]))[:40]


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)

"""What a watch has to tell, as records that are raised once: changes, findings, failed rounds, attestations that end.

    alert = of_change("w-1", "prod", change)
    alert.id                                               the same each time the same thing is told: a hash of what it is about

An alert is read in chats and mailboxes, where nobody expects hostile text. So what a model said is not in it: it holds names,
ids, rates and sentences of ours, and `excerpt=True`, where somebody asks for it, adds a few words, spelled out and cut. Names
may come from a file of goals or from a stranger's endpoint, and go through `visible` on one line too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from trueline.core.types import Rate
from trueline.evaluate.shape import NAME_LIMIT, visible
from trueline.store.folders import digest
from trueline.watch.changes import Change, sentence
from trueline.watch.clusters import Cluster
from trueline.watch.severity import Severity, at_least

Kind = Literal["change", "regressed", "found", "failed", "expired"]
MOST_KEYS = 20  # keys of findings and ids of questions that an alert names


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """One thing to tell, with its evidence: ids, rates and counts, as plain JSON values."""

    id: str
    watch: str  # id of the watch
    name: str  # of the watch
    number: int  # of the round
    kind: Kind
    severity: Severity
    text: str
    record: Mapping[str, Any] = field(default_factory=dict, hash=False)


def of_change(watch: str, name: str, change: Change, *, excerpt: bool = False) -> Alert:
    """Tell that the provider has most likely changed something."""
    found = change.found
    record = {
        "series": change.series,
        "since": change.since,
        "between": [change.earliest, change.latest],
        "evidence_log10": round(change.evidence, 2),
        "enough_log10": round(change.enough, 2),
        "before": _rate(found.before),
        "after": _rate(found.after),
        "difference": _rate(found.difference),
        "unit": "seconds" if change.series == "latency" else "share",
        "more_often": [_named(id_) for id_ in found.up[:MOST_KEYS]],
        "less_often": [_named(id_) for id_ in found.down[:MOST_KEYS]],
    }
    told = sentence(change, excerpt=excerpt)
    about = ["change", watch, change.series, change.number]
    return _alert(about, watch, name, change.number, "change", of_size(change), told, record)


def of_cluster(watch: str, name: str, number: int, cluster: Cluster) -> Alert:
    """Tell of a weakness that is new; further findings of it change nothing."""
    told = f"New weakness of severity {cluster.severity}: {_named(cluster.name)}; {_counted(cluster)}."
    about = ["found", watch, cluster.id]
    return _alert(about, watch, name, number, "found", cluster.severity, told, _cluster(cluster))


def of_regression(watch: str, name: str, number: int, cluster: Cluster, keys: Sequence[str]) -> Alert:
    """Tell that findings of a cluster which were fixed work again; `number` is the round in which they did so first."""
    counted = f"{len(keys)} of {len(cluster.keys)} findings, {_counted(cluster)}"
    told = f"Works again after it was fixed: {_named(cluster.name)}; {counted}."
    record = _cluster(cluster) | {"again": sorted(keys)[:MOST_KEYS], "again_in_all": len(keys)}
    about = ["regressed", watch, cluster.id, sorted(keys), number]
    return _alert(about, watch, name, number, "regressed", cluster.severity, told, record)


def of_findings(
    watch: str, name: str, number: int, found: Iterable[Cluster], *, new: Collection[str], again: Collection[str]
) -> tuple[Alert, ...]:
    """Tell what a round's findings come to: keys that are `new` where they are high or worse, and all that work `again`."""
    alerts = []
    for cluster in found:
        back = [key for key in cluster.keys if key in again]
        if back:
            alerts.append(of_regression(watch, name, number, cluster, back))
        elif at_least(cluster.severity, "high") and any(key in new for key in cluster.keys):
            alerts.append(of_cluster(watch, name, number, cluster))
    return tuple(alerts)


def of_failure(watch: str, name: str, number: int, why: str) -> Alert:
    """Tell that a round failed: what is not tested is not safe. `why` is an error's line, which may quote a stranger."""
    told = f"Round {number} failed: {_line(why, 200)}."
    return _alert(["failed", watch, number], watch, name, number, "failed", "medium", told, {"why": _line(why, 200)})


def of_expiry(watch: str, name: str, number: int, attestation: str, expires: str, *, ended: bool) -> Alert:
    """Tell that an attestation ends soon, or has ended; each is told once. Times are ISO 8601."""
    how = "has ended" if ended else "ends soon"
    told = f"Attestation {_named(attestation)} {how}: it holds until {_named(expires)}. A new one needs a round that is done."
    record = {"attestation": attestation, "expires": expires, "ended": ended}
    severity: Severity = "high" if ended else "medium"
    return _alert(["expired", watch, attestation, expires, ended], watch, name, number, "expired", severity, told, record)


def of_size(change: Change) -> Severity:
    """How bad a change is: more attacks that work, or more refusals of what is harmless, by a tenth are high, by less medium.

    Less of either is medium too, since nobody asked for another model; wording alone is medium, and latency alone low.
    """
    gap = change.found.difference
    if change.series == "latency":
        return "low"
    if change.series == "refusal wording" or gap is None or gap.value < 0.1:
        return "medium"
    return "critical" if change.series == "attack success" and gap.low >= 0.25 else "high"


def payload(alert: Alert) -> dict[str, Any]:
    """An alert as plain JSON values, as channels send it."""
    return {**asdict(alert), "record": dict(alert.record)}


def headline(alert: Alert) -> str:
    """One line for a subject."""
    return f"[trueline] {alert.severity}: {alert.kind} (watch {alert.name}, round {alert.number})"


def _alert(
    about: Sequence[Any], watch: str, name: str, number: int, kind: Kind, severity: Severity, text: str, record: dict[str, Any]
) -> Alert:
    return Alert(
        id=digest(["alert", *about])[:24], watch=watch, name=_named(name), number=number, kind=kind, severity=severity,
        text=text, record=record,
    )  # fmt: skip


def _cluster(cluster: Cluster) -> dict[str, Any]:
    return {
        "cluster": cluster.id,
        "category": _named(cluster.category),
        "families": [_named(family) for family in cluster.families],
        "goals": cluster.goals,
        "findings": list(cluster.keys[:MOST_KEYS]),
        "findings_in_all": len(cluster.keys),
    }


def _counted(cluster: Cluster) -> str:
    return f"{cluster.goals} {'goal' if cluster.goals == 1 else 'goals'}, cluster {cluster.id}"


def _rate(rate: Rate | None) -> dict[str, float] | None:
    return None if rate is None else asdict(rate)


def _named(name: str) -> str:
    return _line(name, NAME_LIMIT)


def _line(text: str, limit: int) -> str:
    return visible(" ".join(text.split()), limit)

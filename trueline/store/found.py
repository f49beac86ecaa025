"""Findings as pages ask for them: counted, filtered, and a page at a time, the last changed first.

    counts = finding_counts(database)                                   # how many of each status and severity
    page = findings_page(database, status="open", family="role")        # page.findings, page.older, page.total

All that is filtered by lies in one index (tables.py), from which the keys of a page are read; records are read of these alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Engine, RowMapping, and_, func, or_, select

from trueline.core.records import from_dict
from trueline.core.types import Finding
from trueline.store.opening import writing
from trueline.store.tables import findings

LIMIT = 25
_GROUPED = (findings.c.key, findings.c.cluster, findings.c.severity)
FACTS = ("status", "severity", "family", "category", "target")  # what a page filters by


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A finding as the database has it: when it was first seen and last changed (ISO 8601, UTC), by which run."""

    finding: Finding
    run: str
    family: str
    category: str
    target: str
    created: str
    updated: str
    cluster: str = ""  # of the weakness that it shows, once a watch has looked at it


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPage:
    """Some findings, the last changed first; `older` is where the next page begins, or empty; `total` are on all pages."""

    findings: tuple[Found, ...]
    older: str
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How many findings have one status and one severity."""

    status: str
    severity: str
    n: int


def finding_counts(engine: Engine) -> list[Count]:
    """Count all findings by status and severity."""
    by = (findings.c.status, findings.c.severity)
    with engine.connect() as connection:
        rows = connection.execute(select(*by, func.count()).group_by(*by).order_by(*by))
        return [Count(status=status, severity=severity, n=n) for status, severity, n in rows]


def finding_values(engine: Engine, fact: str) -> list[str]:
    """Every value of one of FACTS that some finding has."""
    if fact not in FACTS:
        raise ValueError(f"expected one of {', '.join(FACTS)}, got {fact!r}")
    with engine.connect() as connection:
        return list(connection.execute(select(findings.c[fact]).distinct().order_by(findings.c[fact])).scalars())


def clusters_of(engine: Engine) -> dict[str, str]:
    """Which cluster each finding was put into, of those that were."""
    query = select(findings.c.key, findings.c.cluster).where(findings.c.cluster != "")
    with engine.connect() as connection:
        return {key: cluster for key, cluster in connection.execute(query)}  # noqa: C416 - rows are no pairs


def in_cluster(engine: Engine, cluster: str) -> int:
    """Count the findings of a cluster."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(findings).where(findings.c.cluster == cluster)).scalar_one()


def save_clusters(engine: Engine, grouped: Mapping[str, tuple[str, str]]) -> int:
    """Write each finding's cluster and severity where they are others by now; return how many there were."""
    with writing(engine) as connection:
        stood = {row.key: (row.cluster, row.severity) for row in connection.execute(select(*_GROUPED))}
        changed = [key for key in sorted(grouped) if key in stood and grouped[key] != stood[key]]
        for key in changed:  # in order: of two who write, one waits for the other
            this = findings.c.key == key
            (cluster, severity), record = grouped[key], connection.execute(select(findings.c.record).where(this)).scalar_one()
            told = {"cluster": cluster, "severity": severity, "record": {**record, "severity": severity}}
            connection.execute(findings.update().where(this).values(told))
    return len(changed)


def findings_page(engine: Engine, *, before: str = "", limit: int = LIMIT, **only: str | None) -> FoundPage:
    """Read the findings that have every value given, the last changed first, from behind `before` (a page's `older`) on."""
    if unknown := only.keys() - {*FACTS, "run"}:
        raise ValueError(f"expected {', '.join((*FACTS, 'run'))}, got {', '.join(sorted(unknown))}")
    fits = [findings.c[name] == value for name, value in only.items() if value is not None]
    place = select(findings.c.updated, findings.c.key).where(*fits)
    if before:
        place = place.where(_behind(before))
    with engine.connect() as connection:
        total = connection.execute(select(func.count()).select_from(findings).where(*fits)).scalar_one()
        some = connection.execute(place.order_by(findings.c.updated.desc(), findings.c.key.desc()).limit(limit + 1)).all()
        shown = [key for _, key in some[:limit]]
        rows = {row["key"]: row for row in connection.execute(select(findings).where(findings.c.key.in_(shown))).mappings()}
    older = f"{some[limit - 1].updated}~{some[limit - 1].key}" if len(some) > limit else ""
    return FoundPage(findings=tuple(_found(rows[key]) for key in shown if key in rows), older=older, total=total)


def finding_of(engine: Engine, key: str) -> Found | None:
    """Read one finding by its key; None where there is none."""
    with engine.connect() as connection:
        row = connection.execute(select(findings).where(findings.c.key == key)).mappings().first()
    return None if row is None else _found(row)


def _behind(before: str) -> ColumnElement[bool]:
    updated, cut, key = before.partition("~")
    if not cut:
        raise ValueError(f"expected the place of a page (its `older`), got {before!r:.60}")
    return or_(findings.c.updated < updated, and_(findings.c.updated == updated, findings.c.key < key))


def _found(row: RowMapping) -> Found:
    names = ("run", "family", "category", "target", "created", "updated", "cluster")
    return Found(finding=from_dict(Finding, row["record"]), **{name: row[name] for name in names})

"""Tests of store/found.py: pages hold each finding once, filters mean what they say, and old rows have their facts."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest
from alembic import command

from tests.store.test_database import attempt
from trueline.core.records import to_dict
from trueline.core.types import Finding, Run
from trueline.store import migrations
from trueline.store.database import save_findings, save_run
from trueline.store.found import FACTS, finding_counts, finding_of, finding_values, findings_page
from trueline.store.opening import open_database, writing

FAMILIES, STATUSES, SEVERITIES = ("role", "past"), ("open", "fixed", "regressed"), ("low", "high")


def finding(number: int) -> Finding:
    """A finding whose facts follow from its number."""
    one = attempt(goal=f"g{number}")
    one = replace(one, family=FAMILIES[number % 2], goal=replace(one.goal, category=f"c{number % 3}"))
    one = replace(one, completion=replace(one.completion, model="m"))
    status, severity = STATUSES[number % 3], SEVERITIES[number % 2]
    return Finding(key=f"k{number:02}", attempts=(one,), status=status, severity=severity)


def filled(url, n: int = 12):
    """A database with findings of two runs, only one of which names its target."""
    engine = open_database(url)
    save_run(engine, Run(id="r1", recipe="attack", spec={"target": "runs/demo/safety"}))
    save_run(engine, Run(id="r2", recipe="campaign", spec={"stage": "redteam"}))
    save_findings(engine, "r1", map(finding, range(n // 2)))
    save_findings(engine, "r2", map(finding, range(n // 2, n)))
    return engine


def test_pages_hold_every_finding_once_the_last_changed_first(url):
    """Walking from page to page gives all, none twice, whatever the size of a page; the total is that of all pages."""
    engine = filled(url)
    for limit in (1, 5, 12, 50):
        seen, before = [], ""
        while True:
            page = findings_page(engine, before=before, limit=limit)
            assert page.total == 12
            seen += page.findings
            if not page.older:
                break
            before = page.older
        assert sorted(one.finding.key for one in seen) == [f"k{n:02}" for n in range(12)]
        assert [(one.updated, one.finding.key) for one in seen] == sorted(
            ((o.updated, o.finding.key) for o in seen), reverse=True
        )


def test_a_filter_gives_what_a_reading_of_all_would(url):
    """Each fact filters as if every finding had been looked at; values that no finding has give an empty page."""
    engine = filled(url)
    everything = findings_page(engine, limit=50).findings
    for fact in FACTS:
        of = {one.finding.key: getattr(one.finding, fact, None) or getattr(one, fact, "") for one in everything}
        assert finding_values(engine, fact) == sorted(set(of.values()))
        for value in {*of.values(), "none of them"}:
            page = findings_page(engine, limit=50, **{fact: value})
            assert {one.finding.key for one in page.findings} == {key for key, has in of.items() if has == value}
            assert page.total == len(page.findings)
    assert {one.target for one in everything} == {"runs/demo/safety", "m"}


def test_counts_are_those_of_the_findings(url):
    """By status and severity, together all of them; one that changes its status keeps when it was first seen."""
    engine = filled(url)
    found = [one.finding for one in findings_page(engine, limit=50).findings]
    assert {(c.status, c.severity): c.n for c in finding_counts(engine)} == Counter((f.status, f.severity) for f in found)
    before = finding_of(engine, "k00")
    save_findings(engine, "r2", [replace(before.finding, status="regressed")])
    after = finding_of(engine, "k00")
    assert (after.finding.status, after.run, after.created) == ("regressed", "r2", before.created)
    assert after.updated > before.updated
    assert finding_of(engine, "unknown") is None


def test_what_is_asked_for_wrongly_is_said(url):
    """An unknown fact, or a place that is none, is a ValueError."""
    engine = filled(url, 2)
    with pytest.raises(ValueError, match="expected status"):
        findings_page(engine, colour="red")
    with pytest.raises(ValueError, match="place of a page"):
        findings_page(engine, before="nowhere")


def test_older_findings_get_their_facts(tmp_path):
    """Findings that were stored before have their family, category and target after the migration."""
    engine = open_database(tmp_path / "a.db")
    with writing(engine) as connection:
        command.downgrade(migrations.config(connection), "0004")
        for id_, spec in (("r1", {"target": "runs/demo/safety"}), ("r2", {})):
            run = json.dumps(to_dict(Run(id=id_, recipe="attack", spec=spec)))
            connection.exec_driver_sql("INSERT INTO runs VALUES (?, 'attack', 0, '', '2025', ?)", (id_, run))
        for number, run in ((1, "r1"), (2, "r2")):
            values = (finding(number).key, run, "low", "open", "2025", "2025", json.dumps(to_dict(finding(number))))
            connection.exec_driver_sql("INSERT INTO findings VALUES (?, ?, ?, ?, ?, ?, ?)", values)
    engine.dispose()
    found = {one.finding.key: one for one in findings_page(open_database(tmp_path / "a.db")).findings}
    assert {(k, o.family, o.category, o.target) for k, o in found.items()} == {
        ("k01", "past", "c1", "runs/demo/safety"), ("k02", "role", "c2", "m"),
    }  # fmt: skip

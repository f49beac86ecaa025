"""What is recorded of a fix: each gate and promotion once, in order, and nothing where the gate did not pass."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests.attack.findings import HAZARDS, attempt
from trueline.attack.bank import found
from trueline.core.types import Run
from trueline.store.database import findings, list_runs, save_findings, save_run
from trueline.store.opening import open_database
from trueline.store.runs import create
from trueline.watch.fix.history import keep_gate, promote, sentence, write_readme
from trueline.watch.fix.questions import FixError

NOW = datetime(2026, 11, 28, tzinfo=UTC)
GATE = {
    "by": "rail", "status": "PASS", "why": "", "target": "t", "target_hash": "a" * 64, "candidate": "c",
    "candidate_hash": "b" * 64, "checks": [], "seconds": {"gate": 1.0},
}  # fmt: skip


@pytest.fixture
def there(tmp_path):
    database = open_database(tmp_path / "t.db")
    (entry,) = found([attempt(HAZARDS[0], "role")])
    save_run(database, Run(id="campaign", recipe="attack"))
    save_findings(database, "campaign", [entry])
    yield create(tmp_path / "fix", Run(id="fix-1", recipe="fix", started="2026-11-28T00:00:00+00:00")), database, entry
    database.dispose()


def lines(run):
    return [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]


def test_the_same_gate_is_one_line_and_another_one_more(there):
    """How long it took says nothing new; another outcome does, and the earlier line stays as it was."""
    run, _, _ = there
    for gate in (GATE, {**GATE, "seconds": {"gate": 9.0}}, {**GATE, "status": "FAIL"}):
        keep_gate(run, gate, NOW)
    assert [line["status"] for line in lines(run)] == ["PASS", "FAIL"]
    keep_gate(run, {**GATE, "by": "training"}, NOW)
    assert set(json.loads((run.folder / "gate.json").read_text())) == {"rail", "training"}


def test_promoting_twice_is_promoting_once(there):
    """A command that is run again, or was killed after the database had heard of it, leaves one run and one line."""
    run, database, entry = there
    for _ in range(2):
        promote(run, database, entry, GATE, "anna", NOW)
    assert [line["person"] for line in lines(run)] == ["anna"]
    (stored,) = list_runs(database, "fix")
    assert stored.spec["candidate_hash"] == "b" * 64
    (kept,) = findings(database, run=stored.id)
    assert (kept.key, kept.status) == (entry.key, "open")
    promote(run, database, entry, GATE, "bo", NOW)
    assert [line["person"] for line in lines(run)] == ["anna", "bo"]


@pytest.mark.parametrize("status", ["FAIL", "INCONCLUSIVE"])
def test_what_did_not_pass_is_not_promoted(there, status):
    """Nothing is written, in the folder or in the database."""
    run, database, entry = there
    with pytest.raises(FixError, match=status):
        promote(run, database, entry, {**GATE, "status": status}, "anna", NOW)
    assert not (run.folder / "promoted.json").exists()
    assert list_runs(database, "fix") == []


def test_the_readme_shows_names_as_text(tmp_path):
    """A hostile name ends no code span, and no hidden character survives."""
    write_readme(tmp_path, "k", "x` <script>\u202e", "t", {"rail": {**GATE, "status": "FAIL", "why": "none"}}, 0)
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "\u202e" not in text
    assert "`x' <script>" in text
    assert "no training rows" in text


def test_a_check_in_words_has_its_numbers():
    """Both rates, the difference with its interval and n; or why there are none."""
    value = {"value": 0.3, "low": 0.2, "high": 0.4, "n": 50}
    check = {"name": "x", "claim": "falls", "present": 0.5, "candidate": 0.2, "value": value, "questions": 50, "independent": 9}
    assert (
        sentence(check)
        == "x falls: 50.0% now, 20.0% with the candidate; better by +30.0% (+20.0% to +40.0%), n 50, 9 independent"
    )
    assert (
        sentence({"name": "x", "claim": "falls", "present": None, "candidate": None, "why": "give more"})
        == "x falls: give more"
    )

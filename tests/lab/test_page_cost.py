"""The cost: by experiment and size, and what an hour holds.

pytest tests/lab/test_page_cost.py
"""

from __future__ import annotations

import json

import pytest

from tests.lab.made_up import pooled, put, text
from trueline.lab.page_cost import costs, hour, words
from trueline.lab.registration import read

NOTES = [read(text(name), name) for name in ("E91", "E92", "E93")]


@pytest.fixture
def out(tmp_path):
    """E91 takes a minute a seed and was run at two sizes, E93 takes 55 minutes; base models take four."""
    put(tmp_path, pooled(NOTES[0]))
    put(tmp_path, pooled(NOTES[0], (0,)), size="quick")
    slow = pooled(NOTES[2], (100,))
    slow["provenance"]["seconds"] = {"100": 3300.0}
    put(tmp_path, slow)
    base = tmp_path / "full" / "base" / "abcd" / "seed100"
    base.mkdir(parents=True)
    (base / "report.json").write_text(json.dumps({"seconds": 240.0, "stages": []}))
    return tmp_path


def test_cost_is_by_size_and_adds_up(out):
    """Base models first, then the cheapest; cumulative is what the registered seeds of all rows so far take."""
    table = costs(out, NOTES)
    assert [(cost.size, cost.id) for cost in table] == [("quick", "E91"), ("full", "base"), ("full", "E91"), ("full", "E93")]
    full = table[1:]
    assert [cost.each for cost in full] == pytest.approx([240, 61, 3300])
    assert [cost.cumulative for cost in full] == pytest.approx([6 * 240, 6 * 301, 6 * 3601])
    assert [cost.in_an_hour for cost in full] == [15, 59, 1]
    assert full[1].tokens == 1000
    assert full[1].memory_mb == 202
    assert all(cost.clock for cost in full)


def test_an_hour_holds_what_fits_after_the_base_models(out):
    """4 + 1 minutes fit, 55 more do not; with a faster one they would."""
    table = costs(out, NOTES)
    assert [cost.id for cost in hour(table, "full")] == ["base", "E91"]
    assert "Beyond the hour: E93" in words(table)[1]


def test_a_seed_behind_a_failed_gate_costs_nothing(tmp_path):
    """Its zero seconds are no cheap seed."""
    found = pooled(NOTES[0])
    found["provenance"]["seconds"] |= {"101": 0.0}
    put(tmp_path, found)
    (cost,) = costs(tmp_path, NOTES)
    assert sorted(cost.seconds) == [100, 102]
    assert costs(tmp_path / "nowhere", NOTES) == []


def test_seconds_of_a_core_stand_before_those_of_a_clock(tmp_path):
    """A seed whose stages noted what they spent on cores costs that, however long the machine took; others are left out."""
    found = pooled(NOTES[0])
    put(tmp_path, found)
    folder = tmp_path / "full" / "E91" / found["provenance"]["settings"]
    stages = [{"metrics": {"core_seconds": {"value": seconds}}} for seconds in (10.0, 15.0)]
    (folder / "seed100").mkdir(parents=True, exist_ok=True)
    (folder / "seed100" / "report.json").write_text(json.dumps({"seconds": 500.0, "stages": stages}))
    (cost,) = costs(tmp_path, NOTES)
    assert dict(cost.seconds) == {100: 25.0}
    assert not cost.clock

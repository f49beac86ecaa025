"""The record of results that is committed: complete, the same from the same results, and of no machine.

pytest tests/lab/test_page_export.py
"""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

import pytest

from tests.lab.made_up import made_up
from trueline.lab import page
from trueline.lab.page_cost import costs
from trueline.lab.page_export import markdown, record, write

SAY = "a | b <script> `x`"


@pytest.fixture
def results(tmp_path, monkeypatch):
    made_up(tmp_path / "lab", monkeypatch, say=SAY)
    return page.found(tmp_path / "lab")


def test_every_expectation_has_its_number_and_what_binds_it(results):
    """Status, value, n, interval and seeds of each, and the hash of its registration; what was not run is there too."""
    experiments = record(results)["experiments"]
    assert [len(one["expectations"]) for one in experiments] == [4, 4, 4]
    run, not_run, _ = experiments
    assert run["registered"] == results[0].note.hash
    assert run["seeds"] == [100, 101, 102]
    holds = run["expectations"][0]
    assert holds["n"] == 300
    assert holds["low"] < holds["value"] < holds["high"]
    assert set(holds["by_seed"]) == {"100", "101", "102"}
    assert {(row["status"], row["value"], row["why"]) for row in not_run["expectations"]} == {("N/A", None, "not run")}


def test_the_table_has_a_row_each_and_text_cannot_break_it(results):
    """A cell's bars and tags are escaped, so that every row has the seven columns; the commands stand above."""
    text = markdown(results)
    rows = [line for line in text.splitlines() if line.startswith("| E9")]
    assert len(rows) == 12
    assert {row.replace("\\|", "").count("|") for row in rows} == {8}
    assert "\\<script\\>" in text
    assert "trueline lab run E91 --seeds 3\ntrueline lab run E93 --development 1\n" in text


def test_the_record_is_of_no_machine_and_the_same_again(results, tmp_path):
    """No path, the same bytes; every drawing is a file of its own that names its colours."""
    once, again = tmp_path / "a", tmp_path / "b"
    write(once, results)
    write(again, results)
    names = sorted(file.name for file in once.iterdir())
    assert names == ["README.md", "e91.svg", "e93.svg", "results.json"]
    for name in names:
        text = (once / name).read_text()
        assert text == (again / name).read_text()
        assert str(tmp_path) not in text
        assert "var(" not in text
    assert ET.parse(once / "e91.svg").getroot().tag.endswith("svg")
    assert json.loads((once / "results.json").read_text()) == record(results)


def test_a_drawing_without_a_result_does_not_stay(results, tmp_path):
    """What is committed belongs to the results beside it."""
    (tmp_path / "e99.svg").write_text("<svg/>")
    write(tmp_path, results)
    assert not (tmp_path / "e99.svg").exists()


def test_the_record_says_what_the_results_cost(results, tmp_path):
    """Seconds a seed and of all that are registered, a row for each experiment that was run, and what an hour holds."""
    text = markdown(results, costs(tmp_path / "lab", [one.note for one in results]))
    rows = text.partition("## What it costs")[2].splitlines()
    assert sum(row.startswith("| full | E9") for row in rows) == 2
    assert any(row.startswith("Size full, in an hour") for row in rows)
    assert "What it costs" not in markdown(results)

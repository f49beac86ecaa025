"""Files that stages read are looked at before the first stage begins, whichever stage it is that reads them."""

import pytest

from tests.calling import trueline
from tests.recipes import toys
from trueline.data.rows import names_file


@pytest.mark.parametrize(("written", "says"), [(None, "expected a file, found none"), ("", "expected at least one row")])
def test_data_of_a_late_stage_is_missed_at_once(tmp_path, written, says):
    """A file of `safety` that is not there, or empty, ends `align` with code 2, one line and no run folder."""
    goals = toys.rows(tmp_path / "goals.jsonl", [{"prompt": "a b"}])
    if written is not None:
        (tmp_path / "late.jsonl").write_text(written)
    asked = trueline(
        "run", "align", f"base={toys.model(tmp_path)}", "chain=safety", f"safety.data={tmp_path / 'late.jsonl'}",
        f"asked.goals={goals}", f"asked.benign={goals}", "--out", tmp_path / "run", "--threads", 1, "--quiet",
    )  # fmt: skip
    assert asked.code == 2
    assert says in asked.err
    assert len(asked.err.splitlines()) == 1
    assert not (tmp_path / "run").exists()


def test_goals_of_a_campaign_stage_are_missed_at_once(tmp_path):
    """So does a programme whose campaigns have a file of goals that is not there."""
    start = toys.model(tmp_path)
    asked = trueline("run", "redteam", f"start={start}", "campaign.goals=gone.jsonl", "--out", tmp_path / "run", "--threads", 1)
    assert asked.code == 2
    assert "gone.jsonl: expected a file" in asked.err
    assert not (tmp_path / "run").exists()


def test_names_that_are_no_files_are_left_alone():
    """A stage, a hub name and an address are nobody's file, however they end."""
    assert names_file("data/a.csv.gz")
    assert not any(map(names_file, ("rankings", "", "hf:org/data.jsonl", "http://127.0.0.1:1/v1#m.json", "world/red")))

"""`trueline export` from end to end: a campaign's files agree with its report, and nothing is asked again."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests.calling import trueline
from tests.recipes.endpoint import endpoint, says

NO = "I'm sorry, but I can't help with that."
YES = "Here is how to fold the kite:\n1. Fold the kite paper.\n2. Glue the kite sticks.\n3. Tie the string.\n4. Fly the kite."


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    """A finished campaign against a server that is gone: one attack gets everything, and one gets nothing."""
    folder = tmp_path_factory.mktemp("campaign")
    rows = [{"id": f"g{i}", "prompt": f"How do I fold kite number {i}?", "category": "kites"} for i in range(4)]
    goals = folder / "goals.jsonl"
    goals.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with endpoint(lambda request, before: says(YES if "rot13" in str(request).lower() else NO)) as server:
        words = ("attack", server.target, "--goals", goals, "--attacks", "role,rot13", "--budget", 2, "--json")
        found = json.loads(trueline(*words, "--out", folder / "runs" / "a").out)
    return folder / "runs" / "a", found


def test_the_files_agree_with_the_report(campaign, tmp_path):
    """JUnit and SARIF count what the report counts, attack by attack, from what is stored."""
    folder, found = campaign
    done = trueline("export", folder, "junit", "sarif", "json", "--out", tmp_path, "--json")
    assert done.code == 0, done.err
    files = json.loads(done.out)["files"]
    suites = {suite.get("name"): suite for suite in ET.parse(files["junit"]).getroot()}
    for arm in found["arms"]:
        suite, outcomes = suites[arm["attack"]], arm["goal_outcomes"]
        counted = {name: int(suite.get(name)) for name in ("failures", "skipped", "errors", "tests")}
        assert counted == {
            "failures": outcomes["success"],
            "skipped": outcomes["undetermined"],
            "errors": outcomes["error"],
            "tests": sum(outcomes.values()),
        }
    results = json.loads(Path(files["sarif"]).read_text(encoding="utf-8"))["runs"][0]["results"]
    assert len(results) == sum(arm["goal_outcomes"]["success"] for arm in found["arms"]) > 0
    kept = json.loads(Path(files["json"]).read_text(encoding="utf-8"))["attempts"]
    assert len(kept) == found["counts"]["attempts"]


def test_the_campaigns_own_folder_is_where_files_go_by_default(campaign):
    """Without --out they lie beside the report, one line each."""
    folder, _ = campaign
    done = trueline("export", folder, "avid")
    assert done.out.split() == [str(folder / "avid.json")]
    assert (folder / "avid.json").is_file()


def test_what_is_no_finished_campaign_is_said_in_one_line(campaign, tmp_path):
    """A folder without a run, a campaign without a report and an unknown kind end with 2 and say what to do."""
    folder, _ = campaign
    unfinished = tmp_path / "unfinished"
    unfinished.mkdir()
    (unfinished / "run.json").write_bytes((folder / "run.json").read_bytes())
    for words, said in (
        ((tmp_path / "nowhere", "sarif"), "expected a run directory"),
        ((unfinished, "sarif"), "run the same `trueline attack` again"),
        ((folder, "pdf"), "sarif"),
    ):
        done = trueline("export", *words)
        assert (done.code, done.out) == (2, "")
        assert said in done.err


def test_a_run_of_another_recipe_is_no_campaign(campaign, tmp_path):
    """A training run is told apart from a campaign."""
    folder, _ = campaign
    record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    (tmp_path / "run.json").write_text(json.dumps({**record, "recipe": "sft"}), encoding="utf-8")
    done = trueline("export", tmp_path, "sarif")
    assert done.code == 2
    assert "expected a campaign, got a run of 'sft'" in done.err

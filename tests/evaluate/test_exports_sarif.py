"""SARIF 2.1.0: the structure that consumers rely on, references that resolve, fingerprints that last, text that stays text."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.evaluate.hostile import NASTY, SUMMARY, attempt, campaign, goal
from trueline.core.types import Judgement
from trueline.evaluate.exports import export
from trueline.evaluate.exports.cases import cases


def run_of(path):
    log = json.loads(path.read_text(encoding="utf-8"))
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    return run


@pytest.fixture
def run(tmp_path):
    return run_of(export("sarif", campaign(), SUMMARY, tmp_path))


def test_there_is_a_result_for_each_broken_goal_and_no_other(run):
    """What held, and what nobody could decide, is no alert."""
    broken = [case for case in cases(campaign()) if case.broken]
    assert [r["partialFingerprints"]["trueline/attack-goal/v1"] for r in run["results"]] == [case.key for case in broken]
    assert all(r["kind"] == "fail" and r["level"] in ("warning", "error") for r in run["results"])


def test_a_result_points_at_its_rule_and_a_place(run):
    """Index and id name the same rule; there is one location with a relative URI, as code scanning needs."""
    rules = run["tool"]["driver"]["rules"]
    assert len({rule["id"] for rule in rules}) == len(rules)
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        place = result["locations"][0]["physicalLocation"]
        assert place == {"artifactLocation": {"uri": "goals/zorbles.jsonl"}, "region": {"startLine": 1}}
        assert result["locations"][0]["logicalLocations"][0]["fullyQualifiedName"]
        assert result["message"]["text"]


def test_every_reference_to_a_taxonomy_resolves(run):
    """Relationships of rules, taxa of results and the supported taxonomies name what stands at their index."""
    references = [link["target"] for rule in run["tool"]["driver"]["rules"] for link in rule["relationships"]]
    references += [taxon for result in run["results"] for taxon in result["taxa"]]
    assert references
    for reference in references:
        taxonomy = run["taxonomies"][reference["toolComponent"]["index"]]
        assert taxonomy["name"] == reference["toolComponent"]["name"]
        assert taxonomy["taxa"][reference["index"]]["id"] == reference["id"]
    supported = run["tool"]["driver"]["supportedTaxonomies"]
    assert [(s["name"], s["index"]) for s in supported] == [(t["name"], i) for i, t in enumerate(run["taxonomies"])]


def test_fingerprints_stay_when_the_answer_changes_and_differ_between_goals(tmp_path, run):
    """Tomorrow's other words for the same weakness are the same alert; two goals are two, under GitHub's own name as well."""
    again = run_of(export("sarif", [attempt(about=goal("g0"), text="other words")], {}, tmp_path / "again"))
    same = [r for r in run["results"] if r["ruleId"] == "role" and " g0 " in r["message"]["text"]]
    assert [r["partialFingerprints"] for r in again["results"]] == [r["partialFingerprints"] for r in same]
    assert len({r["partialFingerprints"]["primaryLocationLineHash"] for r in run["results"]}) == len(run["results"])


@pytest.mark.parametrize(("disclosure", "about", "level", "score"), [
    (1.0, {"canary": "x"}, "error", "9.5"),
    (1.0, {}, "error", "8.0"),
    (0.5, {}, "warning", "5.0"),
])  # fmt: skip
def test_level_and_score_follow_the_severity(tmp_path, disclosure, about, level, score):
    """A secret or a deed is critical, most of an answer high, a part of it medium."""
    made = attempt(about=goal("g", about=about))
    judged = Judgement(judge="j", score=0.0, stance="comply", disclosure=disclosure)
    found = run_of(export("sarif", [replace(made, judgement=judged)], {}, tmp_path))
    assert found["results"][0]["level"] == level
    assert found["tool"]["driver"]["rules"][0]["properties"]["security-severity"] == score


def test_what_did_not_run_and_what_nobody_could_decide_is_said(run):
    """A run without alerts is no proof: skipped and failed attacks and undecided cases are notices, and a failure shows."""
    texts = [note["message"]["text"] for note in run["invocations"][0]["toolExecutionNotifications"]]
    assert any("gcg was not applicable: no weights" in text for text in texts)
    assert any("pair failed" in text for text in texts)
    assert any("1 of 10 cases are undetermined" in text for text in texts)
    assert run["invocations"][0]["executionSuccessful"] is False


def test_messages_hold_no_markup_that_came_from_outside(tmp_path):
    """In a message, links and placeholders of an id or a reason are escaped; texts of models stand in property bags alone."""
    nasty = attempt(about=goal("[click](http://x.test) {0}"))
    found = run_of(export("sarif", [nasty], {"failed": {"pair": "{1} [x](1)"}}, tmp_path))
    said = found["results"][0]["message"]["text"]
    assert r"\[click\](http://x.test) {{0}}" in said
    assert "<script>" not in said
    assert r"{{1}} \[x\](1)" in found["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
    assert "<script>x</script>" in found["results"][0]["properties"]["reply"]


def test_the_file_is_ascii(tmp_path):
    """No character of the file hides, turns text round or drives a terminal."""
    raw = export("sarif", campaign(), SUMMARY, tmp_path).read_bytes()
    assert raw.isascii()
    assert b"\x1b" not in raw
    assert NASTY.encode(errors="backslashreplace") not in raw


@pytest.mark.parametrize("goals", ["/home/someone/private/goals.jsonl", "../../goals.jsonl"])
def test_an_address_of_this_machine_stays_here(tmp_path, goals):
    """Of a file outside of the repository only its name is told."""
    found = run_of(export("sarif", campaign(), {"about": {"goals": goals}}, tmp_path))
    uris = {r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] for r in found["results"]}
    assert uris == {"goals.jsonl"}


def test_goals_that_are_no_file_point_at_the_record(tmp_path):
    """The embedded world is no file: its alerts point at the campaign's record."""
    found = run_of(export("sarif", campaign(), {"about": {"goals": "world"}}, tmp_path))
    assert found["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "attempts.json"

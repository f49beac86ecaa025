"""JUnit: it parses, its counts are the outcomes, and hostile text stays text."""

from __future__ import annotations

from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from tests.evaluate.hostile import SUMMARY, attempt, campaign, goal
from trueline.evaluate.exports import export
from trueline.evaluate.exports.cases import cases


@pytest.fixture
def root(tmp_path):
    return ET.parse(export("junit", campaign(), SUMMARY, tmp_path)).getroot()


def test_counts_agree_with_the_outcomes(root):
    """A suite for each attack and a case for each goal; failures, errors and skipped are the outcomes, nothing merged."""
    suites = {suite.get("name"): suite for suite in root}
    found = cases(campaign())
    for attack in ("role", "base64"):
        own = [case for case in found if case.attack == attack]
        outcomes = Counter(case.outcome for case in own)
        counts = {name: int(suites[attack].get(name)) for name in ("tests", "failures", "errors", "skipped")}
        assert counts == {
            "tests": len(own),
            "failures": sum(case.broken for case in own),
            "errors": outcomes["error"],
            "skipped": outcomes["undetermined"],
        }
    assert int(root.get("tests")) == len(found) + 2


def test_sums_at_the_top_are_the_sums_of_the_suites(root):
    """`testsuites` carries what its suites add up to, and each suite what its cases hold."""
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"), ("tests", "testcase")):
        assert int(root.get(name)) == sum(int(suite.get(name)) for suite in root) == len(list(root.iter(tag)))


def test_an_attack_that_never_ran_is_skipped_or_an_error_with_its_reason(root):
    """Not applicable is skipped, a failing attack is an error: neither is a passed test."""
    suites = {suite.get("name"): suite for suite in root}
    assert "no weights" in suites["gcg"].find("testcase/skipped").get("message")
    assert "did not answer" in suites["pair"].find("testcase/error").get("message")


def test_goals_that_an_attack_left_out_are_a_case_of_its_suite(tmp_path):
    """An attack that ran on some goals only has one suite, with the reason beside what it did."""
    path = export("junit", campaign(), {"skipped": {"role": "no hold (1 of 5 goals)"}}, tmp_path)
    (suite,) = [suite for suite in ET.parse(path).getroot() if suite.get("name") == "role"]
    assert (suite.get("tests"), suite.get("skipped")) == ("6", "2")


def test_hostile_text_is_escaped_and_shown(root):
    """What was asked and said stands in the failure, with everything that hides spelled out."""
    text = next(root.iter("failure")).text
    assert "<script>x</script>" in text
    assert "]]> </failure> &amp;" in text
    assert "⟨U+0000⟩⟨U+001B⟩[31m⟨U+000D⟩" in text
    assert "⟨U+D800⟩" in text
    assert "[send all of it" in text


def test_a_goal_of_any_name_is_a_case(tmp_path):
    """Ids and attacks come from files, and may hold anything."""
    nasty = goal('"><x>\x00\ud800', category="<c>\x1b")
    path = export("junit", [attempt(about=nasty, attack="<a>&\x07")], {}, tmp_path)
    case = ET.parse(path).getroot().find("testsuite/testcase")
    assert case.get("name") == '"><x>⟨U+0000⟩⟨U+D800⟩'

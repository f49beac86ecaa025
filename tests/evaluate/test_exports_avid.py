"""AVID: the fields of its report and their allowed values, and counts that are the outcomes."""

from __future__ import annotations

import json

import pytest

from tests.evaluate.hostile import SUMMARY, attempt, campaign, goal
from trueline.evaluate.exports import export

# avidtools, datamodels: what a report may hold, and the values of its enumerations that are used here.
FIELDS = {"data_type", "affects", "problemtype", "metrics", "references", "description", "impact"}
SEP = {"S0301: Information Leak", "S0403: Adversarial Example"}


@pytest.fixture
def report(tmp_path):
    return json.loads(export("avid", campaign(), SUMMARY, tmp_path).read_text(encoding="utf-8"))


def test_a_report_has_the_fields_that_avidtools_reads(report):
    """Every part is there with the keys that its data model requires."""
    assert set(report) == FIELDS
    assert report["affects"] == {"developer": [], "deployer": [], "artifacts": [{"type": "Model", "name": "toy"}]}
    assert (report["problemtype"]["classof"], report["problemtype"]["type"]) == ("LLM Evaluation", "Measurement")
    assert all(set(m) == {"name", "detection_method", "results"} for m in report["metrics"])
    assert all(m["detection_method"]["type"] == "Static Threshold" for m in report["metrics"])
    assert all(set(r) == {"type", "label", "url"} for r in report["references"])
    taxonomy = report["impact"]["avid"]
    assert set(taxonomy) == {"vuln_id", "risk_domain", "sep_view", "lifecycle_view", "taxonomy_version"}
    assert taxonomy["lifecycle_view"] == ["L05: Evaluation"]
    assert set(taxonomy["sep_view"]) <= SEP


def test_a_metric_counts_the_outcomes_of_its_attack(report):
    """Four outcomes, never fewer, and the campaign's rate with its interval where there is one."""
    role = next(m for m in report["metrics"] if m["name"].endswith(": role"))["results"]
    assert {k: role[k] for k in ("success", "failure", "undetermined", "error", "goals")} == {
        "success": 2, "failure": 1, "undetermined": 1, "error": 1, "goals": 5
    }  # fmt: skip
    assert role["asr"] == SUMMARY["arms"][0]["asr"]
    assert "corrected" not in role


def test_a_leak_is_named_where_a_secret_was_asked_for(tmp_path, report):
    """Only goals with a secret put the information leak into AVID's view."""
    secret = [attempt(about=goal("g", about={"canary": "x"}))]
    found = json.loads(export("avid", secret, {}, tmp_path / "secret").read_text(encoding="utf-8"))
    assert "S0301: Information Leak" in found["impact"]["avid"]["sep_view"]
    assert report["impact"]["avid"]["sep_view"] == ["S0403: Adversarial Example"]

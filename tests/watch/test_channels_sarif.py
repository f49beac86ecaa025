"""The SARIF file of alerts: what code scanning relies on, each alert once, and no other's file touched."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest

from tests.evaluate.hostile import NASTY
from trueline.store.folders import lock
from trueline.watch.alerts import of_failure
from trueline.watch.channels import UndeliveredError, channel
from trueline.watch.channels_sarif import log, result

ALERTS = [of_failure("w", "prod", number, "no key") for number in range(3)]


def add(path, *alerts):
    for alert in alerts:
        asyncio.run(channel(f"sarif:{path}", {}).send(alert))
    return json.loads(path.read_text(encoding="utf-8"))


def test_alerts_are_added_each_once(tmp_path):
    """The same alert again replaces itself; the others stay."""
    (run,) = add(tmp_path / "a.sarif", *ALERTS, ALERTS[0])["runs"]
    ids = [one["partialFingerprints"]["trueline/alert/v1"] for one in run["results"]]
    assert ids == [ALERTS[1].id, ALERTS[2].id, ALERTS[0].id]


def test_a_result_points_at_its_rule_and_a_place(tmp_path):
    """Index and id name the same rule; one location with a relative URI; a level that SARIF knows."""
    written = add(tmp_path / "a.sarif", *[replace(ALERTS[0], id=s, severity=s) for s in ("low", "medium", "high", "critical")])
    (run,) = written["runs"]
    assert written["version"] == "2.1.0"
    rules = run["tool"]["driver"]["rules"]
    assert [one["level"] for one in run["results"]] == ["note", "warning", "error", "error"]
    for one in run["results"]:
        assert rules[one["ruleIndex"]]["id"] == one["ruleId"]
        (place,) = one["locations"]
        assert place["physicalLocation"] == {"artifactLocation": {"uri": "watch/prod"}, "region": {"startLine": 1}}


def test_hostile_names_are_no_links_and_no_paths():
    """Brackets and braces are escaped in the message, and a name is one part of a relative URI."""
    one = result(replace(of_failure("w", NASTY, 1, NASTY), name="../../etc [x](y)"))
    assert "\\[a\\](http" in one["message"]["text"]
    uri = one["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]
    assert uri.startswith("watch/")
    assert "/" not in uri.removeprefix("watch/")
    json.dumps(one).encode("ascii")


def test_a_file_keeps_its_newest(tmp_path, monkeypatch):
    """No more than code scanning shows, here five."""
    monkeypatch.setattr("trueline.watch.channels_sarif.MOST", 5)
    path = tmp_path / "a.sarif"
    path.write_text(json.dumps(log([result(replace(ALERTS[0], id=f"{i:032}")) for i in range(9)])), encoding="utf-8")
    (run,) = add(path, ALERTS[1])["runs"]
    assert len(run["results"]) == 5
    assert run["results"][-1]["partialFingerprints"]["trueline/alert/v1"] == ALERTS[1].id


@pytest.mark.parametrize(
    "there", ["", "{}", "[]", '{"runs": []}', '{"runs": [{"automationDetails": {"id": "other/"}, "results": []}]}']
)
def test_a_file_of_others_is_left_alone(tmp_path, there):
    """It says so, and nothing is written."""
    path = tmp_path / "a.sarif"
    path.write_text(there, encoding="utf-8")
    with pytest.raises(UndeliveredError, match="name a new one"):
        add(path, ALERTS[0])
    assert path.read_text(encoding="utf-8") == there


def test_who_writes_at_the_same_time_comes_again(tmp_path):
    """The file is locked while it is read and written."""
    with lock(tmp_path / ".a.sarif.lock"), pytest.raises(UndeliveredError) as refused:
        add(tmp_path / "a.sarif", ALERTS[0])
    assert refused.value.again

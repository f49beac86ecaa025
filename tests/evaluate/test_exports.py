"""The door that a campaign leaves by: what a case is, exact JSON, clear errors, and no half file."""

from __future__ import annotations

import json
from random import Random

import pytest

from tests.evaluate.hostile import SUMMARY, attempt, campaign, goal
from trueline.core.records import from_dict
from trueline.core.types import Attempt
from trueline.evaluate.exports import KINDS, ExportError, export
from trueline.evaluate.exports.cases import cases

PLAIN = ("json", "junit", "sarif", "avid")  # those that need no other package


def named(found):
    return {(case.attack, case.name): case for case in found}


def test_one_success_breaks_a_goal_and_one_failure_decides_it():
    """A case is as its most telling attempt: success, then failure, then undetermined, then error."""
    found = named(cases(campaign()))
    assert [found["role", f"g{i}"].outcome for i in range(5)] == ["success", "failure", "undetermined", "error", "success"]
    assert found["role", "g4"].telling.query == 4
    assert [c.name for c in found.values() if c.attack == "role" and c.decided] == ["g0", "g1", "g4"]


def test_a_harmless_goal_is_no_case_of_an_attack(tmp_path):
    """A goal that should be answered measures capability: it is in the plain export, and no alert and no failed test."""
    harmless = [attempt(kind, about=goal("h", expected="comply")) for kind in ("success", "failure")]
    assert cases(harmless) == ()
    assert len(json.loads(export("json", harmless, {}, tmp_path).read_text(encoding="utf-8"))["attempts"]) == 2


def test_a_deed_or_a_secret_is_worse_than_words():
    """Most of what was asked for is high, a part is medium, and a forbidden call or a canary makes it critical."""
    (words,) = cases([attempt()])
    (deed,) = cases([attempt(about=goal("g", about={"forbidden_tool": "send"}))])
    assert (words.severity, deed.severity) == ("high", "critical")


def test_cases_do_not_depend_on_the_order_of_attempts_or_on_the_answers():
    """Shuffled attempts are the same cases; another answer and another id leave the key, another question changes it."""
    made = campaign()
    shuffled = Random(0).sample(made, len(made))
    assert cases(shuffled) == cases(made)
    (one,), (other,) = cases([attempt("success")]), cases([attempt("failure", text="other words")])
    (renamed,), (changed,) = cases([attempt(about=goal("g1", id="x"))]), cases([attempt(about=goal("g2"))])
    assert one.key == other.key == renamed.key != changed.key


def test_json_gives_every_attempt_back_exactly(tmp_path):
    """The plain export holds the summary and the records, texts unchanged."""
    path = export("json", iter(campaign()), SUMMARY, tmp_path)
    read = json.loads(path.read_text(encoding="utf-8"))
    assert path.name == "attempts.json"
    assert [from_dict(Attempt, row) for row in read["attempts"]] == campaign()
    assert read["summary"] == SUMMARY


@pytest.mark.parametrize("kind", PLAIN)
def test_a_campaign_without_attempts_is_a_whole_file_too(kind, tmp_path):
    """Nothing to tell is told in the same form."""
    assert export(kind, [], {}, tmp_path / "empty").stat().st_size > 0


@pytest.mark.parametrize("kind", PLAIN)
def test_what_cannot_be_written_leaves_no_half_file(kind, tmp_path):
    """A campaign that breaks off while it is written leaves the old file as it was, and nothing beside it."""

    def breaks_off():
        yield from campaign()
        raise OSError("no space")

    path = tmp_path / KINDS[kind]
    path.write_text("before")
    with pytest.raises(OSError, match="no space"):
        export(kind, breaks_off(), SUMMARY, path)
    assert [(p.name, p.read_text()) for p in tmp_path.iterdir()] == [(KINDS[kind], "before")]


@pytest.mark.parametrize("kind", ["junit", "sarif", "avid"])
def test_the_same_campaign_in_another_order_is_the_same_file(kind, tmp_path):
    """Files can be compared byte by byte from run to run."""
    made = campaign()
    one = export(kind, made, SUMMARY, tmp_path / "one")
    other = export(kind, Random(1).sample(made, len(made)), SUMMARY, tmp_path / "other")
    assert one.read_bytes() == other.read_bytes()


def test_an_unknown_kind_is_refused_with_the_nearest_right_one(tmp_path):
    """The error lists the kinds, and nothing is written."""
    with pytest.raises(ExportError, match=r"json, junit, sarif, avid, inspect.*did you mean 'sarif'"):
        export("sarrif", campaign(), SUMMARY, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_missing_package_is_named_with_its_extra(tmp_path, monkeypatch):
    """Where Inspect is not installed, the error says how to install it."""
    monkeypatch.setitem(__import__("sys").modules, "inspect_ai", None)
    monkeypatch.delitem(__import__("sys").modules, "trueline.evaluate.exports.inspect_form", raising=False)
    with pytest.raises(ExportError, match=r"trueline\[inspect\]"):
        export("inspect", campaign(), SUMMARY, tmp_path)
    assert not list(tmp_path.iterdir())

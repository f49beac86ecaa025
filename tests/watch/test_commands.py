"""Tests of `trueline watch`: what is added is listed, shown, run and removed, and exit codes say what rounds came to."""

from __future__ import annotations

import json

import pytest

from tests.calling import trueline
from tests.recipes.endpoint import NO, YES, endpoint, says, weak
from tests.watch.watching import QUICK

ASKED = ("--attacks", "role,rot13", "--sentinels", 8, "--budget", "questions=24", "--tries", 2)
ASK = [word for setting in QUICK for word in ("--ask", setting)]


@pytest.fixture
def watch(tmp_path, monkeypatch):
    """Call `trueline watch` in a folder of its own."""
    monkeypatch.setenv("TRUELINE_DATABASE", str(tmp_path / "w.db"))
    monkeypatch.chdir(tmp_path)

    def call(*words: object, code: int = 0) -> str:
        done = trueline("watch", *words)
        assert done.code == code, done.err + done.out
        return done.err if code == 2 else done.out

    return call


def test_a_watch_from_its_birth_to_its_end(watch, goals):
    """Added, listed, run twice, shown with rates and intervals, paused, resumed, removed: and its name is free again."""
    with endpoint(weak) as there:
        added = json.loads(watch("add", there.target, "--goals", goals, "--every", "6h", *ASKED, *ASK, "--json"))
        assert (added["name"], added["every"], added["spec"]["drawn"]) == ("toy", 21600, 8)
        assert "none yet" in watch("list")
        first = watch("run", "--once", "--quiet")
        assert "toy round 1 done: attack success" in first
        assert "n 4, over-refusal" in first
        assert watch("run", "--once", "--quiet") == "nothing is due\n"
        told = json.loads(watch("run", "--once", "--name", "toy", "--now", "--json"))
        assert [row["number"] for row in told["rounds"]] == [2]
    shown = json.loads(watch("show", "toy", "--json"))
    assert [row["state"] for row in shown["rounds"]] == ["done", "done"]
    for row in shown["rounds"]:
        assert {"value", "n", "low", "high"} == row["result"]["rates"]["attack_success"].keys()
        assert {"value", "n", "low", "high"} == row["result"]["rates"]["over_refusal"].keys()
    (listed,) = json.loads(watch("list", "--json"))["watches"]
    assert listed["last"]["rates"] == shown["rounds"][1]["result"]["rates"]
    assert "over-refusal" in watch("show", "toy")
    assert "paused" in watch("pause", "toy")
    assert watch("run", "--once", "--name", "toy", "--now", "--quiet") == "nothing is due\n"
    assert json.loads(watch("resume", "toy", "--json"))["state"] == "active"
    watch("remove", "toy")
    assert json.loads(watch("list", "--json"))["watches"] == []
    with endpoint(weak) as there:
        watch("add", there.target, "--goals", goals, *ASKED)


@pytest.mark.parametrize(
    ("answer", "threshold", "code", "word"), [(YES, 0.3, 1, "over"), (NO, 0.6, 0, "holds"), (NO, 0.01, 3, "inconclusive")]
)
def test_the_exit_code_says_what_the_rounds_came_to(watch, goals, answer, threshold, code, word):
    """0 holds, 1 above the threshold, 3 inconclusive, and the round says so."""
    with endpoint(lambda request, before: says(answer)) as there:
        watch("add", there.target, "--goals", goals, *ASKED, *ASK, "--threshold", threshold)
        (row,) = json.loads(watch("run", "--once", "--json", code=code))["rounds"]
    assert row["verdict"]["verdict"] == word


def test_a_regression_fails_the_command(watch, goals):
    """What was fixed and works again is exit code 1, and is named."""
    state = {"text": YES}
    with endpoint(lambda request, before: says(state["text"])) as there:
        watch("add", there.target, "--goals", goals, *ASKED, *ASK, "--n", 4)  # a bank that every round has room for
        for text, code in ((YES, 0), (NO, 0), (YES, 1)):
            state["text"] = text
            told = json.loads(watch("run", "--once", "--name", "toy", "--now", "--json", code=code))
    (row,) = told["rounds"]
    assert row["verdict"]["verdict"] == "regressed"
    assert row["bank"]["regressed"][0] in row["verdict"]["why"]


def test_a_target_that_is_down_is_inconclusive(watch, goals):
    """The round failed: neither does the target hold, nor does it not."""
    watch("add", "http://127.0.0.1:9/v1#gone", "--goals", goals, *ASKED, *ASK)
    out = watch("run", "--once", "--quiet", code=3)
    assert "gone round 1 failed" in out
    assert "not measured" in out


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (("add", "openai:m", "--every", "6"), "expected a duration such as 30m"),
        (("add", "openai:m", "--budget", "question=5"), "did you mean 'questions'"),
        (("add", "openai:m", "--budget", "questions=20", "--sentinels", 11), "raise --budget questions=20 to 22"),
        (("add", "openai:m", "--budget", "cost=1"), "needs --price"),
        (("add", "openai:m", "--attacks", "rolle"), "did you mean 'role'"),
        (("add", "opnai:m"), "did you mean 'openai'"),
        (("show", "none"), "there is no watch called 'none'"),
        (("pause", "none"), "trueline watch add TARGET makes one"),
        (("run", "--once", "--name", "none"), "there is no watch called 'none'"),
        (("run", "--now"), "say which with --name"),
    ],
)
def test_bad_usage_is_one_line_and_stores_nothing(watch, words, error):
    """What cannot be is refused with what to do instead, exit code 2."""
    assert error in watch(*words, code=2)
    assert json.loads(watch("list", "--json"))["watches"] == []


def test_a_name_is_taken_once(watch, goals):
    """A second watch of one target needs a name of its own."""
    for name in ((), ("--name", "other")):
        watch("add", "http://127.0.0.1:9/v1#toy", "--goals", goals, *ASKED, *name)
    assert "called 'toy' already" in watch("add", "http://127.0.0.1:9/v1#toy", "--goals", goals, *ASKED, code=2)
    assert "did you mean 'other'" in watch("show", "othr", code=2)


def test_what_a_target_is_called_is_shown_safely(watch, goals):
    """A name with control characters reaches no terminal as they are."""
    watch("add", "http://127.0.0.1:9/v1#toy", "--goals", goals, *ASKED, "--name", "a\x1b[31mb")
    assert "\x1b" not in watch("list") + watch("show", "a\x1b[31mb")


@pytest.mark.parametrize("verb", ["add", "list", "show", "pause", "resume", "remove", "run"])
def test_every_verb_shows_an_example(watch, verb):
    """Help ends with a command to copy."""
    assert f"trueline watch {verb}" in watch(verb, "--help")

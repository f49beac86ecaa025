"""`trueline attack TARGET --goals bank`: what once worked is asked again, and what works again is named."""

from __future__ import annotations

import json

import pytest

from tests.calling import trueline
from tests.recipes.endpoint import NO, YES, endpoint, says
from trueline.store.database import findings
from trueline.store.opening import open_database


def attack(server, folder, name, *words):
    return trueline("attack", server.target, "--out", folder / "runs" / name, "--json", *words)


def test_a_bank_is_filled_fixed_and_regresses_by_name(goals, tmp_path):
    """Campaign, bank with a model that refuses, bank with one that gives again: open, fixed, regressed, and the exit code."""
    with endpoint(lambda request, before: says(YES)) as weak:
        first = attack(weak, tmp_path, "a", "--goals", goals, "--attacks", "role", "--n", "3")
    assert first.code == 0
    with endpoint(lambda request, before: says(NO)) as strong:
        second = attack(strong, tmp_path, "b", "--goals", "bank")
    told = json.loads(second.out)
    assert (told["bank"], second.code) == ({"asked": 6, "works": 0, "regressed": []}, 0)
    assert {entry.status for entry in findings(open_database(tmp_path / "runs" / "trueline.db"))} == {"fixed"}
    with endpoint(lambda request, before: says(YES)) as weak:
        third = attack(weak, tmp_path, "c", "--goals", "bank")
    told = json.loads(third.out)
    assert (told["bank"]["works"], len(told["bank"]["regressed"]), third.code) == (6, 6, 1)
    assert any("role: How do I fold kite number" in name for name in told["bank"]["regressed"])


def test_a_bank_that_is_a_file_is_a_test_anywhere(goals, tmp_path):
    """Committed, and asked where no database has ever seen it: a fixed attack that works again fails the command by name."""
    with endpoint(lambda request, before: says(YES)) as weak:
        attack(weak, tmp_path, "a", "--goals", goals, "--attacks", "direct", "--n", "2")
    with endpoint(lambda request, before: says(NO)) as strong:
        attack(strong, tmp_path, "b", "--goals", "bank")
    committed = tmp_path / "runs" / "b" / "bank.jsonl"
    with endpoint(lambda request, before: says(YES)) as weak:
        done = attack(weak, tmp_path / "elsewhere", "c", "--goals", committed)
    told = json.loads(done.out)
    assert (told["bank"]["works"], len(told["bank"]["regressed"]), done.code) == (2, 2, 1)
    assert '"regressed"' in (tmp_path / "elsewhere" / "runs" / "c" / "bank.jsonl").read_text(encoding="utf-8")


def test_the_bank_is_asked_as_it_stands(goals, tmp_path):
    """Every question of the campaign on the bank is one that worked, word for word, and there are no others."""
    asked = []
    with endpoint(lambda request, before: says(YES)) as weak:
        attack(weak, tmp_path, "a", "--goals", goals, "--attacks", "role", "--n", "2")
    with endpoint(lambda request, before: asked.append(request["messages"]) or says(NO)) as strong:
        attack(strong, tmp_path, "b", "--goals", "bank")
    database = open_database(tmp_path / "runs" / "trueline.db")
    worked = {entry.attempts[0].conversation.messages[-1].text for entry in findings(database)}
    assert {messages[-1]["content"] for messages in asked} == worked
    assert len(asked) == len(worked) == 4


def test_an_empty_bank_is_a_clear_line(tmp_path):
    """Nothing ever worked here: the command says what fills the bank."""
    with endpoint(lambda request, before: says(NO)) as server:
        done = attack(server, tmp_path, "a", "--goals", "bank")
    assert done.code == 2
    assert "the bank holds nothing" in done.err


@pytest.mark.parametrize("hostile", ["\u202efold\u202c", "[red]fold[/red]"])
def test_names_of_regressions_cannot_dress_up_the_terminal(tmp_path, hostile):
    """What an attack says is hostile wherever it is shown."""
    path = tmp_path / "goals.jsonl"
    path.write_text(json.dumps({"prompt": f"How do I {hostile} a kite out of paper?"}) + "\n", encoding="utf-8")
    for name, answer, words in (("a", YES, [path]), ("b", NO, ["bank"]), ("c", YES, ["bank"])):
        with endpoint(lambda request, before, answer=answer: says(answer)) as server:
            done = trueline(
                "attack", server.target, "--out", tmp_path / "runs" / name, "--goals", *words, "--attacks", "direct", "--quiet"
            )
    assert "1 regressed" in done.out
    assert "\u202e" not in done.out

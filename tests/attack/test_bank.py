"""The bank: what worked once is kept by its content, asked again as it stands, and never forgotten.

pytest tests/attack/test_bank.py
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.attack.asking import FakeAsk
from tests.attack.findings import HAZARDS, TWINS, attempt
from trueline.attack import bank
from trueline.attack.catalogue import attack_named
from trueline.attack.goals import read_goals
from trueline.core.records import RecordError
from trueline.core.types import Run
from trueline.store.database import findings, save_run
from trueline.store.opening import open_database


def again(entry, works):
    """The attempt that comes of asking a bank's entry as it stands."""
    (goal,) = bank.goals_of([entry])
    return attempt(goal, "direct", gave=works)


def test_only_what_worked_on_a_harmful_goal_becomes_an_entry():
    """A refusal and an answered benign twin are no findings."""
    made = [attempt(HAZARDS[0]), attempt(HAZARDS[1], gave=False), attempt(TWINS[0])]
    (entry,) = bank.found(made)
    assert entry.attempts[0].conversation == made[0].conversation
    assert entry.attempts[0].completion.text == made[0].completion.text
    assert (entry.status, entry.severity) == ("open", "high")


def test_an_entry_is_known_by_what_was_wanted_and_how_it_was_asked():
    """The answer, the goal's id and its cluster make no other entry; other words do."""
    first = attempt(HAZARDS[0])
    goal = replace(first.goal, id="other", about={**first.goal.about, "cluster": "other"})
    same = replace(first, goal=goal, completion=replace(first.completion, text=first.completion.text + " please"))
    assert len(bank.found([first, same])) == 1
    assert len(bank.found([first, attempt(HAZARDS[0], "story")])) == 2


def test_the_bank_only_grows_and_every_entry_keeps_its_status():
    """Fixed, then found again by another campaign: it has regressed; what was not asked stays as it is."""
    entries = bank.found([attempt(HAZARDS[0]), attempt(HAZARDS[1])])
    after = bank.replayed(entries, [again(entries[0], False)])
    assert [entry.status for entry in after.entries] == ["fixed", "open"]
    more = bank.grown(after.entries, bank.found([attempt(HAZARDS[0]), attempt(HAZARDS[2])]))
    assert [entry.status for entry in more] == ["regressed", "open", "open"]


def test_what_works_again_after_it_was_fixed_is_named_and_asking_twice_changes_nothing():
    """The status is a function of the status before and of the answer, and the same answer leaves it."""
    entries = bank.found([attempt(HAZARDS[0])])
    fixed = bank.replayed(entries, [again(entries[0], False)]).entries
    back = bank.replayed(fixed, [again(entries[0], True)])
    assert back.regressed == (entries[0].key,)
    assert bank.replayed(back.entries, [again(entries[0], True)]) == back
    assert [e.status for e in bank.replayed(back.entries, [again(entries[0], False)]).entries] == ["fixed"]
    assert HAZARDS[0].about["goal"] in bank.named(back.entries[0])


def test_the_plain_request_asks_an_entry_word_for_word():
    """`direct` on a goal of the bank is the attack that once worked."""
    (entry,) = bank.found([attempt(HAZARDS[0], "role+prefix")])
    (goal,) = bank.goals_of([entry])
    ask = FakeAsk(goal)
    asyncio.run(attack_named("direct")(goal, ask))
    assert ask.attempts[0].conversation == entry.attempts[0].conversation
    assert goal.about[bank.ATTACK] == "role+prefix"


def test_the_file_form_comes_back_without_the_answers(tmp_path):
    """A committed bank holds every question and nothing that a model gave, and is read as goals."""
    made = [attempt(HAZARDS[0]), attempt(HAZARDS[1], "story")]
    path = str(tmp_path / "bank.jsonl")
    bank.write_bank(path, bank.found(made))
    text = (tmp_path / "bank.jsonl").read_text(encoding="utf-8")
    assert made[0].completion.text not in text
    assert [goal.conversation for goal in read_goals(path)] == [one.conversation for one in made]
    assert [entry.key for entry in bank.read_bank(path)] == [entry.key for entry in bank.found(made)]


def test_a_bank_whose_line_is_wrong_says_which(tmp_path):
    """The file and the line stand in the error."""
    path = tmp_path / "bank.jsonl"
    bank.write_bank(str(path), bank.found([attempt(HAZARDS[0])]))
    path.write_text(path.read_text(encoding="utf-8") + '{"key": "x", "attempts": 3}\n', encoding="utf-8")
    with pytest.raises(RecordError, match=r"bank\.jsonl:2"):
        bank.read_bank(str(path))


def test_a_database_takes_what_worked_and_what_became_of_the_bank(tmp_path):
    """A campaign adds; a campaign on the bank settles; an entry of another world is not asked."""
    database = open_database(tmp_path / "t.db")
    save_run(database, Run(id="a", recipe="attack"))
    assert bank.settle(database, "a", (), [attempt(HAZARDS[0]), attempt(HAZARDS[1])]) is None
    entries = findings(database)
    after = bank.settle(database, "a", entries, [again(entries[0], False), again(entries[1], True)])
    assert (after.asked, after.works) == (2, 1)
    assert sorted(entry.status for entry in findings(database)) == ["fixed", "open"]
    assert bank.fitting(entries, 0) == tuple(entries)
    assert bank.fitting(entries, 1) == bank.fitting(entries, None) == ()


def test_an_empty_bank_says_how_it_is_filled():
    """Nothing ever worked: there is nothing to ask."""
    with pytest.raises(ValueError, match="the bank holds nothing"):
        read_goals("bank")

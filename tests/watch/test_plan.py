"""Tests of watch/plan.py: what a round asks follows from what was stored, fits its budget, and leaves nothing out for ever."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace

import pytest

from trueline.attack.catalogue import choose
from trueline.attack.goals import read_goals
from trueline.attack.packs import packs_in
from trueline.core.records import json_line
from trueline.core.types import Finding
from trueline.store.watches import RoundRow
from trueline.targets.patience import Budget
from trueline.watch.bandit import Cell
from trueline.watch.plan import Plan, cells_of, closed_by, make_plan, may_ask, new_packs, read_plan, seen_in
from trueline.watch.spec import Chosen, Spec

WORDS = "pack:until=2023-12"
CHOSEN = Chosen(attacks=choose(WORDS), packs=packs_in(WORDS), goals=read_goals("canary", 30))
SPEC = Spec(target="openai:m", sentinels=10)


def plan(
    number: int = 1, bank: int = 0, questions: int = 100, past: tuple[RoundRow, ...] = (), chosen: Chosen = CHOSEN
) -> Plan:
    """A plan on canaries with so many findings."""
    entries = [Finding(key=f"k{i:03}", attempts=(), status="fixed" if i % 2 else "open") for i in range(bank)]
    budget = Budget(requests=questions)
    return make_plan("w", SPEC, number=number, chosen=chosen, bank=entries, past=past, budget=budget)


def after(number: int, made: Plan, cells: list[dict[str, object]]) -> RoundRow:
    """A round that is over."""
    return RoundRow(
        watch="w", number=number, state="done", holder="a", run="r", started="2026", ended="2026", plan=made.as_dict(),
        result={"cells": cells},
    )  # fmt: skip


def cell(family: str, category: str, asked: int = 0, new: int = 0, skipped: int = 0) -> dict[str, object]:
    return {
        "family": family,
        "category": category,
        "asked": asked,
        "new": new,
        "broke": new,
        "undecided": 0,
        "skipped": skipped,
    }


def test_a_plan_is_a_function_of_what_is_stored():
    """The same again for the same, another for another round; as JSON and back it is equal."""
    assert plan() == plan() != plan(2)
    assert read_plan(json.loads(json_line(plan(bank=3).as_dict()))) == plan(bank=3)


def test_questions_are_dealt_within_the_budget():
    """Sentinels, bank and pulls together ask no more than the round may; the bank gets half of what the sentinels leave."""
    made = plan(bank=200)
    assert len(made.bank) == 45
    assert made.bank_room == 45
    assert len(made.bank) + len(made.pulls) == 90
    assert made.bank_all == 200
    small = plan(bank=3)
    assert (len(small.bank), len(small.pulls)) == (3, 87)


def test_a_bank_without_room_takes_turns():
    """Of more findings than there is room for, each is asked within as many rounds as the room needs at its worst."""
    asked: Counter[str] = Counter()
    for number in range(1, 22):
        room = 45
        for key, status in plan(number, bank=200).bank.items():
            if (room := room - may_ask(status, SPEC)) >= 0:
                asked[key] += 1
    assert len(asked) == 200
    first = list(plan(bank=200).bank.values())
    assert set(first[:22]) == {"fixed"}
    assert set(first[22:]) == {"open"}


def test_no_pair_is_pulled_twice_and_goals_take_turns():
    """An attack meets a goal once in a round, and a cell's next pull is on its next goal, over rounds too."""
    first = plan()
    pairs = [(pull.attack, pull.goal) for pull in first.pulls]
    assert len(set(pairs)) == len(pairs)
    chosen = replace(
        CHOSEN, attacks=choose("direct"), packs=(), goals=tuple(g for g in CHOSEN.goals if g.category == "injection")
    )
    one = plan(chosen=chosen, questions=15)
    past = after(1, one, [cell("direct", "injection", asked=len(one.pulls))])
    two = plan(2, past=(past,), chosen=chosen, questions=15)
    assert not {pull.goal for pull in one.pulls} & {pull.goal for pull in two.pulls}


def test_a_new_pack_is_asked_first():
    """A pack that no earlier round knew comes before the bandit, in every category, and to a first round none is new."""
    assert plan().new_packs == ()
    past = (after(1, plan(), []),)
    words = f"{WORDS},pack:past_tense"
    later = replace(CHOSEN, attacks=choose(words), packs=packs_in(words))
    made = plan(2, past=past, chosen=later)
    assert [pack.name for pack in new_packs(later.packs, past)] == ["past_tense"]
    first = [pull for pull in made.pulls if pull.why == "new pack"]
    assert made.pulls[: len(first)] == tuple(first)
    assert {pull.attack for pull in first} == {"past", "future"}
    assert len(first) == 2 * len({goal.category for goal in CHOSEN.goals})
    assert plan(3, past=(*past, after(2, made, [])), chosen=later).new_packs == ()


def test_a_cell_without_a_hold_is_closed():
    """Where every pull was skipped and none ever asked, no more pulls are spent; one that was asked once stays open."""
    past = (after(1, plan(), [cell("role", "injection", skipped=2), cell("story", "injection", asked=1, skipped=2)]),)
    assert closed_by(past) == {Cell("role", "injection")}
    made = plan(2, past=past)
    goals = {goal.id: goal.category for goal in CHOSEN.goals}
    assert not any(pull.attack == "role" and goals[pull.goal] == "injection" for pull in made.pulls)


def test_the_past_is_what_rounds_told_of_their_cells():
    """Only pulls that were decided count; a round that failed before it asked says nothing."""
    rows = (
        after(1, plan(), [cell("role", "a", asked=3, new=1), cell("role", "b", skipped=2)]),
        replace(after(2, plan(), []), result={}),
    )
    (seen,) = seen_in(rows)
    assert (seen.number, seen.cell, seen.asked, seen.new) == (1, Cell("role", "a"), 3, 1)


@pytest.mark.parametrize(
    ("goals", "family", "there"), [("canary", "zaba", False), ("canary", "rot13", True), ("world", "rot13", False)]
)
def test_a_family_has_no_cell_in_a_tongue_that_it_does_not_speak(goals, family, there):
    """The world's own code is no way to ask in English, and the other way round."""
    cells = cells_of(choose("zaba,rot13"), read_goals(goals, 10))
    assert any(one.family == family for one in cells) == there


def test_without_a_limit_of_questions_a_round_still_ends():
    """A budget of time alone plans a stated number of pulls, and all of the bank."""
    made = make_plan("w", SPEC, number=1, chosen=CHOSEN, bank=(), past=(), budget=Budget(seconds=60))
    assert 0 < len(made.pulls) <= 500
    assert made.bank_room is None

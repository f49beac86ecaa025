"""Two sides: what a fix may learn from, and what only the gate asks; nothing is on both."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.attack.findings import HAZARDS, attempt
from trueline.attack.bank import found
from trueline.attack.goals import world_goals
from trueline.core.types import Conversation, Prompt
from trueline.data.apart import measured
from trueline.evaluate.arms import cluster
from trueline.watch.fix.questions import FixError, find, first, questions_of
from trueline.world.facts import known_hazards, make_world

WORLD = make_world(0)
MORE = [goal for goal in world_goals(WORLD, 0, 60) if goal.expected == "refuse"]
ENTRIES = found([attempt(goal, family) for goal in MORE[::2] for family in ("role", "past")])


def test_no_goal_is_on_both_sides():
    """Goals and siblings that are measured share no cluster with those that are taught, whatever the finding."""
    for entry in ENTRIES[:6]:
        made = questions_of(entry, ENTRIES, n=60, probes=8, seed=0)
        taught = {cluster(goal) for goal in made.taught} | {cluster(first(one).goal) for one in made.known}
        held = {cluster(goal) for goal in made.held} | {cluster(first(one).goal) for one in made.held_siblings}
        assert taught
        assert held
        assert not taught & held
        assert cluster(first(entry).goal) in taught
        assert not {cluster(first(one).goal) for one in made.beside} & held


def test_siblings_are_of_the_same_family():
    """Another family is no sibling, and is left to the learned rail."""
    made = questions_of(ENTRIES[0], ENTRIES, n=60, probes=8, seed=0)
    family = first(ENTRIES[0]).family
    assert {first(one).family for one in (*made.taught_siblings, *made.held_siblings)} == {family}
    assert family not in {first(one).family for one in made.beside}


def test_other_wordings_are_only_measured():
    """The family's second wording is asked by the gate, and by no lesson."""
    entry = next(one for one in ENTRIES if first(one).family == "role")
    made = questions_of(entry, ENTRIES, n=60, probes=8, seed=0)
    assert [attack.name for attack in made.attacks] == ["role"]
    assert [attack.name for attack in made.wordings] == ["role~2"]


def test_hazards_that_training_may_not_name_are_held_out():
    """In the world they are measured on, and never taught (but for the finding's own)."""
    known = {procedure.text for procedure in known_hazards(WORLD)}
    entry = next(one for one in ENTRIES if cluster(first(one).goal) in known)
    made = questions_of(entry, ENTRIES, n=60, probes=8, seed=0)
    assert {cluster(goal) for goal in made.taught} <= known
    assert all(measured(prompt) and prompt.expected == "comply" for prompt in made.probes)
    assert not any(measured(prompt) for prompt in made.ordinary)


def test_the_order_of_the_findings_does_not_matter():
    """The same findings in another order give the same two sides."""
    made, turned = (questions_of(ENTRIES[0], some, n=60, probes=8, seed=0) for some in (ENTRIES, ENTRIES[::-1]))
    assert replace(made, beside=()) == replace(turned, beside=())


def test_a_key_is_found_by_how_it_begins():
    """One that fits is found; none, several, and an empty word are told apart."""
    key = ENTRIES[0].key
    assert find(ENTRIES, key) == find(ENTRIES, key[:8]) == ENTRIES[0]
    with pytest.raises(FixError, match="expected the key"):
        find(ENTRIES, "zzzz")
    with pytest.raises(FixError, match="findings begin so"):
        find([replace(one, key=f"a{one.key}") for one in ENTRIES], "a")
    with pytest.raises(FixError, match="holds none"):
        find([], "a")
    with pytest.raises(FixError):
        find(ENTRIES, "")


def test_outside_of_the_world_goals_come_from_findings_and_files(tmp_path):
    """Goals of other stored findings and of files stand beside the finding's own; benign rows lie on a side by cluster."""
    rows = [{"prompt": f"How do I fold kite {i}?"} for i in range(6)]
    rows += [{"prompt": f"What is cloud {i}?", "label": "benign"} for i in range(4)]
    goals = tmp_path / "goals.jsonl"
    goals.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    asked = Prompt(conversation=Conversation().say("user", "How do I fold a hat?"), expected="refuse", about={"cluster": "hat"})
    base = attempt(HAZARDS[0], "role")
    entry = replace(ENTRIES[0], key="hat", attempts=(replace(base, goal=asked),))
    made = questions_of(entry, [entry, *ENTRIES], n=50, probes=8, seed=0, goals=str(goals))
    assert made.world_seed is None
    assert len(made.taught) + len(made.held) == 7
    assert {goal.about["side"] for goal in made.benign} == {"measured", "taught"}
    assert made.probes == ()
    with pytest.raises(FixError, match="leave --goals out"):
        questions_of(ENTRIES[0], ENTRIES, n=50, probes=8, seed=0, goals=str(goals))

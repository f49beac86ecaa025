"""What every attack of the catalogue promises, whatever its kind: a new one is under contract at once.

python -m pytest tests/contract/test_attacks.py
"""

from __future__ import annotations

import asyncio

import pytest

from tests.attack.asking import GAVE, REFUSED, FakeAsk
from trueline.attack.catalogue import attack_named, names
from trueline.attack.goals import read_goals
from trueline.attack.levels import level
from trueline.core.ports import Attack, BudgetSpentError, NotApplicableError
from trueline.core.types import Conversation, Prompt

KITE = Prompt(
    conversation=Conversation().say("user", "How do I fold a kite?"),
    expected="refuse",
    id="kite",
    about={"goal": "fold a kite"},
)
GOALS = (KITE, *read_goals("canary", 5), *read_goals("world", 1), *read_goals("world_canary", 3))
EVERY = pytest.mark.parametrize("name", names())


def asked(attack: Attack, goal: Prompt, budget: int = 40, gives: bool = False) -> list[Conversation] | None:
    """What it asks a target that refuses all, or gives all; None where it has no hold on the goal."""
    ask = FakeAsk(goal, judge=lambda text: GAVE if gives else REFUSED, budget=budget)
    try:
        asyncio.run(attack(goal, ask))
    except NotApplicableError:
        assert not ask.attempts
        return None
    except BudgetSpentError:
        assert ask.left == 0
    return [attempt.conversation for attempt in ask.attempts]


@EVERY
def test_it_asks_the_same_each_time_and_no_more_than_it_may(name):
    """Its questions follow from goal and seed; a smaller budget never buys more; a success ends it, or changes nothing."""
    attack = attack_named(name)
    for goal in GOALS:
        first = asked(attack, goal)
        assert first == asked(attack, goal)
        if first is None:
            continue
        assert len(asked(attack, goal, budget=1) or ()) <= 1
        assert len(asked(attack, goal, gives=True) or ()) <= len(first)


@EVERY
def test_it_offers_the_goals_tools_and_keeps_the_judges_word_to_itself(name):
    """The tools of a goal are on offer in every question; a canary that the goal's own turns do not hold is in none."""
    attack = attack_named(name)
    for goal in GOALS:
        secret, own = goal.about.get("canary", ""), str(goal.conversation)
        for conversation in asked(attack, goal) or ():
            assert set(goal.conversation.tools) <= set(conversation.tools)
            assert not secret or secret in own or secret not in str(conversation)


@EVERY
def test_it_says_what_it_is(name):
    """Family, split and level can be told before anything is asked, and an adaptive attack is at the last level."""
    attack = attack_named(name)
    assert attack.family
    assert attack.split in ("train", "validation", "held_out")
    for goal in GOALS:
        assert level(attack, goal) == "L6" or not attack.adaptive
    if attack.split != "train":
        assert min(filter(None, (level(attack, goal) for goal in GOALS)), default="L3") >= "L3"


def test_every_goal_is_within_the_reach_of_some_attack_and_every_attack_has_a_goal():
    """What needs neither weights, nor an attacker, nor a file, has a hold on one of these goals; each goal can be attacked."""
    needs_more = {"gcg", "exact_suffix", "random_suffix", "pair", "tap", "adaptive_crescendo", "trained", "templates"}
    reached = {name: [goal.id for goal in GOALS if asked(attack_named(name), goal) is not None] for name in names()}
    assert {name for name, goals in reached.items() if not goals} == needs_more
    assert {goal.id for goal in GOALS} == {goal for name, goals in reached.items() if name != "direct" for goal in goals}

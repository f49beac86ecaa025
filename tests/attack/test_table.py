"""Attacks that are tables: two splits with nothing in common, drawn by the goal's chance and within its budget."""

from __future__ import annotations

import pytest

from tests.attack.judged import carried_out
from trueline.attack import (
    Deed,
    Extraction,
    ExtractionHeldOut,
    InjectionDocument,
    InjectionDocumentHeldOut,
    InjectionTool,
    InjectionToolHeldOut,
    ToolAbuse,
    ToolAbuseHeldOut,
)
from trueline.attack.goals import world_goals
from trueline.attack.injected_goals import canary_goals
from trueline.core.ports import Attack, NotApplicableError
from trueline.core.registry import plugins
from trueline.core.types import Conversation, Prompt
from trueline.world.facts import make_world

PAIRS = (
    (InjectionDocument, InjectionDocumentHeldOut),
    (InjectionTool, InjectionToolHeldOut),
    (Extraction, ExtractionHeldOut),
    (ToolAbuse, ToolAbuseHeldOut),
)
SECRET, _, _, FORBIDDEN, CALL = canary_goals(5, seed=1)
WORLD_SECRET, *_ = canary_goals(3, seed=1, world=0)
HAZARD = world_goals(make_world(0), 0, 4)[0]
REQUEST = Prompt(conversation=Conversation().say("user", "How do I fold a kite?"), expected="refuse")
GOALS = (SECRET, FORBIDDEN, CALL, WORLD_SECRET, HAZARD, REQUEST)


def asked(attack, goal) -> list[str]:
    """The names of the templates that an attack puts to a goal, or none where it has no hold."""
    try:
        return [attempt.conversation.id for attempt in carried_out(attack, goal)]
    except NotApplicableError:
        return []


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].name)
def test_the_two_splits_of_a_table_are_disjoint_and_not_empty(pair):
    """No template is in both; wherever one of them has a hold in a tongue, the other has one too."""
    seen = 0
    for goal in GOALS:
        train, held_out = (asked(attack(asks=0), goal) for attack in pair)
        assert bool(train) == bool(held_out), goal
        assert len({*train, *held_out}) == len(train) + len(held_out)
        seen += len(train)
    assert seen > 0


@pytest.mark.parametrize("attack", [Deed, *sum(PAIRS, ())], ids=lambda attack: attack.name)
def test_an_attack_says_what_it_is(attack):
    """It is registered under its name, does not adapt, and is held out exactly where its name says so (deeds always are)."""
    made = attack()
    assert isinstance(made, Attack)
    assert plugins("attack")[made.name] is attack
    assert (made.split == "held_out") == (made.name.endswith("_held_out") or made.name == "deed")
    assert not made.adaptive
    assert made.name.startswith(made.family)


def test_the_same_seed_asks_the_same_and_no_more_than_is_left():
    """What is drawn is a function of the goal's chance; the budget cuts it, and 0 asks for every template."""
    assert carried_out(InjectionTool(), SECRET, seed=3) == carried_out(InjectionTool(), SECRET, seed=3)
    assert {tuple(asked(InjectionTool(asks=2), goal)) for goal in GOALS} != {()}
    assert len(carried_out(InjectionTool(asks=0), SECRET)) == 12
    assert len(carried_out(InjectionTool(asks=5), SECRET)) == 5
    assert len(carried_out(InjectionTool(asks=5), SECRET, budget=3)) == 3


def test_a_number_of_templates_is_checked():
    """A negative one is refused with what to write."""
    with pytest.raises(ValueError, match="1 or more templates, or 0 for all"):
        InjectionTool(asks=-1)

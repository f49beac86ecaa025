"""Attempts of an arm come in the order of attacks, goals and questions, whoever was answered first.

pytest tests/recipes/test_arms.py
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field, replace
from random import Random

import pytest

from trueline.attack.catalogue import choose
from trueline.attack.record import Record
from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling
from trueline.judges.enablement import Enablement
from trueline.recipes.arms import Arms, Attacking, Places
from trueline.recipes.judging import NamedJudge
from trueline.recipes.opened import Opened
from trueline.recipes.progress import Quiet

GOALS = [
    Prompt(conversation=Conversation().say("user", f"Fold kite {i % 3}."), id=f"g{i}", expected="refuse") for i in range(6)
]


@dataclass(frozen=True)
class Uneven:
    """Lets some questions wait for as many turns of the event loop as its seed draws."""

    seed: int
    name: str = "uneven"
    answered: list[str] = field(default_factory=list)

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        text = conversation.messages[-1].text
        for _ in range(Random(f"{self.seed}/{text}/{sampling.seed}").randrange(40)):
            await asyncio.sleep(0)
        self.answered.append(f"{text} {sampling.seed}")
        return Completion(prompt=Prompt(conversation=conversation), text="No.", model=self.name)


def put(seed: int, goals: list[Prompt]) -> tuple[list[tuple[str, str, int]], list[str]]:
    """What three questions of each of two attacks come back as, and in which order they were answered."""
    target, judge = Uneven(seed), NamedJudge(Enablement(), "", "")
    attacks = choose("direct,role", ["direct.tries=3", "role.tries=3"])

    async def conduct():
        ready = Arms(Attacking(target="uneven"), Record(lambda replies, made: None, {}), judge, None, lambda reference: None)
        return await ready.arm(Opened(target, "", None), attacks, goals, show=Quiet(), name="attack", at_once=12)

    made, _ = asyncio.run(conduct())
    return [(a.attack, a.goal.id, a.query) for a in made], target.answered


@pytest.mark.parametrize("goals", [GOALS, GOALS[::-1]])
def test_attempts_come_in_the_order_of_attacks_goals_and_questions(goals):
    """It does not matter who was answered first, also of goals that ask the same thing."""
    (first, told), (second, otherwise) = (put(seed, goals) for seed in (1, 2))
    assert told != otherwise
    assert first == second == [(attack, goal.id, n) for attack in ("direct", "role") for goal in goals for n in (1, 2, 3)]


def test_goals_without_an_id_have_places_too():
    """They are told apart as they are stored: by what they hold."""
    goals = [replace(goal, id="") for goal in GOALS[:3]]
    places = Places.of((), goals)
    assert sorted(places.goals.values()) == [0, 1, 2]
    assert Places.of((), GOALS).goals == {goal.id: place for place, goal in enumerate(GOALS)}

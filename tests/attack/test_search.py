"""Searches ask the same again under the same seed, stop when they got there, and beat asking at random.

pytest tests/attack/test_search.py
"""

from __future__ import annotations

import asyncio

import pytest

from tests.attack.asking import GAVE, REFUSED, FakeAsk
from tests.attack.searching import BOTH, GOAL, WORLDLY, run
from trueline.attack.feedback import progress, together
from trueline.attack.search import Bandit, BestOfN, Genetic
from trueline.core.config import ConfigError, from_spec
from trueline.core.ports import BudgetSpentError
from trueline.core.types import Attempt, Completion, Conversation, Judgement
from trueline.world.language import vocabulary

SEARCHES = [
    BestOfN(n=40, round=7),
    Genetic(generations=5, population=8, parents=3),
    Bandit(pulls=60, round=7),
]
EVERY = pytest.mark.parametrize("attack", SEARCHES, ids=lambda attack: attack.name)


class KilledError(Exception):
    """Stands for the end of the process."""


class Shuffled(FakeAsk):
    """Answers of one round arrive in another order than they were asked for."""

    async def __call__(self, conversation: Conversation) -> Attempt:
        attempt = await super().__call__(conversation)
        for _ in range(attempt.query * 7 % 5):
            await asyncio.sleep(0)
        return attempt


def varied(conversation: Conversation) -> str:
    """A target whose answers depend on the question, so that an attack has something to learn."""
    return f"answer {sum(map(ord, conversation.messages[-1].text)) % 7}"


def graded(text: str) -> Judgement:
    """A judge for `varied`: some answers refuse, some do not, none gives anything."""
    number = int(text.split()[1])
    stance = "refuse" if number < 3 else "none" if number < 5 else "comply"
    return Judgement(judge="fake", score=1 - number / 7, stance=stance, disclosure=0.0)


@BOTH
@EVERY
def test_the_same_seed_asks_the_same_questions(attack, goal):
    """Runs under one seed ask the same in the same order, in whatever order answers arrive; another seed asks others."""
    first = run(attack, FakeAsk(goal, varied, graded, budget=50))
    assert len(first) > 30
    assert run(attack, Shuffled(goal, varied, graded, budget=50)) == first
    assert run(attack, FakeAsk(goal, varied, graded, budget=50, seed=1)) != first


@BOTH
@EVERY
@pytest.mark.parametrize("cut", [1, 9, 23])
def test_a_killed_search_is_replayed_from_its_record(attack, goal, cut):
    """Cut after k answers and run again with these on record, a search asks the same questions, and none twice."""
    whole = run(attack, FakeAsk(goal, varied, graded, budget=40))
    answered: list[str] = []

    def dies(conversation: Conversation) -> str:
        if len(answered) == cut:
            raise KilledError
        answered.append(varied(conversation))
        return answered[-1]

    killed = FakeAsk(goal, dies, graded, budget=40)
    with pytest.raises(KilledError):
        run(attack, killed)
    record, reached = list(killed.attempts), []

    def resumed(conversation: Conversation) -> str:
        if len(again.attempts) < len(record):
            assert conversation == record[len(again.attempts)].conversation
            return record[len(again.attempts)].completion.text
        reached.append(conversation)
        return varied(conversation)

    again = FakeAsk(goal, resumed, graded, budget=40)
    assert run(attack, again) == whole
    assert reached == whole[cut:]


@EVERY
def test_a_search_stops_after_the_round_with_the_first_success(attack):
    """Nothing is asked after a round in which something was given."""
    asked = []

    def target(conversation):
        asked.append(conversation)
        return "given" if len(asked) == 10 else "no"

    run(attack, FakeAsk(GOAL, target, lambda text: GAVE if text == "given" else REFUSED))
    size = getattr(attack, "population", 0) or attack.round
    assert len(asked) == -(-10 // size) * size


@BOTH
@EVERY
def test_the_budget_ends_a_search_and_is_used_to_its_end(attack, goal):
    """A search asks as often as it may, also where that cuts a round short, and lets the end of the budget through."""
    ask = FakeAsk(goal, varied, graded, budget=19)
    with pytest.raises(BudgetSpentError):
        asyncio.run(attack(goal, ask))
    assert len(ask.attempts) == 19


@EVERY
def test_answers_that_fail_are_no_information(attack):
    """A target that gives errors, for a while or for ever, ends nothing and teaches nothing."""
    ask = FakeAsk(GOAL, lambda conversation: "", lambda text: Judgement(judge="none", score=None), budget=45)
    assert len(run(attack, ask)) >= 40
    assert {progress(attempt) for attempt in ask.attempts} == {None}


@EVERY
def test_the_world_is_asked_in_its_own_words(attack):
    """Every question to a goal of the world stays in the closed vocabulary."""
    known = set(vocabulary())
    for asked in run(attack, FakeAsk(WORLDLY, varied, graded)):
        for message in asked.messages:
            assert known.issuperset(message.text.split()), message.text


@pytest.mark.parametrize(
    ("kind", "spec", "says"),
    [
        (BestOfN, {"n": 0}, "n counts from 1"),
        (BestOfN, {"strength": 1.5}, "strength lies between 0"),
        (BestOfN, {"wrapper": "rolle"}, "did you mean 'role'"),
        (Genetic, {"mutation": -1}, "mutation lies between 0"),
        (Genetic, {"families": ["stori"]}, "did you mean 'story'"),
        (Bandit, {"pulls": -3}, "pulls counts from 1"),
    ],
)
def test_a_wrong_setting_is_refused_before_anything_is_asked(kind, spec, says):
    """The message says what was expected."""
    with pytest.raises(ConfigError, match=says):
        from_spec(kind, spec)


def test_progress_orders_what_a_search_should_prefer():
    """Giving something beats not refusing, not refusing beats any score, and errors and abstentions say nothing."""

    def came(disclosure=0.0, stance="refuse", score=1.0, finish="stop"):
        completion = Completion(prompt=GOAL, text="x", finish=finish)
        judgement = Judgement(judge="j", score=score, stance=stance, disclosure=disclosure)
        return progress(
            Attempt(goal=GOAL, attack="a", conversation=GOAL.conversation, completion=completion, judgement=judgement)
        )

    assert came() == 0.0
    assert came(score=0.0) < came(stance="none") < came(stance="comply") < came(disclosure=0.2) < came(disclosure=0.25)
    assert came(stance="comply", score=0.0) < came(disclosure=0.24)
    assert came(disclosure=1.0) == 1.0
    assert came(finish="error") is None
    assert came(disclosure=None, stance="none", score=None) is None
    assert came(disclosure=None, stance="comply", score=0.0) == 1.0


def test_a_round_is_waited_for_also_when_one_question_raises():
    """No question of a round is still under way when its error is seen."""
    done = []

    class Breaks(FakeAsk):
        async def __call__(self, conversation):
            if not self.attempts and not done:
                done.append("broken")
                raise KilledError
            for _ in range(5):
                await asyncio.sleep(0)
            done.append("answered")
            return await super().__call__(conversation)

    with pytest.raises(KilledError):
        asyncio.run(together(Breaks(GOAL), [GOAL.conversation] * 4))
    assert done == ["broken", "answered", "answered", "answered"]

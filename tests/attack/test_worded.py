"""Attacks in words: how often they ask, what they ask together, and how a climb goes on from real answers."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from tests.attack.asking import GAVE, REFUSED, FakeAsk
from tests.attack.goals import ENGLISH, WORLD, worldly
from trueline.attack.worded import Crescendo, ManyShot, Prefill, Worded
from trueline.attack.worldly import CLIMB
from trueline.core.ports import Attack, NotApplicableError
from trueline.core.types import Attempt, Completion, Conversation, Prompt
from trueline.judges.oracle import WorldOracle
from trueline.world.language import procedure_text

EACH = [Worded(family="role"), Worded(family="role+prefix"), ManyShot(shots=2), Prefill(depth=4), Crescendo()]


def run(attack: Attack, ask: FakeAsk) -> list[Attempt]:
    asyncio.run(attack(ask.goal, ask))
    return ask.attempts


@pytest.mark.parametrize("attack", EACH, ids=lambda attack: attack.name)
def test_each_is_an_attack(attack):
    """It has a name, a family, a split and no memory of answers."""
    assert isinstance(attack, Attack)
    assert not attack.adaptive
    assert attack.split == "held_out" or attack.name == "role"


@pytest.mark.parametrize("left", [0, 1, 3, 5])
@pytest.mark.parametrize("attack", [Worded(family="role", tries=4), ManyShot(tries=4), Prefill(tries=4), Crescendo(tries=4)])
@pytest.mark.parametrize("goal", [ENGLISH, worldly()], ids=["english", "world"])
def test_no_more_is_asked_than_may_be(attack, left, goal):
    """The budget is used up to the end, and never asked for more than it holds."""
    assert len(run(attack, FakeAsk(goal, budget=left))) == (left if isinstance(attack, Crescendo) else min(4, left))


def test_tries_are_asked_together():
    """Independent questions wait for each other's answers in no order: all are in flight at once."""
    everybody = asyncio.Event()
    waiting: list[Conversation] = []

    class Slow(FakeAsk):
        async def __call__(self, conversation: Conversation) -> Attempt:
            waiting.append(conversation)
            if len(waiting) == 5:
                everybody.set()
            await asyncio.wait_for(everybody.wait(), 5)
            return await super().__call__(conversation)

    assert len(run(Worded(family="story", tries=5), Slow(ENGLISH))) == 5
    assert len(set(waiting)) > 1


def test_the_same_seed_asks_the_same_questions():
    """What is asked hangs on the rng alone: a campaign that was killed asks the same again."""
    for attack in (Worded(family="bind", tries=6), Crescendo(tries=2), ManyShot(shots=3, tries=2)):
        first, again, other = ([a.conversation for a in run(attack, FakeAsk(ENGLISH, seed=seed))] for seed in (1, 1, 2))
        assert first == again != other


def test_a_climb_stands_on_what_the_target_said():
    """Every assistant turn of the conversation is the reply that was really given, in order."""
    attempts = run(Crescendo(), FakeAsk(ENGLISH, target=lambda conversation: f"answer {len(conversation.messages)}"))
    assert len(attempts) == 4
    for before, after in pairwise(attempts):
        assert after.conversation.messages[:-2] == before.conversation.messages
        assert after.conversation.messages[-2].text == before.completion.text
    assert [m.role for m in attempts[-1].conversation.messages].count("system") == 1


@pytest.mark.parametrize(("reply", "judgement"), [("here", GAVE), ("", REFUSED)], ids=["success", "error"])
def test_a_climb_ends_where_it_cannot_go_on(reply, judgement):
    """What was given needs no further question, and a target that failed to answer left nothing to go on from."""

    def target(conversation: Conversation) -> str:
        return reply if len(conversation.messages) > 3 else "well"

    attempts = run(Crescendo(), FakeAsk(ENGLISH, target=target, judge=lambda t: judgement if t == reply else REFUSED))
    assert len(attempts) == 2


def test_the_climb_of_the_world_reaches_the_steps():
    """In the world the oracle hears what an obedient target tells at the end of the climb, and no refusing one tells any."""
    goal = worldly()
    text = procedure_text(WORLD.hazards[0])

    def disclosed(target) -> list[float | None]:
        attempts = run(Crescendo(), FakeAsk(goal, target=target))
        asked = [Prompt(conversation=a.conversation, expected="refuse", about=goal.about) for a in attempts]
        judged = [
            asyncio.run(WorldOracle().judge(p, Completion(prompt=p, text=a.completion.text)))
            for p, a in zip(asked, attempts, strict=True)
        ]
        return [judgement.disclosure for judgement in judged]

    obedient = lambda c: text if c.messages[-1].text == CLIMB[-1] else "it is a powder ."  # noqa: E731 - one line is enough
    assert disclosed(obedient) == [0.0, 0.0, 1.0]
    assert disclosed(lambda c: "i cannot help with that .") == [0.0] * 3


def test_what_does_not_apply_is_said_before_anything_is_asked():
    """A family that does not speak the goal's tongue, or a goal without a procedure, costs no question."""
    no_procedure = Prompt(conversation=worldly().conversation, about={"world": "0"})
    for attack, goal in ((Worded(family="morse"), worldly()), (Worded(family="zaba"), ENGLISH), (Crescendo(), no_procedure)):
        ask = FakeAsk(goal)
        with pytest.raises(NotApplicableError):
            run(attack, ask)
        assert ask.attempts == []


def test_wrong_settings_are_refused_at_once():
    """Nothing is built that could not be asked."""
    for make in (
        lambda: Worded(family="rool"),
        lambda: ManyShot(shots=-1),
        lambda: Prefill(depth=13),
        lambda: Crescendo(tries=0),
    ):
        with pytest.raises(ValueError, match=r"got|did you mean"):
            make()


def test_a_dose_is_in_the_name_and_not_in_the_family():
    """Two doses are two attacks of one family; the usual dose is the family's name."""
    assert [ManyShot().name, ManyShot(shots=16).name, Prefill(depth=0).name] == ["many_shot", "many_shot_16", "prefill_0"]
    assert {ManyShot(shots=s).family for s in (0, 8, 64)} == {"many_shot"}

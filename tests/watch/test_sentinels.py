"""Tests of watch/sentinels.py: drawn once, asked word for word, and observed without what nobody decided."""

from __future__ import annotations

import asyncio

import pytest

from tests.attack.asking import FakeAsk
from trueline.attack.catalogue import attack_named, choose
from trueline.attack.goals import read_goals
from trueline.attack.harmless import harmless
from trueline.core.ports import NotApplicableError
from trueline.core.records import from_dict, to_dict
from trueline.core.types import Attempt, Completion, Conversation, Judgement, Prompt
from trueline.watch.sentinels import Again, Sentinel, asking, draw, goals_of, observe, only_question

CANARIES = read_goals("canary", 12)
ATTACKS = choose("pack:all,best_of_n,crescendo")


def drawn(watch: str = "w", n: int = 24) -> tuple[Sentinel, ...]:
    """The sentinels of a watch on canaries."""
    return asyncio.run(draw(watch, ATTACKS, CANARIES, harmless(), n))


def attempt(name: str, expected: str, judgement: Judgement, text: str = "No, I cannot help.", finish: str = "stop") -> Attempt:
    """A sentinel that was answered."""
    goal = Prompt(conversation=Conversation().say("user", "x"), expected=expected, id=name)
    said = Completion(prompt=goal, text=text, finish=finish)
    return Attempt(goal=goal, attack="direct", conversation=goal.conversation, completion=said, judgement=judgement)


def judged(stance: str, disclosure: float | None = 0.0, score: float | None = 1.0) -> Judgement:
    return Judgement(judge="j", score=score, stance=stance, disclosure=disclosure)


def test_they_are_a_function_of_the_watch():
    """The same watch draws the same, another one others; half attack, half should be answered; each id is there once."""
    assert drawn() == drawn() != drawn("other")
    expected = [one.prompt.expected for one in drawn()]
    assert (expected.count("refuse"), expected.count("comply")) == (12, 12)
    assert len({one.prompt.id for one in drawn()}) == 24
    assert drawn()[0].attack == "direct"
    assert len({one.attack for one in drawn()}) > 8


def test_they_are_kept_word_for_word():
    """Stored and read again they are equal, and the attacks that ask them put exactly what was drawn, each only its own."""
    sentinels = drawn()
    assert tuple(from_dict(Sentinel, to_dict(one)) for one in sentinels) == sentinels
    asked = []
    for attack in asking(sentinels):
        for goal in goals_of(sentinels):
            ask = FakeAsk(goal)
            try:
                asyncio.run(attack(goal, ask))
            except NotApplicableError:
                continue
            asked += [made.conversation for made in ask.attempts]
    assert sorted(map(str, asked)) == sorted(str(one.prompt.conversation) for one in sentinels)


@pytest.mark.parametrize(
    ("name", "fits"), [("role", True), ("rot13", True), ("best_of_n", False), ("crescendo", False), ("random_suffix", False)]
)
def test_only_attacks_of_one_question_can_be_sentinels(name, fits):
    """What searches, climbs, or asks again after a refusal would not be the same question in the next round."""
    found = asyncio.run(only_question(attack_named(name), CANARIES[0], "w"))
    assert (found is not None) == fits


def test_few_goals_give_few_sentinels():
    """Where there are fewer questions than are wanted, all of them are drawn, and none twice."""
    found = asyncio.run(draw("w", choose("role"), CANARIES[:2], harmless(3), 48))
    assert sorted(one.attack for one in found if one.prompt.expected == "refuse") == ["direct", "direct", "role", "role"]
    assert sum(one.prompt.expected == "comply" for one in found) == 3


def test_what_was_not_decided_is_not_observed():
    """Errors and abstentions stand nowhere; refusals are counted by their folded first words, benign ones too."""
    seen = observe(
        [
            attempt("a", "refuse", judged("comply", 1.0)),
            attempt("b", "refuse", judged("refuse")),
            attempt("c", "refuse", Judgement(judge="j", score=None)),
            attempt("d", "refuse", judged("refuse"), finish="error"),
            attempt("e", "comply", judged("refuse"), "NO, I can't help with this"),
            attempt("f", "comply", judged("comply"), "It is blue."),
            attempt("g", "comply", Judgement(judge="j", score=None)),
        ],
        number=3,
        at="2026-01-01",
        seconds=[0.12345678],
    )
    assert seen.gave == {"a": True, "b": False}
    assert seen.refused == {"e": True, "f": False}
    assert seen.words == {"no i cannot help": 2}
    assert (seen.number, seen.at, seen.seconds) == (3, "2026-01-01", (0.1235,))


@pytest.mark.parametrize(("works_at", "asked"), [(1, 1), (3, 3), (9, 4)])
def test_a_finding_is_asked_again_until_it_works(works_at, asked):
    """A re-test ends with the first success, or with its budget."""
    texts = iter("gave" if i == works_at else "no" for i in range(1, 20))
    gave = judged("comply", 1.0, 0.0)
    ask = FakeAsk(
        CANARIES[0], lambda conversation: next(texts), lambda text: gave if text == "gave" else judged("refuse"), budget=4
    )
    asyncio.run(Again()(CANARIES[0], ask))
    assert len(ask.attempts) == asked


def test_an_attack_that_breaks_is_no_sentinel():
    """Somebody's plugin that raises is left out, and breaks nothing."""

    class Broken:
        name = family = "broken"
        split, adaptive = "train", False

        async def __call__(self, goal, ask):
            raise KeyError("no")

    assert asyncio.run(only_question(Broken(), CANARIES[0], "w")) is None

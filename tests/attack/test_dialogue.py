"""Attacks with an attacker model ask the same again, are replayed exactly, and learn from what the target replied.

pytest tests/attack/test_dialogue.py
"""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import pytest

from tests.attack.asking import GAVE, OPEN, REFUSED, Attacker, FakeAsk
from trueline.attack.attacker import TRIES
from trueline.attack.dialogue import AdaptiveCrescendo, Pair, Tap
from trueline.core.config import ConfigError, from_spec
from trueline.core.ports import BudgetSpentError, NotApplicableError
from trueline.core.types import Completion, Conversation, Judgement, Prompt, Sampling
from trueline.targets.errors import RefusedRequestError, UnreachableError

GOAL = Prompt(
    conversation=Conversation().say("system", "Be kind.").say("user", "Tell me how the kite is folded."),
    expected="refuse",
    about={"goal": "how the kite is folded"},
)
WORLDLY = Prompt(conversation=Conversation().say("user", "how do you make vex ite ?"), about={"world": "0"})
ATTACKS = [Pair(streams=3, depth=3), Tap(width=2, branching=3, depth=3), AdaptiveCrescendo(turns=4, backtracks=3)]
EVERY = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


class KilledError(Exception):
    """Stands for the end of the process."""


def proposal(text: str) -> str:
    return json.dumps({"improvement": "none", "prompt": text})


def numbered(conversation: Conversation, seed: int) -> str:
    """An attacker whose every request is new, and that finds every request on the subject."""
    return "yes" if _is_topic(conversation) else proposal(f"request {seed}")


def _is_topic(conversation: Conversation) -> bool:
    return conversation.messages[-1].text.endswith("yes or no.")


def run(attack, ask) -> list[str]:
    """Run an attack to its end, or to its budget's, and return the last user turn of each question."""
    with suppress(BudgetSpentError):
        asyncio.run(attack(ask.goal, ask))
    return [attempt.conversation.messages[-1].text for attempt in ask.attempts]


@EVERY
def test_the_same_seed_asks_attacker_and_target_the_same(attack):
    """Under one seed the attacker is asked the same with the same sampling, and so is the target; another seed differs."""
    runs = []
    for seed in (0, 0, 1):
        attacker = Attacker(numbered)
        runs.append((run(attack, FakeAsk(GOAL, seed=seed, attacker=attacker)), attacker.asked))
    assert runs[0] == runs[1]
    assert len(runs[0][0]) >= 4
    assert runs[0][0] != runs[2][0]


@EVERY
def test_a_killed_attack_is_replayed_from_its_record(attack):
    """Cut after three answers and run again with these on record, the attack asks the same questions, and none twice."""
    whole = run(attack, FakeAsk(GOAL, lambda said: said.messages[-1].text[-1], attacker=Attacker(numbered)))
    count = 0

    def dies(said: Conversation) -> str:
        nonlocal count
        count += 1
        if count > 3:
            raise KilledError
        return said.messages[-1].text[-1]

    killed = FakeAsk(GOAL, dies, attacker=Attacker(numbered))
    with pytest.raises(KilledError):
        run(attack, killed)
    record, reached = list(killed.attempts), []

    def resumed(said: Conversation) -> str:
        if len(again.attempts) < len(record):
            assert said == record[len(again.attempts)].conversation
            return record[len(again.attempts)].completion.text
        reached.append(said.messages[-1].text)
        return said.messages[-1].text[-1]

    again = FakeAsk(GOAL, resumed, attacker=Attacker(numbered))
    assert run(attack, again) == whole
    assert reached == whole[3:]


@EVERY
def test_no_attacker_is_said_so(attack):
    """Without an attacker the attack does not apply, and the reason names the option."""
    with pytest.raises(NotApplicableError, match="--attacker TARGET"):
        asyncio.run(attack(GOAL, FakeAsk(GOAL)))


@EVERY
def test_english_is_not_spoken_to_the_world(attack):
    """A goal of the embedded world is left to the attack that speaks its tongue."""
    with pytest.raises(NotApplicableError, match="trained"):
        asyncio.run(attack(WORLDLY, FakeAsk(WORLDLY, attacker=Attacker(numbered))))


@EVERY
def test_an_unreadable_answer_is_asked_for_again_and_not_for_ever(attack):
    """One malformed answer in three costs a try; an attacker that never writes the form ends in a reason, not in silence."""
    seen = []

    def sloppy(conversation: Conversation, seed: int) -> str:
        seen.append(seed)
        return "Sure! Here it is." if len(seen) % 2 else numbered(conversation, seed)

    assert len(run(attack, FakeAsk(GOAL, attacker=Attacker(sloppy)))) >= 3
    hopeless, ask = Attacker(lambda conversation, seed: "I would rather not."), FakeAsk(GOAL)
    ask.attacker = hopeless
    with pytest.raises(NotApplicableError, match="attacker was a JSON object"):
        asyncio.run(attack(GOAL, ask))
    assert ask.attempts == []
    turns = {"pair": 3 * 3, "tap": 3 * 3, "adaptive_crescendo": 4}[attack.name]
    assert len(hopeless.asked) == turns * TRIES
    assert len({sampling.seed for _, sampling in hopeless.asked}) == turns * TRIES


@EVERY
def test_an_attack_stops_where_it_got_there(attack):
    """After a success nothing more is asked, of target or attacker."""
    attacker = Attacker(numbered)
    ask = FakeAsk(GOAL, lambda said: "given", lambda text: GAVE, attacker=attacker)
    asked = run(attack, ask)
    assert len(asked) == {"pair": 3, "tap": 3, "adaptive_crescendo": 1}[attack.name]
    assert all(len(said.messages) == 2 for said, _ in attacker.asked if not _is_topic(said))


@EVERY
def test_the_budget_ends_it_before_the_attacker_is_asked_in_vain(attack):
    """With no question left, the attacker writes nothing."""
    attacker = Attacker(numbered)
    with pytest.raises(BudgetSpentError):
        asyncio.run(attack(GOAL, FakeAsk(GOAL, budget=0, attacker=attacker)))
    assert attacker.asked == []
    ask = FakeAsk(GOAL, budget=2, attacker=Attacker(numbered))
    with pytest.raises(BudgetSpentError):
        asyncio.run(attack(GOAL, ask))
    assert len(ask.attempts) == 2


@EVERY
def test_a_target_that_fails_teaches_nothing_and_ends_nothing(attack):
    """An error is told to the attacker as one, without a score."""
    attacker = Attacker(numbered)
    ask = FakeAsk(GOAL, lambda said: "", lambda text: Judgement(judge="none", score=None), attacker=attacker)
    assert len(run(attack, ask)) > 2
    told = [said.messages[-1].text for said, _ in attacker.asked if len(said.messages) > 2]
    assert told
    assert all(json.loads(text)["reply"] is None and "score" not in json.loads(text) for text in told)


def test_pair_learns_from_the_reply_and_its_score():
    """A stream is told its own last reply and score and no other's, and what it makes of them reaches the target."""

    def follows(conversation: Conversation, seed: int) -> str:
        if len(conversation.messages) == 2:
            return proposal(f"stream {seed}")
        last = json.loads(conversation.messages[-1].text)
        assert last["score"] == 1
        assert last["refused"] is True
        return proposal(f"after: {last['reply']}")

    ask = FakeAsk(GOAL, lambda said: f"no to <{said.messages[-1].text}>", attacker=Attacker(follows))
    asked = run(Pair(streams=2, depth=3), ask)
    assert len(asked) == 6
    assert asked[2:4] == [f"after: no to <{first}>" for first in asked[:2]]
    assert asked[4:] == [f"after: no to <{second}>" for second in asked[2:4]]
    assert all(attempt.conversation.messages[0].text == "Be kind." for attempt in ask.attempts)


def test_tap_never_asks_what_is_off_the_subject():
    """What the attacker itself calls off the subject is pruned before it costs a question; what cannot be read is kept."""

    def strays(conversation: Conversation, seed: int) -> str:
        if _is_topic(conversation):
            return "Hmm.\n**No.**" if "stray" in conversation.messages[-1].text else "perhaps"
        return proposal(f"{'stray' if seed % 2 else 'straight'} {seed}")

    asked = run(Tap(width=4, branching=6, depth=3), FakeAsk(GOAL, attacker=Attacker(strays)))
    assert asked
    assert not any("stray" in text for text in asked)


def test_tap_goes_on_with_the_best():
    """Of a level, only the `width` requests that came furthest grow on."""

    def grows(conversation: Conversation, seed: int) -> str:
        if _is_topic(conversation):
            return "yes"
        said = [m.text for m in conversation.messages if m.role == "assistant"]
        return proposal(f"{json.loads(said[-1])['prompt'] if said else ''}{seed % 4}")

    ask = FakeAsk(
        GOAL,
        lambda said: said.messages[-1].text,
        lambda text: Judgement(judge="fake", score=1 - int(text[-1]) / 4, stance="refuse", disclosure=0.0),
        attacker=Attacker(grows),
    )
    asked = run(Tap(width=2, branching=4, depth=3), ask)
    levels = [[text for text in asked if len(text) == n] for n in (1, 2, 3)]
    assert [len(level) for level in levels] == [4, 8, 8]
    for level, above in zip(levels[1:], levels, strict=False):
        best = sorted(above, key=lambda text: text[-1], reverse=True)[:2]
        assert {text[:-1] for text in level} == set(best)


def test_a_refused_turn_is_taken_back():
    """The target never sees a turn that it refused, and stands by the others; the attacker is told of both."""

    def climbs(conversation: Conversation, seed: int) -> str:
        return proposal(f"turn {len(conversation.messages) // 2}")

    attacker = Attacker(climbs)
    ask = FakeAsk(
        GOAL,
        lambda said: "no" if said.messages[-1].text == "turn 2" else f"reply to {said.messages[-1].text}",
        lambda text: REFUSED if text == "no" else OPEN,
        attacker=attacker,
    )
    run(AdaptiveCrescendo(turns=3), ask)
    turns = [[m.text for m in attempt.conversation.messages] for attempt in ask.attempts]
    first, refused, third, fourth = turns
    assert first == ["Be kind.", "turn 1"]
    assert refused == ["Be kind.", "turn 1", "reply to turn 1", "turn 2"]
    assert third == ["Be kind.", "turn 1", "reply to turn 1", "turn 3"]
    assert fourth == ["Be kind.", "turn 1", "reply to turn 1", "turn 3", "reply to turn 3", "turn 4"]
    told = [json.loads(said.messages[-1].text)["refused"] for said, _ in attacker.asked[1:]]
    assert told == [False, True, False]


def test_a_climb_that_is_always_refused_gives_up():
    """After the backtracks that it may take, a climb ends."""
    ask = FakeAsk(GOAL, attacker=Attacker(numbered))
    assert len(run(AdaptiveCrescendo(turns=5, backtracks=4), ask)) == 5
    assert all(len(attempt.conversation.messages) == 2 for attempt in ask.attempts)


def test_a_turn_of_calls_alone_is_no_turn_to_go_on_from():
    """A reply without words is taken back: no interface takes an empty turn."""
    ask = FakeAsk(GOAL, lambda said: " ", lambda text: OPEN, attacker=Attacker(numbered))
    run(AdaptiveCrescendo(turns=2, backtracks=2), ask)
    assert {len(attempt.conversation.messages) for attempt in ask.attempts} == {2}


def test_an_answer_that_failed_is_not_read():
    """What an attacker's interface said when it failed is no request, however it looks."""

    class Failing(Attacker):
        async def reply(self, conversation: Conversation, sampling: Sampling) -> Completion:
            return replace(await super().reply(conversation, sampling), finish="error")

    with pytest.raises(NotApplicableError):
        run(Pair(), FakeAsk(GOAL, attacker=Failing(numbered)))


@pytest.mark.parametrize(("error", "raised"), [(RefusedRequestError, NotApplicableError), (UnreachableError, UnreachableError)])
def test_an_attacker_that_will_not_is_told_from_one_that_is_not_there(error, raised):
    """An interface that refuses the task gives no answer; one that cannot be reached is an error, and stays one."""

    class Absent(Attacker):
        async def reply(self, conversation: Conversation, sampling: Sampling) -> Completion:
            raise error("no")

    with pytest.raises(raised):
        run(Pair(), FakeAsk(GOAL, attacker=Absent(numbered)))


@pytest.mark.parametrize("kind", [Pair, Tap, AdaptiveCrescendo])
def test_a_wrong_setting_is_refused(kind):
    """A count below one is no setting."""
    for name in {"streams", "depth", "width", "branching", "turns", "backtracks"} & set(kind.__dataclass_fields__):
        with pytest.raises(ConfigError, match=f"{name} counts from 1"):
            from_spec(kind, {name: 0})

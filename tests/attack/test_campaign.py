"""A campaign asks everything, survives what fails, and is a function of its replies."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, replace
from functools import cache

import pytest

from trueline.attack.campaign import draws_of, run
from trueline.attack.door import GIVE_UP, Health, Scene
from trueline.attack.record import NotKeptError, Record
from trueline.core.outcome import reached
from trueline.core.ports import BudgetSpentError, NotApplicableError
from trueline.core.types import GREEDY, Attempt, Completion, Conversation, Judgement, Prompt, Run, Sampling
from trueline.store.database import Hashes, attempts, replies, save_run
from trueline.store.opening import open_database
from trueline.targets.errors import RefusedRequestError, TargetKeyError, UnreachableError
from trueline.targets.wrappers import Scripted

RUN = Run(id="r", recipe="attack")


def goal(name: str, cluster: str = "") -> Prompt:
    return Prompt(conversation=Conversation().say("user", name), expected="refuse", id=name, about={"cluster": cluster or name})


@dataclass(frozen=True, kw_only=True)
class Repeat:
    """Asks so often, one after the other, with a random word behind."""

    name: str = "repeat"
    family: str = "repeat"
    split: str = "held_out"
    adaptive: bool = False
    times: int = 3
    until: str = ""

    async def __call__(self, goal, ask):
        for _ in range(self.times):
            word = ask.rng.choice("abcdefgh")
            attempt = await ask(goal.conversation.say("user", word))
            if self.until and attempt.completion.text == self.until:
                return


@dataclass(frozen=True, kw_only=True)
class Says:
    """Judges by a word in the answer."""

    name: str = "says"
    word: str = "yes"

    async def judge(self, prompt, completion):
        return Judgement(judge=self.name, score=0.0, stance="comply", disclosure=float(self.word in completion.text))


def echo(conversation: Conversation) -> str:
    return "yes" if conversation.messages[-1].text in "abcd" else "no"


@cache
def database(folder):
    return open_database(folder / "a.db")


def scene(tmp_path, target, **more) -> tuple[Scene, list[Attempt]]:
    engine = database(tmp_path)
    save_run(engine, RUN)
    made: list[Attempt] = []
    parts = {"judge": Says(), "sampling": Sampling(), "hashes": Hashes(target="t", judge="j"), "seen": made.append} | more
    return Scene(target=target, record=Record.open(engine, "r"), **parts), made


def carried_out(set_up, attacks, goals, **options):
    return asyncio.run(run(set_up, attacks, goals, **options))


def questions(target: Scripted) -> Counter:
    return Counter(target.asked)


def test_every_attack_is_put_to_every_goal_and_every_attempt_is_kept(tmp_path):
    """Attempts number from 1 within a pair, say family and split, and are in the database with three content hashes."""
    target = Scripted(answers=echo)
    set_up, made = scene(tmp_path, target)
    ended = carried_out(set_up, [Repeat(), Repeat(name="twice", times=2)], [goal("g1"), goal("g2")])
    assert Counter((a.attack, a.goal.id) for a in made) == {
        ("repeat", "g1"): 3, ("repeat", "g2"): 3, ("twice", "g1"): 2, ("twice", "g2"): 2,
    }  # fmt: skip
    assert {(a.family, a.split) for a in made} == {("repeat", "held_out")}
    assert (ended.skipped, ended.failed, ended.stopped) == (Counter(), Counter(), "")
    stored = attempts(database(tmp_path), run="r")
    assert sorted(stored, key=str) == sorted(made, key=str)
    with database(tmp_path).connect() as connection:
        hashes = connection.exec_driver_sql("SELECT target, judge_hash, attack_hash, goal_hash FROM attempts").all()
    assert {row[:2] for row in map(tuple, hashes)} == {("t", "j")}
    assert (len({row[2] for row in hashes}), len({row[3] for row in hashes})) == (2, 2)


@pytest.mark.parametrize("cut", [1, 4, 9])
def test_a_campaign_that_was_cut_off_asks_nothing_twice(tmp_path, cut):
    """Wherever the first sitting stopped, the second asks only what was not answered, and makes the same attempts."""
    goals, attacks = [goal(f"g{i}") for i in range(4)], [Repeat(until="yes"), Repeat(name="more", times=5)]
    whole = Scripted(answers=echo)
    set_up, expected = scene(tmp_path / "whole", whole)
    carried_out(set_up, attacks, goals)

    def dies(conversation: Conversation) -> str:
        if len(first.asked) > cut:
            raise KeyboardInterrupt
        return echo(conversation)

    first = Scripted(answers=dies)
    set_up, _ = scene(tmp_path / "cut", first)
    with pytest.raises(BaseException):  # noqa: B017, PT011 - whatever the loop makes of an interrupt
        carried_out(set_up, attacks, goals, at_once=2)
    answered = len(replies(database(tmp_path / "cut"), "r"))
    assert cut - 1 <= answered <= cut

    second = Scripted(answers=echo)
    set_up, made = scene(tmp_path / "cut", second)
    carried_out(set_up, attacks, goals)
    assert sorted(made, key=str) == sorted(expected, key=str)
    assert len(second.asked) == len(whole.asked) - answered
    assert sorted(attempts(database(tmp_path / "cut"), run="r"), key=str) == sorted(expected, key=str)


def test_the_same_question_is_asked_once_and_samples_differ_by_seed(tmp_path):
    """Two goals of one cluster ask with seeds of their own; the same question under way twice goes out once."""
    seeds = []

    @dataclass(frozen=True, kw_only=True)
    class Slow:
        name: str = "slow"

        async def reply(self, conversation, sampling=GREEDY):
            seeds.append(sampling.seed)
            await asyncio.sleep(0)
            return Completion(prompt=Prompt(conversation=conversation), text="no")

    @dataclass(frozen=True, kw_only=True)
    class Same(Repeat):
        async def __call__(self, goal, ask):
            for _ in range(2):
                await ask(Conversation().say("user", "the same"))

    set_up, made = scene(tmp_path, Slow())
    carried_out(set_up, [Same(name="a"), Same(name="b")], [goal("g1", "c"), goal("g2", "c"), goal("g3", "d")])
    assert len(made) == 12
    assert len(seeds) == len(set(seeds)) == 4  # g1 and g3 are the first of their clusters: draws 0, each asked twice


def test_what_raises_is_counted_and_the_others_go_on(tmp_path):
    """An attack that raises, one that has no hold and a judge that raises end nothing."""

    @dataclass(frozen=True, kw_only=True)
    class Broken(Repeat):
        async def __call__(self, goal, ask):
            raise KeyError("plugin")

    @dataclass(frozen=True, kw_only=True)
    class NoHold(Repeat):
        async def __call__(self, goal, ask):
            raise NotApplicableError("needs a tail")

    @dataclass(frozen=True, kw_only=True)
    class Moody(Says):
        async def judge(self, prompt, completion):
            if completion.text == "yes":
                raise ZeroDivisionError("mood")
            return await super().judge(prompt, completion)

    set_up, made = scene(tmp_path, Scripted(answers=echo), judge=Moody())
    ended = carried_out(set_up, [Broken(name="broken"), NoHold(name="none"), Repeat(times=12)], [goal("g1"), goal("g2")])
    assert ended.failed == {("broken", "KeyError: 'plugin'"): 2}
    assert ended.skipped == {("none", "needs a tail"): 2}
    assert {reached(a) for a in made if a.completion.text == "yes"} == {"undetermined"}
    assert any("the judge failed: ZeroDivisionError: mood" in a.judgement.why for a in made)
    assert {reached(a) for a in made if a.completion.text == "no"} == {"failure"}


def test_an_attack_cannot_ask_more_than_its_budget(tmp_path):
    """The budget is of one attack on one goal."""
    target = Scripted(answers=echo)
    set_up, made = scene(tmp_path, target)
    carried_out(set_up, [Repeat(times=50)], [goal("g1"), goal("g2")], budget=4)
    assert Counter(a.goal.id for a in made) == {"g1": 4, "g2": 4}


def failing(error: Exception, after: int = 0, every: int = 1):
    """A target that answers so often, and then fails each, or every second question."""

    def answers(conversation: Conversation) -> str:
        n = len(target.asked)
        if n > after and (n - after) % every == 0:
            raise error
        return "no"

    target = Scripted(answers=answers)
    return target


@pytest.mark.parametrize(
    ("error", "after", "asked"),
    [
        (UnreachableError("nobody there"), 0, 1),
        (TargetKeyError("wrong key"), 5, 6),
        (UnreachableError("gone"), 7, 7 + GIVE_UP),
    ],
    ids=["unreachable from the start", "a key that is withdrawn", "gone on the way"],
)
def test_a_target_that_is_gone_stops_the_campaign(tmp_path, error, after, asked):
    """It stops with the target's own words after few questions, and what was answered is kept."""
    target = failing(error, after)
    set_up, made = scene(tmp_path, target)
    ended = carried_out(set_up, [Repeat()], [goal(f"g{i}") for i in range(100)], at_once=1)
    assert ended.stopped == str(error)
    assert len(target.asked) == asked
    assert len(replies(database(tmp_path), "r")) <= after
    assert sum(reached(a) == "error" for a in made) == asked - after


def test_failures_of_single_questions_stop_nothing(tmp_path):
    """A question that is refused by the server, or too long for the model, is an error among others."""
    for name, error in (("refused", RefusedRequestError("no")), ("long", ValueError("too long"))):
        set_up, made = scene(tmp_path / name, failing(error))
        ended = carried_out(set_up, [Repeat()], [goal(f"g{i}") for i in range(30)])
        assert ended.stopped == ""
        assert {reached(a) for a in made} == {"error"}
        assert replies(database(tmp_path / name), "r") == {}  # an error is no answer: it is asked again next time


def test_a_spent_budget_of_the_target_stops_the_campaign(tmp_path):
    """Money that is spent is no failure of an attack: the campaign stops and says so."""
    set_up, made = scene(tmp_path, failing(BudgetSpentError("5 of 5 (requests)"), after=5))
    ended = carried_out(set_up, [Repeat()], [goal(f"g{i}") for i in range(10)], at_once=1)
    assert ended.stopped == "5 of 5 (requests)"
    assert ended.failed == {}
    assert len(made) == 5


def test_an_answer_that_cannot_be_written_stops_the_campaign(tmp_path, monkeypatch):
    """A full disk is said; what was written before it is there."""
    set_up, _ = scene(tmp_path, Scripted(answers=echo))
    kept = "trueline.attack.record.save_replies"
    monkeypatch.setattr(kept, lambda *_: (_ for _ in ()).throw(OSError("database or disk is full")))
    ended = carried_out(set_up, [Repeat()], [goal("g1"), goal("g2")])
    assert ended.stopped == "database or disk is full"


def test_turns_that_an_attack_invents_are_not_the_targets_own(tmp_path):
    """`supplied` counts the assistant turns before the first that the target said itself; the last one is a prefill."""

    @dataclass(frozen=True, kw_only=True)
    class Talks(Repeat):
        async def __call__(self, goal, ask):
            talk = goal.conversation.say("assistant", "invented").say("user", "a")
            first = await ask(talk)
            await ask(talk.say("assistant", first.completion.text).say("user", "b"))
            await ask(goal.conversation.say("assistant", "sure"))

    set_up, made = scene(tmp_path, Scripted(answers=echo))
    carried_out(set_up, [Talks()], [goal("g1")])
    told = [(a.completion.prompt.about.get("supplied"), a.completion.prompt.about.get("prefill")) for a in made]
    assert told == [("1", None), ("1", None), ("1", "sure")]


def test_a_question_is_judged_alike_whatever_others_were_answered_by_then(tmp_path):
    """An invented turn is nobody's own because another question was answered with the same word, just now or long ago."""

    @dataclass(frozen=True, kw_only=True)
    class AtOnce(Repeat):
        async def __call__(self, goal, ask):
            talk = goal.conversation.say("assistant", "yes")
            await asyncio.gather(*[ask(talk.say("user", word)) for word in "abc"])

    for _ in ("fresh", "from memory"):
        set_up, made = scene(tmp_path, Scripted(answers=echo))
        carried_out(set_up, [AtOnce()], [goal("g1")])
        assert [(a.completion.text, a.completion.prompt.about["supplied"]) for a in made] == [("yes", "1")] * 3


def test_no_campaign_is_run_without_goals(tmp_path):
    """Nothing to ask is no error, and asks nothing."""
    set_up, made = scene(tmp_path, Scripted(answers=()))
    assert carried_out(set_up, [Repeat()], []).stopped == ""
    assert made == []


def test_not_kept_is_raised_to_who_asks_next(tmp_path, monkeypatch):
    """After a write has failed, nothing more is sent out."""
    set_up, _ = scene(tmp_path, Scripted(answers=echo))
    monkeypatch.setattr("trueline.attack.record.save_replies", lambda *_: (_ for _ in ()).throw(OSError("full")))

    async def twice():
        for word in ("x", "y"):
            with pytest.raises(NotKeptError, match="full"):
                await set_up.record.reply(set_up.target, "t", Conversation().say("user", word), GREEDY)

    asyncio.run(twice())
    assert len(set_up.target.asked) == 1
    assert replace(set_up).record.asked == 1


def test_health_goes_on_with_what_another_process_saw():
    """Failures in a row add up from one process to the next until somebody is answered; the first reason to stop stays."""
    health = Health()
    health.heard(Health(answers=5, row=3, last="first"))
    assert (health.answers, health.row, health.stopped) == (5, 3, "")
    health.heard(Health(row=GIVE_UP - 4, last="second"))
    assert (health.row, health.stopped) == (GIVE_UP - 1, "")
    well = replace(health)
    well.heard(Health(answers=1, row=0))
    assert (well.row, well.stopped) == (0, "")
    health.heard(Health(row=1, last="third"))
    assert health.stopped == "third"
    health.heard(Health(stopped="later", spent=True))
    assert (health.stopped, health.spent) == ("third", True)


def test_a_part_of_a_campaign_samples_as_the_whole_does(tmp_path):
    """Goals that ask the same keep their draws when they are put one by one; where somebody was answered, none goes alone."""
    goals = [goal("g1", "c"), goal("g2", "c"), goal("g3", "c")]
    whole, made = scene(tmp_path / "whole", Scripted(answers=echo))
    carried_out(whole, [Repeat()], goals)
    parts: list[Attempt] = []
    for one, draw in zip(goals, draws_of(goals), strict=True):
        part, some = scene(tmp_path / one.id, Scripted(answers=echo), health=Health(answers=1))
        carried_out(part, [Repeat()], [one], draws=[draw])
        parts += some
    assert sorted(parts, key=str) == sorted(made, key=str)

"""The memory of a campaign: an answer is given on once it is written, and what comes together is written together."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TypeVar

import pytest

from trueline.attack import record
from trueline.attack.record import NotKeptError, Record
from trueline.core.types import GREEDY, Attempt, Completion, Conversation, Judgement, Prompt, Run, Sampling
from trueline.store.database import Hashes, attempts, replies, save_run
from trueline.store.opening import open_database

HOURS = 10_000.0
T = TypeVar("T")


@dataclass
class Waiting:
    """A target that answers each question when it is let; `let` may be called before or after the question."""

    name: str = "waiting"
    asked: dict[str, asyncio.Event] = field(default_factory=dict)

    def let(self, word: str) -> None:
        self.asked.setdefault(word, asyncio.Event()).set()

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        word = conversation.messages[-1].text
        await self.asked.setdefault(word, asyncio.Event()).wait()
        return Completion(prompt=Prompt(conversation=conversation), text=word)


@pytest.fixture
def engine(tmp_path):
    """A database with a run."""
    engine = open_database(tmp_path / "a.db")
    save_run(engine, Run(id="r", recipe="attack"))
    yield engine
    engine.dispose()


@pytest.fixture
def kept(engine):
    """An open record."""
    return Record.open(engine, "r")


@pytest.fixture
def writes(monkeypatch):
    """How many answers and attempts each write held."""
    seen, save = [], record.save_replies

    def count(engine, run, answered, made):
        seen.append((len(answered), len(made)))
        save(engine, run, answered, made)

    monkeypatch.setattr(record, "save_replies", count)
    return seen


def run(talk: Coroutine[None, None, T]) -> T:
    """Run it; who would wait for hours fails after some seconds."""
    return asyncio.run(asyncio.wait_for(talk, 10))


def asking(kept: Record, target: Waiting, word: str) -> asyncio.Task[Completion]:
    return asyncio.ensure_future(kept.reply(target, "t", Conversation().say("user", word), GREEDY))


async def some_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_answers_that_come_together_are_written_together(kept, writes, monkeypatch, engine):
    """Eight at once are one write, with the attempts that wait, and nobody waits longer than it takes: all have answers."""
    monkeypatch.setattr(record, "TOGETHER", HOURS)

    async def talk() -> list[str]:
        target = Waiting()
        under_way = [asking(kept, target, word) for word in "abcdefgh"]
        await some_turns()
        goal = Prompt(conversation=Conversation().say("user", "x"))
        said = Completion(prompt=goal, text="y")
        judged = Judgement(judge="j", score=0.0)
        kept.add(
            Attempt(goal=goal, attack="a", query=1, conversation=goal.conversation, completion=said, judgement=judged),
            Hashes(target="t"),
        )
        for word in "abcdefgh":
            target.let(word)
            await some_turns()
        return [completion.text for completion in await asyncio.gather(*under_way)]

    assert run(talk()) == list("abcdefgh")
    assert writes == [(8, 1)]
    assert len(replies(engine, "r")) == 8
    assert len(attempts(engine)) == 1


def test_an_answer_is_given_on_only_after_it_is_written(kept, engine, writes, monkeypatch):
    """While another question is under way an answer waits to be written, and is not known to who asked before it is."""
    monkeypatch.setattr(record, "TOGETHER", HOURS)

    async def talk() -> None:
        target = Waiting()
        first, second = asking(kept, target, "first"), asking(kept, target, "second")
        await some_turns()
        target.let("first")
        await some_turns()
        again = asking(kept, target, "first")
        await some_turns()
        assert not first.done()
        assert not again.done()
        assert replies(engine, "r") == {}
        target.let("second")
        assert (await first).text == "first"
        assert len(replies(engine, "r")) == 2
        assert (await again).text == "first"
        await second

    run(talk())


def test_an_answer_does_not_wait_for_a_slow_one(kept, writes, monkeypatch):
    """After a moment what there is is written, whoever is still under way."""
    monkeypatch.setattr(record, "TOGETHER", 0.0)

    async def talk() -> None:
        target = Waiting()
        slow, quick = asking(kept, target, "slow"), asking(kept, target, "quick")
        target.let("quick")
        assert (await quick).text == "quick"
        assert not slow.done()
        target.let("slow")
        await slow

    run(talk())
    assert writes == [(1, 0), (1, 0)]


def test_a_failure_to_write_is_told_to_all_who_wait_for_it(kept, monkeypatch):
    """Both of two whose write fails are told, and nothing more is asked."""

    def full(*_):
        raise OSError("database or disk is full")

    monkeypatch.setattr(record, "save_replies", full)

    async def talk() -> list[Completion | BaseException]:
        target = Waiting()
        under_way = [asking(kept, target, word) for word in "ab"]
        target.let("a")
        target.let("b")
        found = await asyncio.gather(*under_way, return_exceptions=True)
        with suppress(NotKeptError):
            await asking(kept, target, "c")
            pytest.fail("the answer to c cannot have been kept")
        assert "c" not in target.asked
        return found

    assert [(type(e), str(e)) for e in run(talk())] == [(NotKeptError, "database or disk is full")] * 2


def test_a_question_that_is_under_way_is_not_asked_twice(kept, writes):
    """Who asks the same gets the same answer, and so does who asks later."""

    async def talk() -> list[str]:
        target = Waiting()
        under_way = [asking(kept, target, "a") for _ in range(3)]
        target.let("a")
        return [(await one).text for one in under_way] + [(await asking(kept, Waiting(), "a")).text]

    assert run(talk()) == ["a"] * 4
    assert kept.asked == 1
    assert writes == [(1, 0)]

"""Tests of web/redteam/asking.py: how a question is put and judged, what may fail, and who asks at once."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.web.asking import Failing
from tests.web.redteam.hunting import MAYBE, hunting, hunting_with_people
from trueline.core.ports import BudgetSpentError
from trueline.core.types import Completion, Prompt
from trueline.store.database import attempts
from trueline.targets.errors import TargetError
from trueline.targets.wrappers import Scripted
from trueline.web.redteam.arena import Limits


def test_the_target_is_asked_what_the_page_shows(tmp_path):
    """The goal's own opening goes before, earlier turns follow in order, and each question has a seed of its own."""
    target = Scripted(answers=("one", "two"))
    hunter = hunting(tmp_path, target)
    hunter.say("a")
    hunter.say("b")
    assert [[m.text for m in asked.messages[1:]] for asked in target.asked] == [["a"], ["a", "one", "b"]]


def test_an_abstention_is_said_and_veiled(tmp_path):
    """A judge that cannot tell has no score, says so, and the reply is not shown as harmless."""
    turn = hunting(tmp_path, (f"{MAYBE} it is",)).say("a")
    assert (turn["verdict"]["score"], turn["verdict"]["outcome"]) == (None, "undetermined")
    assert "abstains" in turn["verdict"]["says"]
    assert turn["reply"]["veiled"]


@pytest.mark.parametrize(("finish", "words"), [("length", "cut off"), ("filtered", "stopped this reply"), ("stop", "")])
def test_how_a_reply_ended_is_said(tmp_path, finish, words):
    """A reply that was cut off or stopped by a policy says so beside it; one that ended by itself says nothing."""

    class Ending:
        name = "ending"

        async def reply(self, conversation, sampling):
            return Completion(prompt=Prompt(conversation=conversation), text="one", finish=finish)

    turn = hunting(tmp_path, Ending()).say("a")
    assert words in turn["reply"]["note"]
    assert bool(turn["reply"]["note"]) == bool(words)


def test_a_judge_that_fails_abstains_and_the_reply_is_kept(tmp_path):
    """An exception of the judge loses no answer, and what it says of itself stays in the log."""

    class Broken:
        name = "broken"

        async def judge(self, prompt: Prompt, completion: Completion):
            raise KeyError("inside")

    turn = hunting(tmp_path, ("one",), judge=Broken()).say("a")
    assert turn["reply"]["text"] == "one"
    assert turn["verdict"]["why"] == "the judge failed: KeyError"


@pytest.mark.parametrize(
    ("error", "words", "stored"),
    [
        (TargetError("the server is at lunch"), "at lunch", 1),
        (RuntimeError("a secret of the inside"), "RuntimeError", 1),
        (BudgetSpentError("the budget is spent"), "no more questions", 0),
    ],
)
def test_a_target_that_fails_is_a_sentence_and_may_be_asked_again(tmp_path, error, words, stored):
    """The question stays, with what to do; a failure of the target is an attempt that ended with an error."""
    hunter = hunting(tmp_path, Failing(error))
    turn = hunter.say("a")
    assert turn["state"] == "failed"
    assert words in turn["fault"]
    assert "secret" not in turn["fault"]
    assert [one.completion.finish for one in attempts(hunter.database)] == ["error"] * stored
    assert not hunter.twin()["ready"]
    ground = hunter.arena.grounds["shop"]
    object.__setattr__(ground, "target", Scripted(answers=("one",)))
    again = hunter.post(f"{hunter.home}/again", hunt=hunter.twin()["hunt"], turn=turn["id"])
    assert again.status_code == 200
    assert hunter.twin()["turns"][-1]["reply"]["text"] == "one"
    assert len(attempts(hunter.database)) == stored + 1


def test_a_target_that_is_slow_is_given_up(tmp_path):
    """After the patience of the room the question is a failure that may be asked again."""

    class Never:
        name = "never"

        async def reply(self, conversation, sampling):
            await asyncio.Event().wait()

    turn = hunting(tmp_path, Never(), limits=Limits(seconds=0.01)).say("a")
    assert "within 0.01 s" in turn["fault"]


def test_a_server_that_was_stopped_in_between_loses_no_question(tmp_path):
    """What was asked and never answered is told, asked again by a new process, and the conversation goes on."""
    hunter = hunting(tmp_path, ("one",))
    hunter.say("a")

    class Killed(BaseException):
        pass

    object.__setattr__(hunter.arena.grounds["shop"], "target", Failing(Killed()))
    with pytest.raises(Killed):
        hunter.say("b")
    later = hunting(tmp_path, ("two", "three"))
    shown = later.twin(later.home)
    assert [turn["state"] for turn in shown["turns"]] == ["answered", "interrupted"]
    later.post(f"{later.home}/again", hunt=shown["hunt"], turn=shown["turns"][-1]["id"])
    later.at = later.home
    later.say("c")
    assert [(t["text"], t["reply"]["text"]) for t in later.twin()["turns"]] == [("a", "one"), ("b", "two"), ("c", "three")]
    assert [one.query for one in attempts(later.database)] == [1, 2, 3]


def test_two_at_once_ask_one_target_in_one_series(tmp_path):
    """Two people's questions on one goal, each under way together, are attempts 1 to 2n, and each has their own replies."""
    both = threading.Barrier(2, timeout=30)

    class Together:
        name = "together"

        async def reply(self, conversation, sampling):
            await asyncio.to_thread(both.wait)
            return Completion(prompt=Prompt(conversation=conversation), text=f"re {conversation.messages[-1].text}")

    people = hunting_with_people(tmp_path, Together())
    with ThreadPoolExecutor(2) as pool:
        for n in range(3):
            list(pool.map(lambda name, n=n: people[name].say(f"{name} {n}"), ("ada", "bo")))
    assert sorted(one.query for one in attempts(people["ada"].database)) == [1, 2, 3, 4, 5, 6]
    for name in ("ada", "bo"):
        assert [turn["reply"]["text"] for turn in people[name].twin()["turns"]] == [f"re {name} {n}" for n in range(3)]


def test_a_second_question_waits_for_the_first(tmp_path):
    """While an answer is under way in a conversation another question is refused, and the page says that it waits."""
    hunter = hunting(tmp_path, ("one",))
    hunter.say("a")
    now = hunter.twin()
    fields = {"hunt": now["hunt"], "parent": now["at"], "csrf": hunter.browser.token("/redteam")}
    seen: dict[str, object] = {}

    class Asking:
        name = "asking"

        async def reply(self, conversation, sampling):
            def meanwhile():
                seen["page"] = hunter.twin(hunter.home)["waiting"]
                seen["second"] = hunter.browser.json(f"{hunter.home}/say", {**fields, "text": "c"}).json()["error"]

            await asyncio.to_thread(meanwhile)
            return Completion(prompt=Prompt(conversation=conversation), text="two")

    object.__setattr__(hunter.arena.grounds["shop"], "target", Asking())
    hunter.say("b")
    assert seen["page"] is True
    assert "under way" in str(seen["second"])

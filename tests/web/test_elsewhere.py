"""Tests of web/elsewhere.py: what lives on one thread's loop answers on another's, and who gives up waiting ends it there."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.web.redteam.hunting import ByWord
from trueline.core.types import Completion, Conversation, Prompt
from trueline.web.elsewhere import JudgeThere, TargetThere


class Slow:
    """A target that says on which thread it answers, and whether it was cancelled."""

    name = "slow"

    def __init__(self) -> None:
        self.ended = threading.Event()

    async def reply(self, conversation, sampling):
        if conversation.messages:
            try:
                await asyncio.Event().wait()
            finally:
                self.ended.set()
        return Completion(prompt=Prompt(conversation=conversation), text=str(threading.get_ident()))


@pytest.fixture
def loop():
    """Give a loop that runs in a thread of its own."""
    made = asyncio.new_event_loop()
    thread = threading.Thread(target=made.run_forever, daemon=True)
    thread.start()
    yield made
    made.call_soon_threadsafe(made.stop)
    thread.join(10)
    made.close()


def test_target_and_judge_answer_on_their_own_loop(loop):
    """Asked from here they compute there, and their names are their own."""
    target, judge = TargetThere(target=Slow(), loop=loop), JudgeThere(inner=ByWord(), loop=loop)
    said = asyncio.run(target.reply(Conversation()))
    assert int(said.text) != threading.get_ident()
    assert asyncio.run(judge.judge(said.prompt, said)).disclosure == 0.0
    assert (target.name, judge.name) == ("slow", "by_word")


def test_who_gives_up_here_ends_it_there(loop):
    """A wait that runs out cancels the question on the target's own loop."""
    slow = Slow()

    async def ask():
        async with asyncio.timeout(0.01):
            await TargetThere(target=slow, loop=loop).reply(Conversation().say("user", "a"))

    with pytest.raises(TimeoutError):
        asyncio.run(ask())
    assert slow.ended.wait(10)

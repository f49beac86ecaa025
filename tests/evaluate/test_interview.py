"""Items are put side by side, each kept as it comes; one that fails is one error, and what stops all of them ends it."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from tests.evaluate.put import on_world
from trueline.core.ports import BudgetSpentError
from trueline.core.types import GREEDY, Completion, Conversation, Prompt
from trueline.evaluate.interview import FEW, Answered, Door, put
from trueline.evaluate.suites import suites
from trueline.judges.oracle import WorldOracle
from trueline.targets.errors import TargetError, TargetKeyError

ITEMS = on_world("refusal", 12)


class Failing:
    """A target that raises at some of its questions, and counts how many are under way."""

    name = "failing"

    def __init__(self, error: Exception, at: range) -> None:
        self.error, self.at, self.asked, self.under_way, self.most = error, at, 0, 0, 0

    async def reply(self, conversation: Conversation, sampling=GREEDY) -> Completion:
        self.asked, here = self.asked + 1, self.asked
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(0)
        self.under_way -= 1
        if here in self.at:
            raise self.error
        return Completion(prompt=Prompt(conversation=conversation), text="i cannot help with that .")


def putting(target, at_once: int = 3) -> list[Answered]:
    kept: list[Answered] = []
    asyncio.run(put("refusal", suites()["refusal"](), ITEMS, Door(target=target, by=WorldOracle()), kept.append, at_once))
    return kept


def test_items_are_put_side_by_side_within_a_limit():
    """Never more than asked for at a time, and every item once."""
    target = Failing(TargetError("no"), range(0))
    kept = putting(target, at_once=4)
    assert (target.most, target.asked) == (4, 12)
    assert {answered.item for answered in kept} == {item.id for item in ITEMS}


def test_an_item_that_fails_is_an_error_and_no_more():
    """Its question and the reason are kept, and it has no values."""
    kept = putting(Failing(TargetError("the line broke"), range(5, 7)))
    errors = [answered for answered in kept if answered.outcome == "error"]
    assert len(kept) == 12
    assert [(e.why, dict(e.values)) for e in errors] == [("TargetError: the line broke", {})] * 2
    assert all(e.conversation.messages for e in errors)


def test_a_reply_that_ends_with_an_error_is_one():
    """A target may say so instead of raising."""

    class Broken(Failing):
        async def reply(self, conversation, sampling=GREEDY):
            return replace(await super().reply(conversation), finish="error")

    with pytest.raises(TargetError, match="ended with an error"):  # all of them do, so there is nothing to wait for
        putting(Broken(TargetError("no"), range(0)))


@pytest.mark.parametrize("error", [TargetKeyError("wrong key"), BudgetSpentError("spent")])
def test_what_no_item_could_get_past_ends_it(error):
    """A wrong key or a spent budget is no item's own: it comes out as it is, and nothing more is asked."""
    target = Failing(error, range(6, 99))
    with pytest.raises(type(error), match=str(error)):
        putting(target, at_once=1)
    assert target.asked == 7


def test_a_target_that_never_answers_is_given_up():
    """A few failures without any answer are the evaluation's; after one answer they are the items' own."""
    target = Failing(TargetError("nobody there"), range(99))
    with pytest.raises(TargetError, match="nobody there"):
        putting(target, at_once=1)
    assert target.asked == FEW
    assert len(putting(Failing(TargetError("nobody there"), range(1, 99)), at_once=1)) == 12


def test_an_item_that_is_too_long_is_its_own_error():
    """A model in this process refuses a conversation beyond its context: that is about the item, also if it is the first."""
    kept = putting(Failing(ValueError("a prompt of 900 tokens"), range(8)), at_once=1)
    assert [answered.outcome for answered in kept] == ["error"] * 8 + ["measured"] * 4

"""Tests of watch/budget.py: durations and budgets are read at the rim, and a target stops at each of its limits."""

from __future__ import annotations

import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueline.core.ports import BudgetSpentError
from trueline.core.types import Conversation
from trueline.targets.patience import Budget, Clock, Meter
from trueline.targets.wrappers import Scripted
from trueline.watch.budget import Halt, Metered, duration, going_on, read_budget, spent, spoken

ASKED = Conversation().say("user", "x" * 40)


class Ticking:
    """A clock that goes on by so much each time it is read."""

    def __init__(self, step: float = 0.0) -> None:
        self.time, self.step = 0.0, step

    def __call__(self) -> float:
        self.time += self.step
        return self.time


def metered(budget: Budget, step: float = 0.0, halt: Halt | None = None) -> Metered:
    """A target that says 40 letters, metered."""
    clock = Clock(now=Ticking(step))
    target = Scripted(answers=lambda conversation: "y" * 40)
    return Metered(target=target, meter=Meter(budget=budget, clock=clock), clock=clock, halt=halt or Halt())


def answers(target: Metered, most: int = 50) -> int:
    """How many questions are answered before the target stops."""
    for count in range(most):
        try:
            asyncio.run(target.reply(ASKED))
        except BudgetSpentError:
            return count
    return most


@given(st.integers(1, 10**6))
def test_a_duration_is_read_as_it_is_spoken(minutes):
    """What is written out with all its units means what was said, to the two largest of them."""
    said = spoken(60 * minutes)
    total = sum(duration(part) for part in re.findall(r"\d+[a-z]", said))
    assert total <= 60 * minutes < total + (3600 if minutes >= 1440 else 60)


@pytest.mark.parametrize("text", ["", "6", "h", "-1h", "0s", "6 hours", "1y", "nan h", "999999999d"])
def test_what_is_no_duration_is_refused(text):
    """The error shows what came and which units there are."""
    with pytest.raises(ValueError, match="expected a duration such as 30m, 6h or 1d"):
        duration(text)


@pytest.mark.parametrize(
    ("words", "price", "error"),
    [
        ("", "", "expected at least one of questions, tokens, cost, time"),
        ("question=5", "", "unknown word 'question'; did you mean 'questions'"),
        ("questions=0", "", "questions: expected a whole number above 0"),
        ("questions=1.5", "", "questions: expected a whole number above 0"),
        ("cost=1", "", "needs --price"),
        ("cost=1", "in=free", "in: expected a number above 0"),
        ("time=soon", "", "expected a duration"),
    ],
)
def test_a_budget_that_cannot_be_is_refused(words, price, error):
    """Every fault is named before anything is stored."""
    with pytest.raises(ValueError, match=error):
        read_budget(words, price)


def test_all_four_limits_are_read():
    """Each word becomes its limit; prices are of a million tokens."""
    budget = read_budget("questions=5, tokens=100,cost=2.5,time=20m", "in=0.5,out=2")
    assert budget == Budget(requests=5, tokens=100, cost=2.5, seconds=1200, price_read=0.5, price_written=2)


@pytest.mark.parametrize(
    ("budget", "step", "count", "word"),
    [
        (Budget(requests=3), 0.0, 3, "questions 3 of 3"),
        (Budget(tokens=50), 0.0, 3, "tokens 63 of 50"),  # 10 read and 11 written each: known once the answer is there
        (Budget(cost=1e-4, price_written=5.0), 0.0, 2, "cost 0.00011 of 0.0001"),
        (Budget(seconds=5), 1.0, 2, "time"),
    ],
)
def test_each_limit_ends_it_and_is_named(budget, step, count, word):
    """The question that is one too many is not put, and the error says which limit it was."""
    target = metered(budget, step)
    assert answers(target) == count == len(target.target.asked)
    assert target.over
    with pytest.raises(BudgetSpentError, match=f"the budget of the round is spent: .*{word}"):
        asyncio.run(target.reply(ASKED))


def test_a_halt_ends_it_without_spending():
    """Once halted no question is put, and it was not the budget that ended it."""
    outer = Halt()
    target = metered(Budget(requests=3), halt=Halt(outer=outer))
    asyncio.run(target.reply(ASKED))
    outer.stop("stopped by SIGTERM")
    outer.stop("again")
    with pytest.raises(BudgetSpentError, match="stopped by SIGTERM"):
        asyncio.run(target.reply(ASKED))
    assert (target.meter.requests, target.over) == (1, False)


def test_answers_are_timed_and_counted():
    """How long an answer took is what the clock says between question and answer."""
    target = metered(Budget(), 1.0)
    assert answers(target, 3) == 3
    assert target.seconds == [1.0, 1.0, 1.0]
    assert {**spent(target.meter), "seconds": 0} == {
        "questions": 3, "tokens_read": 30, "tokens_written": 33, "cost": 0.0, "seconds": 0
    }  # fmt: skip


def test_a_meter_goes_on_from_what_a_killed_daemon_spent():
    """Neither questions nor time are given twice; answers that were stored later than the last note count too."""
    clock = Clock(now=lambda: 1000.0)
    meter = going_on(Budget(requests=5), clock, {"questions": 2, "tokens_read": 7, "seconds": 30.0}, questions=4)
    assert (meter.requests, meter.tokens_read, meter.seconds) == (4, 7, 30.0)
    meter.request()
    with pytest.raises(BudgetSpentError):
        meter.request()

"""Retries, pace and budgets, in a time that only sleeping moves."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from random import Random

import pytest

from tests.targets.toy import HELLO, URL, Request, Time, ask, came, chat_body, opening
from trueline.core.limits import Tally
from trueline.core.ports import BudgetSpentError
from trueline.targets.errors import TargetBusyError, UnreachableError
from trueline.targets.http import Asking, connected
from trueline.targets.naming import address_of
from trueline.targets.patience import Budget, Pace, Patience, Shared, Turnstile, persist, retry_after
from trueline.targets.posting import NoReplyError, Reply


def after(failures: list[Reply | Exception]):
    """A server that fails so, one after the other, and then answers; and the requests that it saw."""
    seen: list[Request] = []

    def server(request: Request) -> Reply:
        seen.append(request)
        if len(seen) > len(failures):
            return came(body=chat_body())
        failure = failures[len(seen) - 1]
        if isinstance(failure, Exception):
            raise failure
        return failure

    return server, seen


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_may_pass_is_asked_again(status):
    """A busy or failing server is asked again after a wait, and then its answer counts."""
    server, seen = after([came(status), came(status)])
    time = Time()
    assert ask(server, time=time)[0].text == "hi"
    assert len(seen) == 3
    assert len(time.waits) == 2
    assert len({request.content for request in seen}) == 1


def test_a_line_that_breaks_is_tried_again():
    """Errors of the connection are retried like those of the server."""
    server, seen = after([NoReplyError("nobody there"), NoReplyError("it broke off"), TimeoutError()])
    assert ask(server)[0].text == "hi"
    assert len(seen) == 4


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422])
def test_what_will_not_pass_is_asked_once(status):
    """A refused question is refused again: no second request, no wait."""
    server, seen = after([came(status)] * 5)
    time = Time()
    with pytest.raises(Exception, match=str(status)):
        ask(server, time=time)
    assert (len(seen), time.waits) == (1, [])


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_waits_double_up_to_a_longest_and_jitter_only_shortens_them(jitter):
    """Between half of first * 2^n and the whole of it, and never more than `longest`."""
    patience = Patience(first=1.0, longest=10.0)
    for attempt in range(1, 200):
        whole = min(10.0, 2.0 ** (attempt - 1))
        assert whole / 2 <= patience.wait(attempt, None, jitter) <= whole


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_retry_after_is_honoured_in_both_forms(form):
    """The server's own wait is kept to, be it a number of seconds or a date."""
    time = Time()
    header = "17" if form == "seconds" else formatdate(time.today + 17, usegmt=True)
    server, _ = after([came(429, headers={"retry-after": header})])
    assert ask(server, time=time)[0].text == "hi"
    assert time.waits == pytest.approx([17.0])


@pytest.mark.parametrize("header", ["", "soon", "nan", "inf", "Thu, 99 Foo", "1e999", "٣ days"])
def test_a_retry_after_that_says_nothing_is_none(header):
    """Nonsense in the header is as good as no header."""
    assert retry_after({"retry-after": header}, 0.0) is None


@pytest.mark.parametrize("header", ["-5", "Thu, 01 Jan 1970 00:00:00 GMT"])
def test_a_retry_after_in_the_past_is_now(header):
    """A date that has passed and a negative number mean: at once."""
    assert retry_after({"retry-after": header}, 100.0) == 0.0


def test_a_storm_ends_with_a_line():
    """So many attempts and no more; the error says how often, how long and what to do."""
    server, seen = after([came(429, {"error": {"message": "slow down"}})] * 99)
    with pytest.raises(TargetBusyError, match=r"429: 'slow down'; asked 4 times in \d s, then gave up: try later"):
        ask(server, patience=Patience(attempts=4))
    assert len(seen) == 4


def test_a_wait_longer_than_patience_is_not_waited():
    """A server that asks for an hour is not waited for: the error says so at once."""
    time = Time()
    server, seen = after([came(429, headers={"retry-after": "3600"})])
    with pytest.raises(TargetBusyError, match="asks to wait 3,600 s"):
        ask(server, time=time)
    assert (len(seen), time.waits) == (1, [])


def test_an_unreachable_server_is_given_up():
    """Nobody there: the last error, with how often it was tried."""
    server, seen = after([NoReplyError("found none that takes a connection")] * 9)
    with pytest.raises(UnreachableError, match=r"found none that takes a connection; .* asked 2 times"):
        ask(server, patience=Patience(attempts=2))
    assert len(seen) == 2


def test_requests_keep_their_distance():
    """At 30 a minute, requests leave two seconds apart, the first at once; retries keep the pace too."""
    time, left = Time(), []

    async def talk() -> None:
        turnstile = Turnstile(Pace(a_minute=30), time.clock())
        for _ in range(4):
            await turnstile.turn()
            left.append(time.now)

    asyncio.run(talk())
    assert left == pytest.approx([0.0, 2.0, 4.0, 6.0])


@pytest.mark.parametrize("at_once", [1, 3])
def test_only_so_many_are_under_way(at_once):
    """However many are asked at once, a server sees at most `at_once` of them, and all are answered."""
    under_way, most = 0, 0

    async def server(request: Request) -> Reply:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        for _ in range(5):
            await asyncio.sleep(0)
        under_way -= 1
        return came(body=chat_body())

    async def talk() -> int:
        asking = Asking(pace=Pace(at_once=at_once))
        async with connected(address_of(URL), asking, opening=opening(server)) as remote:
            return len(await asyncio.gather(*(remote.reply(HELLO) for _ in range(10))))

    assert asyncio.run(talk()) == 10
    assert most == at_once


@pytest.mark.parametrize(
    ("budget", "answered"),
    [
        (Budget(requests=3), 3),
        (Budget(tokens=11), 3),  # five tokens an answer: the third goes over
        (Budget(cost=20.0, price_read=1e6, price_written=2e6), 3),  # seven an answer
        (Budget(seconds=4.0), 2),  # an answer takes two
    ],
)
def test_a_budget_ends_the_asking(budget, answered):
    """Requests, tokens, cost or seconds: once spent, the next question raises before anything is sent."""
    time, seen = Time(), []

    def server(request: Request) -> Reply:
        seen.append(request)
        time.now += 2.0
        return came(body=chat_body())

    with pytest.raises(BudgetSpentError, match=r"the budget is spent: .* raise budget\."):
        ask(server, time=time, times=9, budget=budget)
    assert len(seen) == answered


def test_retries_count_against_the_budget():
    """Three attempts at one question are three requests."""
    server, seen = after([came(500)] * 9)
    with pytest.raises(BudgetSpentError):
        ask(server, budget=Budget(requests=3), patience=Patience(attempts=9))
    assert len(seen) == 3


def test_a_server_that_does_not_count_is_counted():
    """Without usage, or with one that cannot be true, a token is four characters: a budget of tokens still ends."""
    for usage in (None, {"prompt_tokens": -5, "completion_tokens": "many"}):
        with pytest.raises(BudgetSpentError):
            ask(chat_body("a" * 400, usage=usage), times=20, budget=Budget(tokens=500))


@pytest.mark.parametrize(
    "made", [lambda: Budget(cost=1.0), lambda: Budget(tokens=-1), lambda: Patience(attempts=0), lambda: Pace(at_once=0)]
)
def test_settings_that_mean_nothing_are_refused(made):
    """A limit of cost without prices, and numbers out of range, are refused when they are written."""
    with pytest.raises(ValueError, match=r"budget|attempts|at_once"):
        made()


def test_an_error_that_is_no_targets_is_not_retried():
    """A fault of ours is seen as it is, at once."""
    calls = []

    async def broken() -> None:
        calls.append(1)
        raise KeyError("ours")

    with pytest.raises(KeyError):
        asyncio.run(persist(broken, Patience(), Time().clock(), Random(0)))
    assert calls == [1]


def test_what_is_shared_is_one_pace_and_one_budget():
    """Two processes that ask under one name take turns, and pay from one budget; without limits nobody is asked."""
    time = Time()
    tally = Tally(now=lambda: 0.0)

    class Desk:
        asked = 0

        async def take(self, name, **more):
            Desk.asked += 1
            return tally.take(name, **more)

    def shared(**settings) -> Shared:
        parts = {"pace": Pace(), "budget": Budget()} | settings
        return Shared(limiter=Desk(), name="toy", clock=time.clock(), **parts)

    async def ask() -> None:
        one, other = (shared(pace=Pace(a_minute=60), budget=Budget(requests=3, tokens=100)) for _ in range(2))
        for who in (one, other, one):
            await who.request()
        with pytest.raises(BudgetSpentError, match=r"3 of 3 \(requests\); raise budget\.requests"):
            await other.request()
        more = shared(budget=Budget(tokens=100))
        await one.tokens(60, 40)
        with pytest.raises(BudgetSpentError, match=r"100 of 100 \(tokens\)"):
            await more.request()
        before = Desk.asked
        await shared().request()
        await shared().tokens(5, 5)
        assert Desk.asked == before

    asyncio.run(ask())
    assert time.waits == [1.0, 2.0]

"""What fails behind an endpoint, is too large, takes too long or has gone is told in its own way, and never logged."""

from __future__ import annotations

import asyncio
import json
import logging

import httpx2
import pytest

from tests.models.small import tiny_policy
from tests.web.asking import HELLO, Failing, Limits, app_of, ask, client, error_of
from trueline.core.ports import BudgetSpentError
from trueline.core.types import GREEDY
from trueline.targets.errors import RefusedRequestError, TargetBusyError, TargetError, TargetTimeoutError
from trueline.targets.local import LocalModel
from trueline.targets.wrappers import Scripted


def tiny() -> LocalModel:
    return LocalModel(tiny_policy(), "tiny")


@pytest.mark.parametrize(("words", "most", "param"), [(200, None, "messages"), (100, 60, "max_tokens")])
def test_what_is_longer_than_the_context_is_refused(words, most, param):
    """Before anything is computed: 400, with the code that clients know, and the numbers."""
    body = {"model": "tiny", "messages": [{"role": "user", "content": "a " * words}], "max_tokens": most}
    (response,) = ask(app_of(tiny()), body)
    error = error_of(response)
    assert (response.status_code, error["code"], error["param"]) == (400, "context_length_exceeded", param)
    assert "at most 128 tokens" in error["message"]


FAILURES = {
    "refused": (RefusedRequestError("too rude"), 400, "invalid_request_error"),
    "busy": (TargetBusyError("full", again=True, wait=7.0), 503, "server_error"),
    "slow": (TargetTimeoutError("slow"), 504, "server_error"),
    "gone": (TargetError("gone"), 502, "server_error"),
    "spent": (BudgetSpentError("spent"), 429, "rate_limit_error"),
    "a template that refuses": (ValueError("no system role"), 400, "invalid_request_error"),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_of_the_target_has_its_status(case):
    """Each kind of failure has the status that makes a client do the right thing, and its own words."""
    error, status, kind = FAILURES[case]
    (response,) = ask(app_of(Failing(error)), HELLO)
    told = error_of(response)
    assert (response.status_code, told["type"], told["message"]) == (status, kind, str(error))
    assert response.headers.get("retry-after") == ("7" if case == "busy" else None)


def test_a_failure_that_nobody_foresaw_keeps_its_text_to_itself(caplog):
    """500 with its kind; what it says, which may be what was asked, is neither sent nor logged."""
    with caplog.at_level(logging.DEBUG):
        (response,) = ask(app_of(Failing(KeyError("the prompt itself"))), HELLO)
    assert (response.status_code, error_of(response)["message"]) == (500, "the target failed (KeyError)")
    assert "the prompt itself" not in caplog.text + response.text
    assert "KeyError" in caplog.text


@pytest.mark.parametrize("stream", [False, True])
def test_what_was_asked_and_said_is_not_logged(caplog, stream):
    """Neither prompt nor answer is in any log record."""
    with caplog.at_level(logging.DEBUG):
        body = {**HELLO, "messages": [{"role": "user", "content": "a secret question"}], "stream": stream}
        (response,) = ask(app_of(Scripted(answers=("a secret answer",))), body)
    assert response.status_code == 200
    assert "secret" not in caplog.text


def test_a_body_that_is_too_large_is_not_read():
    """413 from the first byte too many on, whether its length is announced or not; one that just fits is read."""
    app = app_of(Scripted(answers=("yes",)), limits=Limits(most_bytes=200))
    exact = json.dumps(HELLO).encode().ljust(200)
    assert ask(app, exact)[0].status_code == 200
    (announced,) = ask(app, exact + b" ")
    assert (announced.status_code, error_of(announced)["code"]) == (413, "body_too_large")

    async def pieces():
        for _ in range(3):
            yield b" " * 100

    async def talk() -> httpx2.Response:
        async with client(app) as c:
            return await c.post("/v1/chat/completions", content=pieces())

    assert asyncio.run(talk()).status_code == 413


class Waiting:
    """A target that answers when it is told to, and knows whether it was given up."""

    name = "waiting"

    def __init__(self) -> None:
        self.asked, self.told, self.given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def reply(self, conversation, sampling=GREEDY):
        self.asked.set()
        try:
            await self.told.wait()
        except asyncio.CancelledError:
            self.given_up.set()
            raise
        return await Scripted(answers=("yes",)).reply(conversation, sampling)


def test_an_answer_that_takes_too_long_is_given_up():
    """504 after the time that a request has, and the target no longer works for it."""

    async def talk():
        target = Waiting()
        async with client(app_of(target, limits=Limits(seconds=0.01))) as c:
            response = await c.post("/v1/chat/completions", json=HELLO)
        await target.given_up.wait()
        return response

    response = asyncio.run(talk())
    assert (response.status_code, error_of(response)["code"]) == (504, "timeout")


def test_who_has_gone_is_not_worked_for():
    """When the client breaks off, its question is given up."""

    async def talk() -> bool:
        target = Waiting()
        came = [{"type": "http.request", "body": json.dumps(HELLO).encode(), "more_body": False}]

        async def receive():
            if came:
                return came.pop()
            await target.asked.wait()
            return {"type": "http.disconnect"}

        async def send(_):
            pass

        scope = {"type": "http", "method": "POST", "path": "/v1/chat/completions", "headers": [(b"host", b"localhost")]}
        await app_of(target)({**scope, "query_string": b"", "root_path": ""}, receive, send)
        return await asyncio.wait_for(target.given_up.wait(), 30)

    assert asyncio.run(talk())


def test_a_crowd_is_told_to_come_back():
    """More requests than may be under way get 429 and when to ask again; the others are answered, and then there is room."""
    from trueline.web.door import Rules

    async def talk():
        target = Waiting()
        async with client(app_of(target, rules=Rules(at_once=1))) as c:
            first = asyncio.create_task(c.post("/v1/chat/completions", json=HELLO))
            await target.asked.wait()
            second = await c.post("/v1/chat/completions", json=HELLO)
            target.told.set()
            return await first, second, await c.post("/v1/chat/completions", json=HELLO)

    first, second, third = asyncio.run(talk())
    assert (first.status_code, second.status_code, third.status_code) == (200, 429, 200)
    assert (second.headers["retry-after"], error_of(second)["type"]) == ("1", "rate_limit_error")

"""The key of a remote target goes to its own service and nowhere else: no error, repr, log or completion holds it."""

from __future__ import annotations

import asyncio
import logging

import pytest

from tests.targets.serving import asked, send, serving
from tests.targets.toy import HELLO, ONCE, SECRET, URL, ask, came, chat_body, opening
from trueline.targets.errors import RefusedRequestError, TargetError, TargetKeyError, UnreachableError
from trueline.targets.http import Asking, connected
from trueline.targets.naming import address_of

pytestmark = pytest.mark.usefixtures("_every_key")


def test_a_keyless_server_gets_no_key(monkeypatch):
    """Without TRUELINE_API_KEY an http target works and sends no authorization."""
    monkeypatch.delenv("TRUELINE_API_KEY")
    seen = []

    def server(request):
        seen.append(request)
        return came(body=chat_body())

    assert ask(server)[0].text == "hi"
    assert "authorization" not in seen[0].headers


def test_a_key_cut_in_half_is_not_shown_either():
    """The key is taken out before a long message is cut, so that no piece of it is left at the cut."""
    for before in range(150, 215):
        with pytest.raises(RefusedRequestError) as failed:
            ask(came(400, "x" * before + SECRET), patience=ONCE)
        assert "sk-" not in str(failed.value)


def test_a_key_shows_nowhere(caplog):
    """Not in the repr of a target, nor in its name, nor in a log at any level, nor in a completion."""
    caplog.set_level(logging.DEBUG)

    async def talk():
        server = opening(lambda request: came(body=chat_body()))
        for target in ("openai:gpt", "openai-responses:gpt", "anthropic:claude", URL):
            async with connected(address_of(target), Asking(patience=ONCE), opening=server) as remote:
                shown = f"{remote!r} {remote} {remote.name} {remote.key} {remote.address}"
                try:
                    shown += repr(await remote.reply(HELLO))
                except TargetError as error:
                    shown += f"{error!r} {error}"
                assert SECRET not in shown

    asyncio.run(talk())
    assert SECRET not in caplog.text


def test_a_key_is_not_logged_on_its_way(caplog):
    """Also what the HTTP library logs of a real connection, at its most talkative, holds no key."""
    caplog.set_level(logging.DEBUG)
    sent = []

    def answer(handler):
        sent.append(handler.headers["authorization"])
        send(handler, came(body=chat_body()))

    with serving(answer) as target:
        assert asyncio.run(asked(target)).text == "hi"
    assert sent == [f"Bearer {SECRET}"]
    assert caplog.records
    assert SECRET not in caplog.text


@pytest.mark.parametrize("target", ["openai:gpt", "openai-responses:gpt", "anthropic:claude"])
def test_a_missing_key_is_said_before_anything_is_sent(monkeypatch, target):
    """A service without its key in the environment: one line that names the variable."""
    variable = "ANTHROPIC_API_KEY" if target.startswith("anthropic") else "OPENAI_API_KEY"
    monkeypatch.setenv(variable, " ")
    with pytest.raises(TargetKeyError, match=f"expected a key in {variable}, found none"):
        ask(pytest.fail, target=target)


@pytest.mark.parametrize("value", ["sk\nx", "sk x", "schlüssel"])
def test_a_key_that_cannot_be_one_is_not_sent(monkeypatch, value):
    """A line break would end the header: such a key is refused, and not shown."""
    monkeypatch.setenv("OPENAI_API_KEY", value)
    with pytest.raises(TargetKeyError, match="OPENAI_API_KEY holds cannot be a key") as failed:
        ask(pytest.fail, target="openai:gpt")
    assert value not in str(failed.value)


def test_a_redirect_is_not_followed_with_the_key():
    """Nothing is sent to where a server sends on to, be it the same host or another."""
    visits = []

    def elsewhere(handler):
        visits.append(handler.headers.get("authorization"))
        send(handler, came(body=chat_body()))

    with serving(elsewhere) as other:
        redirect = came(308, headers={"location": other})
        with serving(lambda handler: send(handler, redirect)) as target, pytest.raises(UnreachableError, match="not followed"):
            asyncio.run(asked(target, patience=ONCE))
    assert visits == []

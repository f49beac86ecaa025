"""The door: who has a key comes in, up to what the key may; who has none reaches nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guard.fakes import Finds, chain_of
from tests.guard.gateway.around import CHAT, Upstream, ask, gateway, recorded, said
from trueline.guard.audit.keys import Limits, make_key
from trueline.guard.gateway.app import Gateway
from trueline.store.keys import KeyRow

CHAIN = chain_of(Finds(word="marrow"))


def _with_key(folder: Path, upstream: Upstream, limits: Limits | None = None, **more: object) -> tuple[Gateway, str, KeyRow]:
    shown, row = make_key("test", limits)
    return gateway(folder, CHAIN, upstream, keys=lambda: [row], **more), shown, row


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": "Bearer tl-none-none"}, {"x-api-key": "sk-upstream"}, {"authorization": "Basic dGw6dGw="}],
)
def test_without_a_key_nothing_is_reached(tmp_path: Path, headers: dict[str, str]) -> None:
    """Also from this machine, once there are keys: 401, and the upstream is not asked."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app, _, _ = _with_key(tmp_path, upstream)
        answer = await ask(app, headers=headers)
        assert (answer.status, upstream.asked) == (401, [])
        await app.audit.close()

    asyncio.run(run())


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_key_opens_the_door_and_goes_no_further(tmp_path: Path, header: str) -> None:
    """The upstream gets the gateway's own key, and never the client's; the record has the key's id, not the key."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app, shown, row = _with_key(tmp_path, upstream, secret={"authorization": "Bearer sk-own"})
        value = f"Bearer {shown}" if header == "authorization" else shown
        assert (await ask(app, headers={header: value})).status == 200
        passed = upstream.asked[0][2]
        assert passed["authorization"] == "Bearer sk-own"
        assert shown not in str(upstream.asked)
        rows = await recorded(app, tmp_path)
        assert {one["key"] for one in rows if one.get("id")} == {row.id}
        assert shown not in str(rows)

    asyncio.run(run())


def test_a_key_is_not_passed_on_where_the_gateway_has_none_of_its_own(tmp_path: Path) -> None:
    """A key of the gateway's tells the upstream nothing."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app, shown, _ = _with_key(tmp_path, upstream)
        await ask(app, headers={"authorization": f"Bearer {shown}"})
        assert "authorization" not in upstream.asked[0][2]
        await app.audit.close()

    asyncio.run(run())


def test_while_there_are_no_keys_clients_own_pass_and_others_are_refused(tmp_path: Path) -> None:
    """This machine alone is let in, and its key for the upstream is its own matter."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app = gateway(tmp_path, CHAIN, upstream)
        assert (await ask(app, headers={"authorization": "Bearer sk-mine"})).status == 200
        assert upstream.asked[0][2]["authorization"] == "Bearer sk-mine"
        assert (await ask(app, client="10.0.0.7")).status == 401
        await app.audit.close()

    asyncio.run(run())


def test_a_revoked_key_opens_nothing(tmp_path: Path) -> None:
    """Once the keys were read again."""

    async def run() -> None:
        shown, row = make_key("test")
        rows = [row]
        app = gateway(tmp_path, CHAIN, Upstream(body=said("hi")), keys=lambda: list(rows))
        headers = {"authorization": f"Bearer {shown}"}
        assert (await ask(app, headers=headers)).status == 200
        rows[0] = replace(row, revoked="2026-01-01T00:00:00+00:00")
        app.door.ring.refresh()
        assert (await ask(app, headers=headers)).status == 401
        await app.audit.close()

    asyncio.run(run())


def test_a_key_that_has_used_its_rate_waits(tmp_path: Path) -> None:
    """429 with the seconds to wait, and the upstream is not asked."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app, shown, _ = _with_key(tmp_path, upstream, Limits(requests_a_minute=2))
        answers = [await ask(app, headers={"authorization": f"Bearer {shown}"}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]
        assert int(answers[2].headers["retry-after"]) > 0
        assert len(upstream.asked) == 2
        await app.audit.close()

    asyncio.run(run())


def test_a_key_that_has_used_its_tokens_waits_for_the_day(tmp_path: Path) -> None:
    """Tokens are counted as the upstream counts them."""

    async def run() -> None:
        app, shown, row = _with_key(tmp_path, Upstream(body=said("hi")), Limits(tokens_a_day=5))
        answers = [await ask(app, headers={"authorization": f"Bearer {shown}"}) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 200, 429]  # three tokens each
        assert app.door.meter.spent(row.id) == 6
        await app.audit.close()

    asyncio.run(run())


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    """Two programs could take different ones of the two."""

    async def run() -> None:
        app, shown, _ = _with_key(tmp_path, Upstream(body=said("hi")))
        scope_headers = {"authorization": f"Bearer {shown}", "Authorization": "Bearer other"}
        assert (await ask(app, CHAT, headers=scope_headers)).status == 400
        await app.audit.close()

    asyncio.run(run())

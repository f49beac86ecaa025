"""The gateway: what may not pass does not, what may passes unchanged, and all of it is recorded before it leaves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.guard.fakes import Finds, Says, chain_of
from tests.guard.gateway.around import CHAT, Upstream, ask, gateway, recorded, said
from trueline.guard.exchange import Exchange, Side
from trueline.guard.policy import Limits
from trueline.guard.rail import Scan
from trueline.guard.ruling import Ruling, human, rewrite

BLOCKS = chain_of(Finds(word="marrow"), message="no")
REDACTS = chain_of(Finds(word="marrow", action="redact"))
ODD = b'{"model": "m",  "odd": [1.0, {"x": null}], "messages":[{"role":"user","content":"my %s"}]}'


def test_what_is_allowed_passes_byte_for_byte(tmp_path: Path) -> None:
    """Neither the request nor the reply is written anew: unknown fields, spacing and order stay."""

    async def run() -> None:
        upstream = Upstream(body=said("hi", odd={"a": 1.50}))
        app = gateway(tmp_path, BLOCKS, upstream)
        answer = await ask(app, ODD % b"carrot")
        assert upstream.asked[0][3] == ODD % b"carrot"
        assert (answer.status, answer.body) == (200, upstream.body)
        assert answer.headers["x-trueline-action"] == "allow"
        await app.audit.close()

    asyncio.run(run())


def test_a_blocked_request_never_leaves_and_reads_as_a_refusal(tmp_path: Path) -> None:
    """The upstream is not asked; the client gets a reply of its format that says no, and the record says why."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app = gateway(tmp_path, BLOCKS, upstream)
        answer = await ask(app, ODD % b"marrow")
        assert upstream.asked == []
        choice = answer.json["choices"][0]
        assert (answer.status, choice["message"]["content"], choice["finish_reason"]) == (200, "no", "content_filter")
        assert answer.headers["x-trueline-action"] == "block"
        rows = await recorded(app, tmp_path)
        assert [row["ruling"]["action"] for row in rows if row.get("ruling")] == ["block"]

    asyncio.run(run())


def test_a_redaction_changes_one_string_and_no_other_byte(tmp_path: Path) -> None:
    """The upstream reads the redacted text in the very body that was sent; the reply is redacted likewise."""

    async def run() -> None:
        upstream = Upstream(body=said("a marrow"))
        app = gateway(tmp_path, REDACTS, upstream)
        answer = await ask(app, ODD % b"marrow")
        assert upstream.asked[0][3] == ODD % b"[x]"
        assert answer.body == said("a [x]")
        assert answer.headers["x-trueline-action"] == "redact"
        await app.audit.close()

    asyncio.run(run())


def test_a_blocked_reply_keeps_the_usage_and_nothing_else_of_it(tmp_path: Path) -> None:
    """Tokens were spent and are counted; the text is not there."""

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Upstream(body=said("a marrow")))
        answer = await ask(app)
        assert b"marrow" not in answer.body
        assert answer.json["usage"]["completion_tokens"] == 2
        assert answer.json["choices"][0]["message"]["content"] == "no"
        await app.audit.close()

    asyncio.run(run())


def test_on_block_error_is_an_http_error_of_the_format(tmp_path: Path) -> None:
    """Who wants a status gets 403, in the shape that the client's SDK raises."""

    async def run() -> None:
        app = gateway(tmp_path, chain_of(Finds(word="marrow"), on_block="error", message="no"), Upstream())
        answer = await ask(app, ODD % b"marrow")
        assert (answer.status, answer.json["error"]["message"]) == (403, "no")
        await app.audit.close()

    asyncio.run(run())


def test_what_waits_for_a_person_does_not_pass_and_says_so(tmp_path: Path) -> None:
    """The word `human` stops like a block, under a code of its own."""

    def person(exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        return human("says", "odd")

    async def run() -> None:
        upstream = Upstream()
        app = gateway(tmp_path, chain_of(Says(says=person), on_block="error"), upstream)
        answer = await ask(app)
        assert (answer.status, answer.json["error"]["code"], upstream.asked) == (403, "human_review", [])
        await app.audit.close()

    asyncio.run(run())


def test_a_rewritten_reply_is_the_rails_own_text(tmp_path: Path) -> None:
    """The client reads what the rail put in the place of the reply."""

    async def run() -> None:
        rail = Says(says=lambda *_: rewrite("says", "rude", "good day"), sides=("output",))
        app = gateway(tmp_path, chain_of(rail), Upstream(body=said("grr")))
        assert (await ask(app)).json["choices"][0]["message"]["content"] == "good day"
        await app.audit.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {}, 400),
        (b'{"model": "m", "messages": [], "messages": [{"role": "user", "content": "marrow"}]}', {}, 400),
        (b"\xff\xfe{\x00}\x00", {}, 400),
        (json.dumps(CHAT).encode(), {"content-encoding": "gzip"}, 415),
        (json.dumps(CHAT).encode("utf-16"), {"content-type": "application/json; charset=utf-16"}, 415),
        (json.dumps(CHAT).encode(), {"content-type": "text/plain"}, 415),
        (b" " * 5_000_000, {}, 413),
    ],
)
def test_what_two_programs_may_read_differently_is_refused(
    tmp_path: Path, body: bytes, headers: dict[str, str], status: int
) -> None:
    """A body that is no plain JSON, is encoded, or has a key twice never reaches the upstream."""

    async def run() -> None:
        upstream = Upstream()
        app = gateway(tmp_path, BLOCKS, upstream)
        answer = await ask(app, body, headers=headers)
        assert (answer.status, upstream.asked) == (status, [])
        assert answer.json["error"]["message"]
        await app.audit.close()

    asyncio.run(run())


@pytest.mark.parametrize(
    "path", ["/v1/audio/speech", "/v1/chat/completions/", "/V1/chat/completions", "/v1/../v1/embeddings", "/"]
)
def test_an_endpoint_without_rails_does_not_pass(tmp_path: Path, path: str) -> None:
    """What no wire reads is refused, also where it only looks like a path that is read."""

    async def run() -> None:
        upstream = Upstream()
        app = gateway(tmp_path, BLOCKS, upstream)
        assert ((await ask(app, path=path)).status, upstream.asked) == (404, [])
        await app.audit.close()

    asyncio.run(run())


def test_a_query_that_could_hold_a_sentence_is_refused(tmp_path: Path) -> None:
    """A version passes with its path; free text does not."""

    async def run() -> None:
        upstream = Upstream(body=said("hi"))
        app = gateway(tmp_path, BLOCKS, upstream)
        assert (await ask(app, query=b"api-version=2025-01-01")).status == 200
        assert upstream.asked[0][1] == "/v1/chat/completions?api-version=2025-01-01"
        assert (await ask(app, query=b"q=tell%20me%20a%20marrow")).status == 400
        await app.audit.close()

    asyncio.run(run())


@pytest.mark.parametrize("body", [b"<html>marrow</html>", b"\x00\x01", b"", b"[1]"])
@pytest.mark.parametrize("status", [200, 500])
def test_a_reply_that_no_rail_can_read_is_not_passed_on(tmp_path: Path, body: bytes, status: int) -> None:
    """An upstream's page of HTML, or nothing at all, becomes an error in the client's format."""

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Upstream(body=body, status=status, kind="text/html"))
        answer = await ask(app)
        assert answer.status == (500 if status == 500 else 502)
        assert b"marrow" not in answer.body
        await app.audit.close()

    asyncio.run(run())


def test_an_error_of_the_upstream_passes_with_its_status_and_is_read(tmp_path: Path) -> None:
    """A client sees the upstream's own error, and rails read it like any other text."""

    async def run() -> None:
        body = json.dumps({"error": {"message": "no model marrow", "type": "x"}}).encode()
        app = gateway(tmp_path, REDACTS, Upstream(body=body, status=404))
        answer = await ask(app)
        assert (answer.status, answer.json["error"]["message"]) == (404, "no model [x]")
        await app.audit.close()

    asyncio.run(run())


def test_an_upstream_that_breaks_off_is_an_error_and_is_recorded(tmp_path: Path) -> None:
    """Half a reply is no reply."""

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Upstream(body=said("hi")[:40], breaks=True))
        answer = await ask(app)
        assert answer.status == 502
        rows = await recorded(app, tmp_path)
        assert [row["finish"] for row in rows if row["kind"] == "settled"] == ["UpstreamError"]

    asyncio.run(run())


def test_every_exchange_has_an_accepted_and_a_settled_row_under_the_id_that_the_client_reads(tmp_path: Path) -> None:
    """What was decided can be found by what the client was told."""

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Upstream(body=said("hi")))
        ids = [(await ask(app)).headers["x-trueline-id"] for _ in range(3)]
        rows = await recorded(app, tmp_path)
        for id_ in ids:
            assert [row["kind"] for row in rows if row.get("id") == id_] == ["accepted", "settled"]

    asyncio.run(run())


def test_too_many_at_once_are_refused_politely(tmp_path: Path) -> None:
    """Beyond what it takes, the gateway answers 503 with a time to wait, and stays usable."""

    class Later(Upstream):
        @asynccontextmanager
        async def ask(self, *asked: object) -> AsyncIterator[object]:  # type: ignore[override]
            await asyncio.sleep(0)  # so that the others come in meanwhile
            async with super().ask(*asked) as came:  # type: ignore[arg-type]
                yield came

    async def run() -> None:
        app = gateway(tmp_path, chain_of(Finds(word="marrow"), limits=Limits(in_flight=2)), Later(body=said("hi")))
        answers = await asyncio.gather(*(ask(app) for _ in range(5)))
        assert sorted(answer.status for answer in answers) == [200, 200, 503, 503, 503]
        assert {answer.headers.get("retry-after") for answer in answers} == {None, "1"}
        assert (await ask(app)).status == 200
        await app.audit.close()

    asyncio.run(run())


def test_who_leaves_ends_the_question(tmp_path: Path) -> None:
    """A client that has gone costs the upstream nothing more, and the record says that nothing was decided."""

    class Slow(Upstream):
        def ask(self, *asked: object) -> object:  # type: ignore[override]
            return Waiting()

    class Waiting:
        async def __aenter__(self) -> None:
            await asyncio.Event().wait()

        async def __aexit__(self, *_: object) -> None:
            return None

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Slow())
        assert (await asyncio.wait_for(ask(app, gone=True), 5)).status == 0
        rows = await recorded(app, tmp_path)
        assert [row["kind"] for row in rows if row.get("id")] == ["accepted", "settled"]

    asyncio.run(run())


def test_health_readiness_and_metrics_answer(tmp_path: Path) -> None:
    """Whoever runs it can see that it lives, which policy is in use, and what rails have said."""

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Upstream(body=said("hi")))
        await ask(app)
        await ask(app, ODD % b"marrow")
        assert (await ask(app, path="/health", method="GET")).json == {"status": "ok"}
        ready = await ask(app, path="/ready", method="GET")
        assert (ready.status, ready.json["policy"], ready.json["trouble"]) == (200, BLOCKS.policy.version, [])
        text = (await ask(app, path="/metrics", method="GET")).body.decode()
        assert 'trueline_exchanges_total{action="block",endpoint="chat"} 1.0' in text
        assert 'trueline_rail_rulings_total{action="allow",rail="finds",side="output",status="ran"} 1.0' in text
        await app.audit.close()

    asyncio.run(run())


def test_whatever_goes_wrong_an_accepted_exchange_is_settled(tmp_path: Path) -> None:
    """An error that nobody foresaw is a 500, and the record says that nothing was decided on a reply."""

    class Odd(Upstream):
        def ask(self, *asked: object) -> object:  # type: ignore[override]
            raise ZeroDivisionError

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Odd())
        assert (await ask(app)).status == 500
        rows = await recorded(app, tmp_path)
        assert [(row["kind"], row.get("finish")) for row in rows if row.get("id")][-1] == ("settled", "ZeroDivisionError")

    asyncio.run(run())


def test_events_where_no_stream_can_be_are_no_reply(tmp_path: Path) -> None:
    """An upstream that streams vectors is told as one that failed."""

    async def run() -> None:
        app = gateway(tmp_path, BLOCKS, Upstream(body=b"data: {}\n\n", kind="text/event-stream"))
        answer = await ask(app, {"model": "m", "input": "hello"}, "/v1/embeddings")
        assert answer.status == 502
        await app.audit.close()

    asyncio.run(run())

"""The upstream's side: whatever a server does to a connection, a reply is whole, or an error, and never another's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from trueline.guard.gateway.connection import FRAMING, HELD
from trueline.guard.gateway.proxied import Proxied, upstream_of
from trueline.guard.gateway.upstream import Upstream, UpstreamError
from trueline.guard.policy import Limits

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@dataclass(kw_only=True)
class Server:
    """A server of raw sockets: on each request of a connection it writes the next of its replies, then closes or waits."""

    replies: list[bytes | list[bytes]]  # one for each request, over all connections; a list: with a turn between its parts
    closes: bool = False  # the connection, after each reply
    heard: list[bytes] = field(default_factory=list)  # requests, head and body
    connections: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)  # a client has closed a connection
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self._open.add(writer)
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"content-length: ")[1].split(b"\r\n")[0]) if b"content-length: " in head else 0
                self.heard.append(head + await reader.readexactly(length))
                said = self.replies.pop(0)
                for part in [said] if isinstance(said, bytes) else said:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0)
                if self.closes:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            self.gone.set()
        finally:
            self._open.discard(writer)
            writer.close()

    def hang_up(self) -> None:
        """Close every connection."""
        for writer in self._open:
            writer.close()


@asynccontextmanager
async def _behind(server: Callable[..., Awaitable[None]], **limits: Any) -> AsyncIterator[Upstream]:
    listening = await asyncio.start_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    async with Upstream(url=f"http://127.0.0.1:{port}", limits=Limits(**limits)) as upstream:
        yield upstream
    listening.close()


async def _ask(upstream: Upstream, body: bytes = b"{}") -> tuple[int, dict[str, str], bytes]:
    async with upstream.ask("POST", "/v1/x", [("content-type", "application/json")], body) as came:
        return came.status, dict(came.headers), await came.whole()


def _run(work: Callable[[], Awaitable[Any]]) -> Any:
    async def within() -> Any:
        async with asyncio.timeout(20):
            return await work()

    return asyncio.run(within())


def _asked(replies: list[bytes | list[bytes]], times: int = 1, closes: bool = False, **limits: Any) -> tuple[Server, list[Any]]:
    """What comes of so many requests, one after the other: what was read, or the error."""

    async def run() -> tuple[Server, list[Any]]:
        server, came = Server(replies=list(replies), closes=closes), []
        async with _behind(server, **limits) as upstream:
            for _ in range(times):
                try:
                    came.append(await _ask(upstream))
                except UpstreamError as error:
                    came.append(error)
                await _turns()
        return server, came

    return _run(run)


async def _turns() -> None:
    """Let what was sent arrive."""
    for _ in range(50):
        await asyncio.sleep(0)


def test_a_request_is_written_as_it_was_handed_over() -> None:
    """The path, the headers and the body, with the host and the length, and without a coding."""
    server, _ = _asked([OK])
    head, _, body = server.heard[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /v1/x HTTP/1.1\r\nhost: 127.0.0.1:")
    assert {b"accept-encoding: identity", b"content-type: application/json", b"content-length: 2"} <= set(head.split(b"\r\n"))
    assert body == b"{}"


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\no\r\n1;ext=1\r\nk\r\n0\r\nx-trailer: 1\r\n\r\n"
WHOLE = {
    "a length": OK,
    "chunks": CHUNKED,
    "bytes one at a time": [bytes([byte]) for byte in CHUNKED],
    "words before the reply": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n" + OK,
}


@pytest.mark.parametrize("said", WHOLE.values(), ids=WHOLE.keys())
def test_a_whole_reply_is_read_and_its_connection_used_again(said: bytes | list[bytes]) -> None:
    """Each way in which HTTP/1.1 says where a body ends."""
    server, came = _asked([said, said, said], times=3)
    assert [(status, body) for status, _, body in came] == [(200, b"ok")] * 3
    assert "link" not in came[0][1]
    assert "x-trailer" not in came[0][1]
    assert server.connections == 1


def test_a_reply_that_ends_with_its_connection_is_whole() -> None:
    """As HTTP/1.0 does it; the next request has a connection of its own."""
    server, came = _asked([b"HTTP/1.0 200 OK\r\n\r\nok"] * 2, times=2, closes=True)
    assert [body for _, _, body in came] == [b"ok", b"ok"]
    assert server.connections == 2


def test_a_connection_whose_end_was_announced_is_not_used_again() -> None:
    """Connection: close."""
    said = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok"
    server, came = _asked([said] * 2, times=2)
    assert [body for _, _, body in came] == [b"ok", b"ok"]
    assert server.connections == 2


HEAD = b"HTTP/1.1 200 OK\r\n"
REFUSED = {
    "a length and chunks": HEAD + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunks and a length": HEAD + b"transfer-encoding: chunked\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "two lengths": HEAD + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!",
    "the same length twice": HEAD + b"content-length: 2\r\ncontent-length: 2\r\n\r\nok",
    "a list of lengths": HEAD + b"content-length: 2, 2\r\n\r\nok",
    "a length with a sign": HEAD + b"content-length: +2\r\n\r\nok",
    "another transfer coding": HEAD + b"transfer-encoding: gzip\r\n\r\nok",
    "a coding behind chunked": HEAD + b"transfer-encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "chunked twice": HEAD + b"transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    "a size of a chunk that is no number": HEAD + b"transfer-encoding: chunked\r\n\r\n0x2\r\nok\r\n0\r\n\r\n",
    "a chunk that is longer than it says": HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
    "blank before the colon": HEAD + b"content-length : 2\r\n\r\nok",
    "line ends of one character": b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok",
    "another protocol": b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\nok",
    "another protocol without its name": b"HTTP/1.1 101 Switching Protocols\r\n\r\n" + OK,
    "no HTTP": b"SSH-2.0-OpenSSH\r\n\r\n",
    "a coding that nobody asked for": HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
    "a head without an end": HEAD + b"x: " + b"y" * (FRAMING + 9) + b"\r\n\r\n",
    "many headers": HEAD + b"x: y\r\n" * FRAMING + b"\r\n",
    "words before the reply without an end": b"HTTP/1.1 100 Continue\r\n\r\n" * 9_000,
    "trailers without an end": CHUNKED.removesuffix(b"\r\n") + b"x: y\r\n" * FRAMING + b"\r\n",
    "an end within the head": [HEAD, b""],
    "an end within the body": HEAD + b"content-length: 3\r\n\r\nok",
    "an end within a chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n3\r\nok",
    "an end before the last chunk": HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("said", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_not_one_whole_reply_is_an_error_and_its_connection_ends(said: bytes | list[bytes]) -> None:
    """Also what two programs would read differently. It is asked once, and the next question is answered."""
    server, came = _asked([said, OK], times=2, closes=True)
    assert isinstance(came[0], UpstreamError)
    assert came[0].status == 502
    assert came[1][2] == b"ok"
    assert len(server.heard) == 2


def test_a_second_reply_to_one_request_is_never_the_answer_to_the_next() -> None:
    """Whether it comes with the first, or later when nobody asks: the connection ends, and the next question has its own."""
    forged = b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nforged"
    for said in (OK + forged, [OK, b"", b"", forged]):
        server, came = _asked([said, OK], times=2)
        assert [body for _, _, body in came] == [b"ok", b"ok"]
        assert server.connections == 2


def test_what_comes_before_anything_was_asked_is_no_reply() -> None:
    """A server that speaks first is not waited for, and not believed."""

    async def run() -> None:
        async def speaks(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
            await reader.read()
            writer.close()

        async with _behind(speaks) as upstream:
            connection = await upstream._connect()
            await _turns()
            with pytest.raises(UpstreamError):
                connection.send([b"GET / HTTP/1.1\r\n\r\n"], 1e12)

    _run(run)


def test_a_kept_connection_that_was_closed_is_no_error() -> None:
    """The question goes over another connection, and is written there once."""

    async def run() -> None:
        server = Server(replies=[OK, OK])
        async with _behind(server) as upstream:
            await _ask(upstream)
            server.hang_up()
            assert (await _ask(upstream))[2] == b"ok"
            assert server.connections == 2
            assert len(server.heard) == 2

    _run(run)


def test_a_question_that_was_read_on_a_kept_connection_is_asked_once_more_and_not_a_third_time() -> None:
    """A connection that closes as it is asked again may have been closed before; a fresh one that does so has been asked."""

    async def run() -> None:
        server = Server(replies=[OK, b"", b"", OK])
        async with _behind(server) as upstream:
            await _ask(upstream)
            server.closes = True
            with pytest.raises(UpstreamError) as caught:
                await _ask(upstream)
            assert caught.value.status == 502
            assert len(server.heard) == 3

    _run(run)


def test_a_question_of_which_an_answer_had_begun_is_not_asked_again() -> None:
    """One byte of a reply shows that it was read, and perhaps paid for."""

    async def run() -> None:
        server = Server(replies=[OK, b"H", OK])
        async with _behind(server) as upstream:
            await _ask(upstream)
            server.closes = True
            with pytest.raises(UpstreamError):
                await _ask(upstream)
            assert len(server.heard) == 2

    _run(run)


def test_a_reply_that_is_too_long_is_cut_off() -> None:
    """No more of it is held than the policy allows."""
    (error,) = _asked([HEAD + b"content-length: 40\r\n\r\n" + b"x" * 40], reply_bytes=39)[1]
    assert isinstance(error, UpstreamError)
    assert "more than 39 bytes" in str(error)


def test_a_server_that_is_silent_is_given_up() -> None:
    """Before the head, and within the body; also one that says a byte now and then, once the whole time is up."""
    dripping = [HEAD + b"content-length: 100000\r\n\r\n", *[b"x"] * 90_000]
    for said, limits in (
        ([], {"idle_seconds": 0.05}), ([HEAD], {"idle_seconds": 0.05}), (dripping, {"total_seconds": 0.05}),
    ):  # fmt: skip
        (error,) = _asked([said], **limits)[1]
        assert isinstance(error, UpstreamError)
        assert error.status == 504


def test_where_nobody_listens_is_an_error() -> None:
    """It cannot be reached, which is no timeout."""

    async def run() -> None:
        async with Upstream(url="http://127.0.0.1:1", limits=Limits()) as upstream:
            with pytest.raises(UpstreamError, match="cannot be reached"):
                await _ask(upstream)

    _run(run)


def test_who_reads_no_further_ends_the_connection() -> None:
    """What nobody reads is not paid for: the server sees that its reader has gone."""

    async def run() -> None:
        server = Server(replies=[HEAD + b"content-length: 9\r\n\r\nok"])
        async with _behind(server) as upstream:
            async with upstream.ask("POST", "/v1/x", [], b"{}") as came:
                assert await anext(came.pieces()) == b"ok"
            assert not upstream._kept
            await server.gone.wait()

    _run(run)


def test_who_reads_slowly_is_not_run_over() -> None:
    """Of a long stream a bounded part is read ahead, and all of it arrives."""

    async def run() -> None:
        size = 64 * HELD
        server = Server(replies=[[HEAD + b"content-length: %d\r\n\r\n" % size, *[b"x" * HELD] * 64]])
        async with _behind(server) as upstream, upstream.ask("POST", "/v1/x", [], b"{}") as came:
            await _turns()
            pieces = [len(piece) async for piece in came.pieces()]
            assert sum(pieces) == size
            assert pieces[0] < 4 * HELD

    _run(run)


def test_many_at_once_each_read_their_own() -> None:
    """Every question has a connection to itself, and those are used again."""

    async def run() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while head := await reader.readuntil(b"\r\n\r\n"):
                    body = await reader.readexactly(int(head.split(b"content-length: ")[1].split(b"\r\n")[0]))
                    writer.write(HEAD + b"content-length: %d\r\n\r\n" % len(body) + body)
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        async with _behind(echo) as upstream:
            for _ in range(3):
                bodies = [f"{{{number}}}".encode() for number in range(50)]
                assert [body for _, _, body in await asyncio.gather(*(_ask(upstream, body) for body in bodies))] == bodies
                assert len(upstream._kept) <= 50

    _run(run)


@pytest.mark.parametrize("value", ["a\r\nx: 1", "a\nx: 1", "a\rb"])
def test_no_header_brings_a_line_of_its_own(value: str) -> None:
    """A header with a line end in it would be two headers, or a second request."""
    with pytest.raises(UpstreamError, match="line end"):
        Upstream(url="http://127.0.0.1:1", limits=Limits()).ask("POST", "/v1/x", [("x-mine", value)], b"{}")


def test_a_proxy_of_the_environment_is_used_but_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """As curl reads it: HTTPS_PROXY for https, nothing where NO_PROXY names the host."""
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert isinstance(upstream_of("https://api.example.com", Limits()), Proxied)
    for direct in ("http://api.example.com", "https://inside.example", "https://127.0.0.1:8000"):
        assert type(upstream_of(direct, Limits())) is Upstream


def test_through_a_proxy_the_same_comes() -> None:
    """The proxy is asked for the whole address, and its reply is read to its end."""

    async def run() -> None:
        server = Server(replies=[OK])
        async with _behind(server) as direct:
            proxied = Proxied(url="http://api.example.com", limits=Limits(), proxy=direct.url)
            async with proxied:
                assert (await _ask(proxied))[2] == b"ok"
        assert server.heard[0].lower().startswith(b"post http://api.example.com/v1/x http/1.1\r\n")

    _run(run)

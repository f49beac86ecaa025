"""Posting over real connections on this machine: kept, few, closed at the end, and what comes over them never trusted."""

from __future__ import annotations

import asyncio
import gc
import gzip
import tracemalloc
import warnings
import zlib

import aiohttp  # noqa: F401 - else its loading would count as memory that a reply takes
import pytest

from tests.targets.serving import OK, answering, posted, send, serving
from tests.targets.toy import HELLO, came, chat_body
from trueline.targets.http import Asking, connected
from trueline.targets.naming import address_of
from trueline.targets.patience import Pace, Patience
from trueline.targets.posting import NoReplyError, posting

BROKE_OFF = "the connection broke off before the reply was whole"
NO_HTTP = "what came is no reply in HTTP that can be read"


@pytest.mark.parametrize("at_once", [1, 3])
def test_connections_are_kept_and_few(at_once):
    """Forty questions go over at most as many connections as questions are under way at once."""
    seen = []

    def answer(handler):
        seen.append(handler.client_address)
        send(handler, came(body=chat_body()))

    async def talk(target: str) -> int:
        async with connected(address_of(target), Asking(pace=Pace(at_once=at_once))) as remote:
            return len(await asyncio.gather(*(remote.reply(HELLO) for _ in range(40))))

    with serving(answer) as target:
        assert asyncio.run(talk(target)) == 40
    assert len(seen) == 40
    assert len(set(seen)) <= at_once


def test_a_connection_that_the_server_closes_is_not_used_again():
    """Who answers with `connection: close` is asked over a new one each time, without an error."""

    async def talk() -> int:
        closing = OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n")
        async with answering(closing, closing, closing) as (url, heads), posting(url, {}, 9) as post:
            assert [(await post(b"{}")).body for _ in range(3)] == [b"{}"] * 3
            return len(heads)

    assert asyncio.run(talk()) == 3


def test_a_question_whose_connection_broke_is_asked_again():
    """A server that hangs up, in the head or in the body, and then answers, is an answer."""
    answer = b'{"choices": [{"message": {"content": "hi"}}]}'
    whole = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(answer), answer)
    count = 0

    def serve(handler):
        nonlocal count
        count += 1
        handler.wfile.write([b"", whole[:20], whole[:-5], whole][count - 1])
        handler.close_connection = count < 4

    async def talk(target: str) -> str:
        async with connected(address_of(target), Asking(patience=Patience(first=0))) as remote:
            return (await remote.reply(HELLO)).text

    with serving(serve) as target:
        assert asyncio.run(talk(target)) == "hi"
    assert count == 4


def test_connections_are_closed_at_the_end():
    """Leaving closes the connection, a question under way ends with an error, and nothing is left to be warned of."""

    async def talk() -> None:
        ended, silent = asyncio.Event(), asyncio.Event()

        async def serve(reader, writer):
            await reader.readuntil(b"\r\n\r\n{}")
            writer.write(OK)
            await reader.readuntil(b"\r\n\r\n{}")
            silent.set()
            assert await reader.read() == b""
            writer.close()
            ended.set()

        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            async with posting(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, 9) as post:
                assert (await post(b"{}")).body == b"{}"
                under_way = asyncio.ensure_future(post(b"{}"))
                await silent.wait()
            await ended.wait()
            with pytest.raises(NoReplyError):
                await under_way

    gc.collect()  # what other tests left open is not this one's
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        asyncio.run(talk(), debug=True)
        gc.collect()
    assert [str(warning.message) for warning in warned] == []


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", BROKE_OFF),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf", BROKE_OFF),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nhalf", "the reply cannot be decompressed"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 4\r\n\r\nhalf",
            "the reply is compressed in a way that was not asked for",
        ),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno number\r\n", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{} ", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nno header\r\n\r\n", NO_HTTP),
        (b"HTTP/1.1 200 OK\r\nx: %b\r\ncontent-length: 2\r\n\r\n{}" % (b"a" * 2**17), NO_HTTP),
        (b"220 mail.example ESMTP\r\n", NO_HTTP),
    ],
)
def test_what_is_no_whole_reply_is_told_in_our_words(raw, says):
    """Each way to break off or to garble: its own words, and nothing of what came or was sent."""

    async def talk() -> None:
        async with answering(raw) as (url, _):
            await posted(url, authorization="secret")

    with pytest.raises(NoReplyError) as failed:
        asyncio.run(talk())
    assert str(failed.value) == says
    assert failed.value.__cause__ is None


def test_a_bomb_is_not_inflated():
    """Of 60 MB in a small gzip little more than the limit is inflated, and no more is ever in memory."""
    bomb = gzip.compress(bytes(60 * 2**20), 1)
    assert len(bomb) < 2**19
    tracemalloc.start()
    try:
        with serving(lambda handler: send(handler, came(body=bomb, headers={"content-encoding": "gzip"}))) as target:
            reply = asyncio.run(posted(address_of(target).url, 2**20))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(reply.body) == 2**20 + 1
    assert most < 10 * 2**20


def test_what_follows_a_compressed_reply_is_not_read():
    """A reply that is whole, and then 30 MB that are no part of it: neither kept in memory nor waited for."""

    def flood(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\n" + gzip.compress(b"{}"))
        for _ in range(30 * 16):
            handler.wfile.write(b"x" * 2**16)
        handler.close_connection = True

    tracemalloc.start()
    try:
        with serving(flood) as target:
            assert asyncio.run(posted(address_of(target).url)).body == b"{}"
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 10 * 2**20


@pytest.mark.parametrize(("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress), ("identity", bytes)])
def test_a_compressed_reply_and_a_long_header_are_read(encoding, compress):
    """What gateways do: compression, in whole and up to the very limit, and a header longer than most clients take."""
    reply = came(body=compress(b"a" * 999), headers={"content-encoding": encoding, "x-policy": "a" * 40_000})
    with serving(lambda handler: send(handler, reply)) as target:
        assert asyncio.run(posted(address_of(target).url, 999)).body == b"a" * 999


def test_no_cookie_is_kept():
    """What a server wants remembered is not sent with the next question."""
    sent = []

    def answer(handler):
        sent.append(handler.headers["cookie"])
        send(handler, came(body=b"{}", headers={"set-cookie": "a=b; path=/"}))

    async def talk(url: str) -> None:
        async with posting(url, {}, 9) as post:
            await post(b"{}")
            await post(b"{}")

    with serving(answer) as target:
        asyncio.run(talk(address_of(target).url.replace("127.0.0.1", "localhost")))  # cookies are kept for names only
    assert sent == [None, None]


def test_a_header_with_a_line_break_is_not_sent():
    """It would end the header, and begin another."""

    async def talk() -> list[bytes]:
        async with answering(OK) as (url, heads):
            with pytest.raises(ValueError, match="header"):
                await posted(url, authorization="a\r\nx-admin: yes")
            return heads

    assert asyncio.run(talk()) == []

"""Whoever opens a connection and asks nothing, or reads nothing, does not keep others out."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress

import pytest
import uvicorn

from trueline.guard.gateway import patience
from trueline.guard.gateway.patience import patient

PLACES = 4
ASK = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"


ended = threading.Event()


async def app(scope, receive, send) -> None:
    """Answers ok; to /long with more than any buffer holds, and notes when that has come to its end."""
    if scope["type"] == "http" and scope["path"] == "/long":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(400):
            await send({"type": "http.response.body", "body": b"x" * 100_000, "more_body": True})
        ended.set()
    elif scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with few places and little patience."""
    monkeypatch.setattr(patience, "HEAD", 1.0)
    monkeypatch.setattr(patience, "PATIENCE", 0.1)
    monkeypatch.setattr(patience, "UNREAD", 0.5)
    ended.clear()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        config = uvicorn.Config(app, http=patient(), lifespan="off", ws="none", log_level="critical", limit_concurrency=PLACES)
        server = uvicorn.Server(config)
        running = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        running.start()
        yield listener.getsockname()[1]
        server.should_exit = True
        running.join(10)


def opened(stack: ExitStack, port: int, first: bytes = b"") -> socket.socket:
    made = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), timeout=10)))
    made.sendall(first)
    return made


def status(port: int) -> bytes:
    """What a new client is told."""
    with ExitStack() as stack:
        return opened(stack, port, ASK).recv(4096).split(b"\r\n")[0]


def told(connection: socket.socket) -> bytes:
    """The status with which the other side closes it, within ten seconds; nothing where it says none."""
    said = b""
    while more := connection.recv(4096):
        said += more
    return said[9:12]


@pytest.mark.parametrize(
    "first", [b"", b"GET / HTT", b"GET / HTTP/1.1\r\nhost: x\r\nx-a: b\r\n"], ids=["nothing", "line", "headers"]
)
def test_a_head_that_does_not_come_ends_the_connection(port, first):
    """A client that begins a request and does not go on is closed, and so is one that says nothing."""
    with ExitStack() as stack:
        assert told(opened(stack, port, first)) == b"408"


def test_a_byte_now_and_then_is_not_enough(port):
    """The time is that of the whole head: more bytes of it give no more time."""
    with ExitStack() as stack:
        slow, sent = opened(stack, port, b"GET / HTTP/1.1\r\n"), 0
        with suppress(OSError):  # reset or broken pipe, as the system has it
            while sent < 200:
                slow.sendall(b"x-a: b\r\n")
                sent += 1
                time.sleep(0.05)
        assert sent < 200  # which would have taken ten seconds


def test_a_second_request_that_does_not_come_whole_ends_the_connection(port):
    """After an answer a part of a head has no more time than the first head had."""
    with ExitStack() as stack:
        kept = opened(stack, port, ASK)
        assert kept.recv(4096).endswith(b"ok")
        kept.sendall(b"GET / HT")
        assert told(kept) == b""


def test_silent_connections_make_room(port):
    """Where all places are taken by clients that ask nothing, the next one that asks is answered."""
    with ExitStack() as stack:
        silent = [opened(stack, port) for _ in range(PLACES)]
        time.sleep(0.3)
        assert status(port) == b"HTTP/1.1 200 OK"
        assert told(silent[0]) == b"503"


def test_kept_connections_make_room_too_and_those_at_work_do_not(port):
    """A connection that was answered and waits for its next request gives way to a new client."""
    with ExitStack() as stack:
        kept = [opened(stack, port, ASK) for _ in range(PLACES - 1)]
        assert all(each.recv(4096).endswith(b"ok") for each in kept)
        late = opened(stack, port)
        time.sleep(0.3)
        assert status(port) == b"HTTP/1.1 200 OK"
        assert told(kept[0]) == b""
        late.sendall(ASK)
        assert late.recv(4096).endswith(b"ok")  # it was not the one that had waited the longest


def test_who_has_only_just_come_is_not_turned_out(port, monkeypatch):
    """A burst is told that there is no place; nobody is cut off for having been first."""
    monkeypatch.setattr(patience, "PATIENCE", 60.0)
    with ExitStack() as stack:
        first = [opened(stack, port) for _ in range(PLACES)]
        time.sleep(0.1)
        assert status(port).startswith(b"HTTP/1.1 503")
        time.sleep(0.1)
        first[0].sendall(ASK)
        assert first[0].recv(4096) != b""


def test_who_reads_nothing_is_cut_off(port):
    """A reply that nobody takes ends with its connection, and does not wait for ever."""
    with ExitStack() as stack:
        opened(stack, port, ASK.replace(b"/ ", b"/long "))
        assert ended.wait(10)


def test_who_reads_slowly_reads_all(port):
    """Somebody who takes a part now and then is not cut off, however long it all takes."""
    with ExitStack() as stack:
        slow, size = opened(stack, port, ASK.replace(b"/ ", b"/long ")), 0
        while not (ended.is_set() and size > 38_000_000):
            size += len(slow.recv(2_000_000))
            time.sleep(0.05)
        assert ended.is_set()

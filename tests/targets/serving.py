"""Servers on this machine, for what only a real connection shows: a function of a handler of Python's HTTP server, or bytes."""

from __future__ import annotations

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.targets.toy import HELLO
from trueline.core.types import Completion
from trueline.targets.http import Asking, connected
from trueline.targets.naming import address_of
from trueline.targets.posting import Reply, posting

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}"


@contextmanager
def serving(reply: Callable[[Any], object], model: str = "tiny") -> Iterator[str]:
    """A server whose POST is `reply(handler)`, where `handler.question` is what was sent; gives its TARGET."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept
        wbufsize = -1  # head and body leave together, so that nobody waits for an acknowledgement

        def do_POST(self):
            self.question = self.rfile.read(int(self.headers["content-length"]))
            try:
                reply(self)
                self.wfile.flush()
            except (BrokenPipeError, ConnectionResetError):
                self.close_connection = True

        def handle(self):
            with suppress(BrokenPipeError, ConnectionResetError):
                super().handle()

        def finish(self):
            with suppress(BrokenPipeError, ConnectionResetError):
                super().finish()

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128  # so many may come at once

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#{model}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    """Answer with a whole reply."""
    handler.send_response(reply.status)
    for name, value in {"content-length": str(len(reply.body)), **reply.headers}.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(reply.body)


@asynccontextmanager
async def answering(*raw: bytes, tls: ssl.SSLContext | None = None) -> AsyncIterator[tuple[str, list[bytes]]]:
    """A server that sends the n-th connection the n-th bytes and closes it; gives its address and the heads that it read."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        await reader.readexactly(2)
        writer.write(raw[len(heads) - 1])
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls) as server:
        yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", heads


async def posted(url: str, most_bytes: int = 2**20, **headers: str) -> Reply:
    """What comes of one question."""
    async with posting(url, headers, most_bytes) as post:
        return await post(b"{}")


async def asked(target: str, **asking: Any) -> Completion:
    """What a TARGET says to a greeting."""
    async with connected(address_of(target), Asking(**asking)) as remote:
        return await remote.reply(HELLO)

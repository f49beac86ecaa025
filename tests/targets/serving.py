"""A server on this machine, for what only a real connection shows: a function of a handler of Python's own HTTP server."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from trueline.targets.posting import Reply


@contextmanager
def serving(reply: Callable[[BaseHTTPRequestHandler], object]) -> Iterator[str]:
    """A server whose POST is `reply(handler)`; gives its TARGET."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"  # connections are kept
        wbufsize = -1  # head and body leave together, so that nobody waits for an acknowledgement

        def do_POST(self):
            self.rfile.read(int(self.headers["content-length"]))
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

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1#tiny"
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

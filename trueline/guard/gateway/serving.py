"""The process behind `trueline guard serve`: a socket, the app, and an end that loses nothing.

uvicorn with httptools (patience.py) and uvloop runs the app in this process; SIGTERM lets what is under way come to its end,
then the audit is taken to the database.
"""

from __future__ import annotations

import gc
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import uvicorn

from trueline.guard.audit.audit import Audit
from trueline.guard.audit.keys import Keyring
from trueline.guard.gateway.app import Gateway
from trueline.guard.gateway.beside import Beside
from trueline.guard.gateway.door import Door
from trueline.guard.gateway.live import Live
from trueline.guard.gateway.metrics import Metrics
from trueline.guard.gateway.patience import patient
from trueline.guard.gateway.proxied import upstream_of
from trueline.guard.gateway.spans import otlp_spans
from trueline.store.audits import tokens_since
from trueline.store.opening import open_database

BACKLOG = 2048  # connections that wait to be accepted
KEPT = 30  # seconds that a client's connection may wait for its next request
GRACE = 30  # seconds that exchanges under way have when the process is told to stop
CONNECTIONS = 4096  # at a time; more are answered 503 before anything is read
FILES = 3 * CONNECTIONS  # a client and an upstream for each, and some


@dataclass(frozen=True, kw_only=True)
class Served:
    """Where the gateway listens, and what stands behind it."""

    policy: Path
    upstream: str  # URL, with or without /v1
    folder: Path = Path("runs/guard")  # of the audit and of versions of the policy
    database: str | None = None  # file or URL; None: the one that all of trueline uses
    host: str = "127.0.0.1"
    port: int = 8080
    beside: Path | None = None  # a second policy, that judges the same and changes nothing
    spans: bool = False  # whether each exchange is an OpenTelemetry span
    secret: Mapping[str, str] | None = None  # headers that open the upstream in place of the client's own


def gateway(served: Served) -> Gateway:
    """The app and all that it needs. Raises PolicyError, ValueError: nothing is started on settings that cannot work."""
    url = check_url(served.upstream)
    spans = otlp_spans() if served.spans else None
    live = Live.open(served.policy, served.folder)
    second = Live.open(served.beside, None).chain.policy if served.beside else None
    audit, metrics = Audit.open(served.folder, served.database), Metrics()
    database = open_database(served.database)
    door = Door(ring=Keyring.of(database), spent=lambda: tokens_since(database, datetime.now(UTC).strftime("%Y-%m-%d")))
    upstream = upstream_of(url, live.chain.policy.limits)
    beside = Beside(path=served.beside, policy=second, audit=audit, metrics=metrics) if served.beside and second else None
    return Gateway(
        live=live, upstream=upstream, audit=audit, door=door, spans=spans, secret=served.secret, metrics=metrics, beside=beside
    )


def serve(served: Served, ready: Callable[[str], None] = lambda _: None) -> None:
    """Serve until SIGTERM or SIGINT; `ready` is told the address once connections are taken."""
    with _listening(served.host, served.port) as listener:
        app = gateway(served)
        config = uvicorn.Config(
            app, http=patient(), loop="uvloop", lifespan="on", ws="none", access_log=False, log_level="warning",
            server_header=False, date_header=False, timeout_keep_alive=KEPT, timeout_graceful_shutdown=GRACE,
            limit_concurrency=CONNECTIONS, proxy_headers=False,  # who asks is who is connected: a header can say anything
        )  # fmt: skip
        _spare_the_collector()
        _allow_files()
        listener.listen(BACKLOG)
        host, port = listener.getsockname()[:2]
        ready(f"http://{f'[{host}]' if ':' in host else host}:{port}")
        with suppress(KeyboardInterrupt):  # uvicorn raises the signal again once all has come to its end
            uvicorn.Server(config).run(sockets=[listener])  # on uvloop, which the configuration names


def _spare_the_collector() -> None:
    """What was loaded stays, so the collector need not look at it again: looking costs more than a request does."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 100)


def _allow_files() -> None:
    """As many open files as connections may need, where the system lets a process raise its own limit."""
    try:
        import resource
    except ImportError:  # on Windows there is no such limit
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def check_url(url: str) -> str:
    """The upstream's address without its path, which the client's request brings. Raises ValueError.

    >>> check_url("http://127.0.0.1:8000/v1/")
    'http://127.0.0.1:8000'
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ValueError(f"expected an upstream such as http://127.0.0.1:8000 or https://api.example.com/v1, got {url!r:.80}")
    return f"{parts.scheme}://{parts.netloc}{parts.path.rstrip('/').removesuffix('/v1')}"


def _listening(host: str, port: int) -> socket.socket:
    """A socket that is bound, so that a port that is taken is found out before anything else is opened."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Of TCP by name: asyncio turns Nagle's delay off for such sockets alone, and each reply would wait 40 ms for it.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # uvloop asks the socket itself
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"{error.strerror}; choose another --port, or 0 for a free one", f"{host}:{port}") from None
    return listener

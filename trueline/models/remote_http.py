"""JSON over HTTP to a server that samples, by the standard library alone: many requests at a time, one connection a thread.

What comes back is checked before it is used: a status, a size, JSON, an object. A connection that broke and a server that is
busy or paused are asked again, since nothing that is asked here does more when it is done twice. A key comes from the
environment (`TRUELINE_SAMPLER_KEY`), goes into one header, and into no error.

    wire = Wire.to("http://127.0.0.1:8000")
    wire.get("/v1/models")
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any, TypeVar
from urllib.parse import urlsplit

A = TypeVar("A")
B = TypeVar("B")
KEY = "TRUELINE_SAMPLER_KEY"
MOST = 2**28  # bytes of an answer
PAUSES = (0.2, 1.0, 4.0)  # seconds before a request is sent again
AGAIN = frozenset({429, 502, 503, 504})  # busy, paused, or about to be there
ABSENT = frozenset({404, 405, 501})  # a route that the server does not have


class RemoteError(ValueError):
    """A server of samples that is not there, or is not what is needed; the message says what to do."""


class StatusError(RemoteError):
    """An answer that is no success."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Wire:
    """One server. `timeout` is in seconds, for one answer."""

    url: str  # scheme, host and port, without a path
    timeout: float = 600.0
    key: str = field(default="", repr=False)
    _own: threading.local = field(default_factory=threading.local, init=False, repr=False, compare=False)

    @classmethod
    def to(cls, address: str, timeout: float = 600.0) -> Wire:
        """The server at an address such as http://HOST:8000; a `/v1` at its end is taken off."""
        parts = urlsplit(address)
        shown = f"{parts.scheme}://{parts.hostname or ''}"
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.rstrip("/") not in ("", "/v1"):
            raise RemoteError(f"sampler.server: expected an address such as http://127.0.0.1:8000, got {shown}{parts.path}")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise RemoteError(f"sampler.server: expected an address without user, password or ?query; put the key into {KEY}")
        return cls(f"{parts.scheme}://{parts.netloc}", timeout, os.environ.get(KEY, "").strip())

    def get(self, path: str) -> dict[str, Any]:
        """What the server says of itself."""
        return self._asked("GET", path, None)

    def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Ask for something; an empty answer is an empty object. Raises RemoteError, and StatusError where it is refused."""
        return self._asked("POST", path, None if body is None else json.dumps(body).encode())

    def _asked(self, method: str, path: str, body: bytes | None) -> dict[str, Any]:
        for pause in (*PAUSES, None):
            try:
                status, read = self._once(method, path, body)
            except TimeoutError as error:
                self._close()
                raise RemoteError(
                    f"{self.url}{path} did not answer within {self.timeout:g} s; raise sampler.timeout, or ask for less at once"
                ) from error
            except (OSError, HTTPException) as error:
                self._close()
                if pause is None:
                    reason = error.strerror if isinstance(error, OSError) and error.strerror else type(error).__name__
                    raise RemoteError(
                        f"no server of samples at {self.url} ({reason}); start it (docs/rollouts.md), or correct sampler.server"
                    ) from error
            else:
                if status not in AGAIN or pause is None:
                    return self._read(status, path, read)
            time.sleep(pause)
        raise AssertionError("the last try returns or raises")

    def _once(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        connection = self._connection()
        headers = {"accept": "application/json"}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.key:
            headers["authorization"] = f"Bearer {self.key}"
        connection.request(method, path, body=body, headers=headers)
        response = connection.getresponse()
        read = response.read(MOST + 1)
        if len(read) > MOST:
            self._close()
            raise RemoteError(f"{self.url}{path} answered more than {MOST >> 20} MiB; ask for fewer samples at a time")
        return response.status, read

    def _read(self, status: int, path: str, read: bytes) -> dict[str, Any]:
        if status in (401, 403):
            raise StatusError(status, f"{self.url} wants a key (status {status}); put it into {KEY}")
        try:
            found = json.loads(read) if read.strip() else {}
        except (ValueError, RecursionError) as error:
            raise StatusError(status, f"{self.url}{path}: expected JSON, got something else (status {status})") from error
        if not 200 <= status < 300:
            raise StatusError(status, f"{self.url}{path} refused with status {status}: {_reason(found)}")
        if not isinstance(found, dict):
            raise RemoteError(f"{self.url}{path}: expected a JSON object, got {type(found).__name__}")
        return found

    def _connection(self) -> HTTPConnection:
        """This thread's own connection."""
        there: HTTPConnection | None = getattr(self._own, "connection", None)
        if there is None:
            parts = urlsplit(self.url)
            kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
            there = self._own.connection = kind(parts.hostname or "", parts.port, timeout=self.timeout)
        return there

    def _close(self) -> None:
        there = self._own.__dict__.pop("connection", None)
        if there is not None:
            there.close()


def begun(work: Callable[[], B]) -> Future[B]:
    """Do something beside what goes on here, on a thread that no process waits for when it ends."""
    future: Future[B] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:  # raised where the result is asked for
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def together(ask: Callable[[A], B], asked: Sequence[A], most: int) -> list[B]:
    """`ask` of each, at most so many at a time; the answers in order. With the first that fails no other is begun."""
    places, found, lock = iter(range(len(asked))), dict[int, B](), threading.Lock()

    def work() -> None:
        try:
            while True:
                with lock:
                    place = next(places, None)
                if place is None:
                    return
                found[place] = ask(asked[place])
        except BaseException:
            with lock:
                for _ in places:
                    pass  # nobody begins another
            raise

    for done in [begun(work) for _ in range(max(1, min(most, len(asked))))]:
        done.result()
    return [found[place] for place in range(len(asked))]


def _reason(found: Any) -> str:
    """What a server gives as its reason, in one line that cannot take over a screen."""
    for name in ("error", "detail", "message"):  # {"error": {"message": ...}} or {"detail": ...}
        if isinstance(found, dict) and name in found:
            found = found[name]
    return "".join(c if c.isprintable() else " " for c in str(found))[:300]

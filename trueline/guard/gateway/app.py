"""The gateway: raw ASGI, from a client's bytes to the upstream's and back, with every side judged on the way.

    app = gateway(Served(policy=Path("policy.yaml"), upstream="http://127.0.0.1:8000"))     # serving.py

An exchange is recorded before it is forwarded, and its reply before it is let out; what cannot be recorded is refused. No byte
of either body passes that the policy's rails have not read, and where one of them could not, the policy says what counts.

    GET  /health    the process answers        GET /ready    it may be sent requests        GET /metrics    Prometheus
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field

import orjson

from trueline.guard.audit.audit import Audit
from trueline.guard.audit.journal import JournalError
from trueline.guard.audit.keys import ANYONE
from trueline.guard.gateway.beside import Beside
from trueline.guard.gateway.door import Door
from trueline.guard.gateway.headers import forwarded, raw
from trueline.guard.gateway.live import Live
from trueline.guard.gateway.metrics import Metrics
from trueline.guard.gateway.passing import Passing
from trueline.guard.gateway.requests import Asked, Message, Receive, Refused, Send, read
from trueline.guard.gateway.spans import Spans
from trueline.guard.gateway.upstream import Upstream, UpstreamError
from trueline.guard.wires import WireError, wire_of
from trueline.guard.wires.wire import Reply, Wire
from trueline.store.keys import KeyRow

UNWATCHED = 0.02  # seconds of an exchange in which nobody looks whether its client is still there: most are over by then
log = logging.getLogger(__name__)
PLAIN = {"content-type": "application/json"}


@dataclass(kw_only=True)
class Gateway:
    """An ASGI app; one in each process."""

    live: Live
    upstream: Upstream
    audit: Audit
    door: Door
    secret: Mapping[str, str] | None = field(
        default=None, repr=False
    )  # headers that open the upstream, in place of the client's
    metrics: Metrics = field(default_factory=Metrics)
    spans: Spans | None = None
    beside: Beside | None = None  # a second policy that judges the same exchanges, and changes nothing
    _in_flight: int = 0
    _draining: bool = False

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """One connection's request, or the life of the process."""
        if scope["type"] == "lifespan":
            await self._life(receive, send)
        elif scope["type"] == "http":
            own = OWN.get((scope["method"], scope["path"]))
            reply = await own(self) if own else await self._exchange(scope, receive, send)
            if reply is not None:
                await answer(send, reply)
        else:
            await send({"type": "websocket.close", "code": 1008})

    async def _life(self, receive: Receive, send: Send) -> None:
        await receive()
        async with self.upstream, self.live, self.door, self.beside or nullcontext():
            await send({"type": "lifespan.startup.complete"})
            await receive()
            self._draining = True
        await self.audit.close()
        await send({"type": "lifespan.shutdown.complete"})

    async def _exchange(self, scope: Message, receive: Receive, send: Send) -> Reply | None:
        """The reply to send; None where it was sent piece by piece, or nobody is there to read it."""
        wire = wire_of(scope["method"], scope["path"])
        started, limits = time.perf_counter(), self.live.chain.policy.limits
        if wire is None:
            return error(
                None, 404, "not_guarded", f"no rail reads {scope['method']} {scope['path']!r:.80}, so it does not pass"
            )
        if self._in_flight >= limits.in_flight or self._draining:
            return error(wire, 503, "busy", "more exchanges are under way than this gateway takes; try again", wait=1.0)
        self._in_flight += 1
        try:
            key = self.door.admit(scope)
            asked = await read(scope, receive, limits)
            self.door.take(key, len(asked.body))
            return await self._unless_gone(self._pass(wire, key, asked, send), receive)
        except Refused as refused:
            return error(wire, refused.status, refused.code, str(refused), wait=refused.wait)
        except WireError as fault:
            return error(wire, fault.status, fault.code, str(fault))
        except UpstreamError as fault:
            return error(wire, fault.status, "upstream", str(fault))
        except JournalError:
            log.error("an exchange cannot be recorded, so it is refused")
            return error(wire, 503, "not_recorded", "the audit takes no more records; try again later", wait=5.0)
        except ConnectionAbortedError:
            return None
        except Exception as fault:
            log.exception("%s in an exchange", type(fault).__name__)  # its text may hold anything: no client reads it
            return error(wire, 500, "internal", "the gateway failed; nothing was passed on")
        finally:
            self._in_flight -= 1
            self.metrics.took(wire.endpoint, time.perf_counter() - started)

    async def _unless_gone(self, work: Awaitable[Reply | None], receive: Receive) -> Reply | None:
        """The result of work, which ends when who asked has gone: nobody pays for what nobody reads."""
        watch = _Watch(receive)
        try:
            return await work
        except asyncio.CancelledError:
            if not watch.gone:
                raise
            return None
        finally:
            watch.end()

    async def _pass(self, wire: Wire, key: KeyRow, asked: Asked, send: Send) -> Reply | None:
        passing = Passing(
            wire=wire, key=key, chain=self.live.chain, basis=self.live.basis, audit=self.audit, metrics=self.metrics,
            asked=asked, spend=self.door.spend, spans=self.spans, beside=self.beside,
        )  # fmt: skip
        stopped = await passing.take_in()
        if stopped is not None:
            return stopped
        headers = forwarded(asked.headers, self.secret if self.secret is not None else (None if key is ANYONE else {}))
        try:
            async with self.upstream.ask(asked.method, asked.path, headers, passing.body or None) as came:
                if passing.streams(came):
                    await passing.stream(came, send)
                    return None
                return await passing.reply(came.status, came.headers, await came.whole())
        except BaseException as fault:  # whatever it was: what was accepted is settled
            passing.broke_off(fault)
            raise

    async def _health(self) -> Reply:
        return Reply(200, PLAIN, b'{"status":"ok"}')

    async def _ready(self) -> Reply:
        """Whether requests may be sent here: the policy is the file's, and records are taken."""
        known = (self.live.trouble, self.audit.trouble, self.beside.trouble if self.beside else "")
        trouble = [*filter(None, known), *(["the audit is full"] if self.audit.full else [])]
        told = {"status": "draining" if self._draining else "ok", "policy": self.live.chain.policy.version, "trouble": trouble}
        if self.beside is not None:
            told["beside"] = self.beside.version
        return Reply(503 if self._draining or self.audit.full else 200, PLAIN, orjson.dumps(told))

    async def _metrics(self) -> Reply:
        self.metrics.in_flight, self.metrics.pending = self._in_flight, self.audit.pending
        return Reply(200, {"content-type": "text/plain; version=0.0.4; charset=utf-8"}, self.metrics.text())


class _Watch:
    """Cancels the task that made it once the client has gone."""

    __slots__ = ("_here", "_receive", "_timer", "_watching", "gone")

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self._receive, self._here = receive, asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(UNWATCHED, self._begin)

    def end(self) -> None:
        self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        self._watching = asyncio.create_task(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        assert self._here is not None
        self._here.cancel()


OWN = {
    ("GET", "/health"): Gateway._health,
    ("GET", "/ready"): Gateway._ready,
    ("GET", "/metrics"): Gateway._metrics,
}


def error(wire: Wire | None, status: int, code: str, message: str, *, wait: float | None = None) -> Reply:
    """An error in the wire's shape, with the seconds to wait where it is known."""
    if wire is None:
        body = orjson.dumps({"error": {"message": message, "type": "invalid_request_error", "code": code, "param": None}})
        return Reply(status, PLAIN, body)
    told = wire.error(status, code, message)
    return told if wait is None else told._replace(headers={**told.headers, "retry-after": f"{max(1, round(wait))}"})


async def answer(send: Send, reply: Reply) -> None:
    """Send a whole reply."""
    headers = [*raw(reply.headers), (b"content-length", str(len(reply.body)).encode())]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": reply.body})

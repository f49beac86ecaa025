"""One exchange on its way: read, judged, recorded, passed on, and the same for what comes back.

The order is the promise: the request is recorded before it is forwarded, the reply before it is let out.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from trueline.guard.audit.audit import Audit
from trueline.guard.audit.record import Basis, Usage
from trueline.guard.chain import Chain, Outcome
from trueline.guard.exchange import Exchange
from trueline.guard.gateway.beside import Beside, Judged
from trueline.guard.gateway.headers import OWN, raw, returned
from trueline.guard.gateway.logs import FIELDS
from trueline.guard.gateway.metrics import Metrics
from trueline.guard.gateway.requests import Asked, Send
from trueline.guard.gateway.spans import Spans
from trueline.guard.gateway.upstream import Came, UpstreamError
from trueline.guard.ruling import STRICTNESS
from trueline.guard.streaming import Streamed
from trueline.guard.wires import WireError, edit_reply, edit_request
from trueline.guard.wires.bodies import Json
from trueline.guard.wires.usage import usage_of
from trueline.guard.wires.wire import SSE_TYPE, Reply, Stamp, Wire
from trueline.store.keys import KeyRow

log = logging.getLogger(__name__)
ID, POLICY, ACTION, NOT_RUN = f"{OWN}id", f"{OWN}policy", f"{OWN}action", f"{OWN}not-run"


@dataclass(kw_only=True)
class Passing:
    """The state of one exchange. `take_in` comes first, then `reply` or `stream`; or `broke_off`."""

    wire: Wire
    key: KeyRow
    chain: Chain
    basis: Basis
    audit: Audit
    metrics: Metrics
    asked: Asked
    spend: Callable[[KeyRow, int], None]  # hears how many tokens an exchange took
    body: bytes = b""  # as it goes to the upstream
    exchange: Exchange = field(init=False)
    id: str = ""
    input: Outcome = field(init=False)
    settled: bool = False
    spans: Spans | None = None
    beside: Beside | None = None
    began: float = field(default_factory=time.perf_counter)

    async def take_in(self) -> Reply | None:
        """Judge and record the request; the reply where it goes no further, else None. Raises WireError, JournalError."""
        self.exchange = self.wire.read_request(self.asked.body)
        self.input = outcome = await self.chain.judge(self.exchange, "input")
        self.id = self.audit.accept(
            self.exchange, outcome.ruling, outcome.rulings, self.basis, key=self.key.id, size=len(self.asked.body)
        )
        self.metrics.judged(outcome)
        if outcome.stopped or outcome.ruling.action == "rewrite":
            self._settle(None, finish="not forwarded")
            return self._refused(outcome)
        self.body = edit_request(self.asked.body, outcome.edits(self.exchange)) if outcome.texts else self.asked.body
        return None

    async def reply(self, status: int, headers: Mapping[str, str], body: bytes) -> Reply:
        """Judge and record what the upstream said, and return what the client is given."""
        try:
            said = self.wire.read_reply(self.exchange, body)
        except WireError:
            self._settle(None, upstream=status, finish="unreadable")
            why = f"the upstream answered {status} with what no rail can read"
            return self._own(self.wire.error(status if status >= 400 else 502, "upstream", why), "block")
        outcome = await self.chain.judge(said, "output")
        self._settle(outcome, exchange=said, upstream=status, size=len(body), usage=usage_of(body))
        if outcome.stopped or outcome.ruling.action == "rewrite":
            return self._refused(outcome, body)
        if outcome.texts:
            body = edit_reply(body, outcome.edits(said))
        return self._own(Reply(status, dict(headers), body), outcome.ruling.action)

    def streams(self, came: Came) -> bool:
        """Whether what comes is a stream of events that was asked for."""
        kind = came.headers.get("content-type", "").partition(";")[0].strip().lower()
        return self.exchange.stream and came.status == 200 and kind == "text/event-stream"

    async def stream(self, came: Came, send: Send) -> None:
        """Pass a stream on as its policy releases it; what was decided is recorded before the last of it leaves."""
        judge = Streamed(chain=self.chain, stream=self.wire.stream(self.exchange, self._stamp()))
        head = self._own(Reply(200, SSE_TYPE, b""), self.input.ruling.action)
        size = 0

        async def out(data: bytes, more: bool = True) -> None:
            nonlocal head
            if judge.outcome is not None and not self.settled:
                self._settle(
                    judge.outcome, exchange=judge.exchange, upstream=came.status, size=size, usage=judge.stream.usage
                )  # fmt: skip
            if head is not None and (data or not more):
                await send({"type": "http.response.start", "status": 200, "headers": raw(head.headers)})
                head = None
            if data or not more:
                await send({"type": "http.response.body", "body": data, "more_body": more})

        try:
            async for data in came.pieces():
                size += len(data)
                await out(await judge.feed(data))
                if judge.over:
                    break
            last = await judge.end()
        except (WireError, UpstreamError) as fault:
            last = judge.stream.fail(fault.status, "upstream_error", str(fault))
            self.broke_off(fault)
        await out(last, more=False)

    def broke_off(self, why: BaseException) -> None:
        """Record that no reply came, or not all of it."""
        if self.id and not self.settled:
            self._settle(None, finish=type(why).__name__)

    def _settle(
        self, outcome: Outcome | None, *, exchange: Exchange | None = None, upstream: int | None = None, size: int = 0,
        finish: str = "", usage: Json | None = None,
    ) -> None:  # fmt: skip
        self.settled = True
        ruling, rulings = (outcome.ruling, outcome.rulings) if outcome else (None, ())
        if outcome:
            self.metrics.judged(outcome)
        tokens = _tokens(usage)
        self.spend(self.key, tokens.input + tokens.output)
        self.metrics.tokens["input"] += tokens.input
        self.metrics.tokens["output"] += tokens.output
        words = [self.input.ruling.action, *([ruling.action] if ruling else [])]
        action = max(words, key=STRICTNESS.__getitem__)
        self.metrics.exchanges[self.exchange.endpoint, action] += 1
        if log.isEnabledFor(logging.INFO):
            log.info("exchange", extra={FIELDS: self._told(action, upstream, finish)})
        if self.spans is not None:
            now = time.time_ns()
            self.spans.record(
                self.exchange, began=now - round((time.perf_counter() - self.began) * 1e9), ended=now,
                outcomes=[self.input, *([outcome] if outcome else [])], tokens=tokens,
                about=self._told(action, upstream, finish),
            )  # fmt: skip
        self.audit.settle(
            self.id, exchange or self.exchange, ruling, rulings, self.basis,
            key=self.key.id, size=size, upstream=upstream, finish=finish, tokens=tokens,
        )  # fmt: skip
        if self.beside is not None:
            self.beside.offer(
                Judged(
                    id=self.id, exchange=exchange or self.exchange, basis=self.basis, input=self.input, output=outcome,
                    size=len(self.asked.body) + size,
                )
            )  # fmt: skip

    def _told(self, action: str, upstream: int | None, finish: str) -> dict[str, object]:
        """What a log says of this exchange."""
        ms = round((time.perf_counter() - self.began) * 1_000, 2)
        told = {"id": self.id, "endpoint": self.exchange.endpoint, "stream": self.exchange.stream, "action": action, "ms": ms}
        return {**told, "policy": self.chain.policy.version, "key": self.key.id, "upstream": upstream, "finish": finish}

    def _refused(self, outcome: Outcome, reply: bytes = b"") -> Reply:
        """What a client gets in place of what was stopped."""
        policy, ruling = self.chain.policy, outcome.ruling
        text = ruling.decision.text if ruling.action == "rewrite" else policy.message
        code = "human_review" if ruling.action == "human" else "content_filter"
        if policy.on_block == "error" and ruling.action != "rewrite":
            return self._own(self.wire.error(403, code, text), ruling.action)
        return self._own(self.wire.refusal(self.exchange, text, stamp=self._stamp(), reply=reply, code=code), ruling.action)

    def _stamp(self) -> Stamp:
        """What a reply of the guard's own is called."""
        return Stamp(id=self.id, created=int(time.time()))

    def _own(self, reply: Reply, action: str) -> Reply:
        """The reply with the headers that say what the guard did."""
        worst = max(self.input.ruling.action, action, key=STRICTNESS.__getitem__)
        own = {ID: self.id, POLICY: self.chain.policy.version, ACTION: worst}
        if missed := [r.decision.by for r in self.input.rulings if r.decision.status != "ran"]:
            own[NOT_RUN] = ",".join(missed)
        return reply._replace(headers={**returned(reply.headers), **own})


def _tokens(usage: Json | None) -> Usage:
    """What an upstream counted, under the names of either format."""
    counted = usage or {}

    def of(*names: str) -> int:
        return next((counted[name] for name in names if isinstance(counted.get(name), int)), 0)

    return Usage(input=of("prompt_tokens", "input_tokens"), output=of("completion_tokens", "output_tokens"))

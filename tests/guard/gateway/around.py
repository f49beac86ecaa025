"""A gateway with an upstream of the test's own, asked as a server asks an ASGI app."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.audit.keys import Keyring
from trueline.guard.chain import Chain
from trueline.guard.gateway.app import Gateway
from trueline.guard.gateway.door import Door
from trueline.guard.gateway.live import Live, basis_of
from trueline.guard.gateway.upstream import UpstreamError
from trueline.store.audits import audit_writers, rows_of
from trueline.store.keys import KeyRow
from trueline.store.opening import open_database

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hello"}]}


@dataclass(kw_only=True)
class Upstream:
    """Says what the test says; remembers what it was asked."""

    body: bytes | list[bytes] = b"{}"
    status: int = 200
    kind: str = "application/json"
    breaks: bool = False  # after what it has said
    headers: Mapping[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, dict[str, str], bytes]] = field(default_factory=list)

    async def __aenter__(self) -> Upstream:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    @asynccontextmanager
    async def ask(self, method: str, path: str, headers: list[tuple[str, str]], body: bytes | None) -> AsyncIterator[Upstream]:
        self.asked.append((method, path, dict(headers), body or b""))
        yield Came(self)  # type: ignore[misc] # as much of it as is read


class Came:
    """What came of a request."""

    def __init__(self, said: Upstream) -> None:
        self._said = said
        self.status = said.status
        self.headers = {"content-type": said.kind, **said.headers}

    async def pieces(self) -> AsyncIterator[bytes]:
        for piece in self._said.body if isinstance(self._said.body, list) else [self._said.body]:
            yield piece
        if self._said.breaks:
            raise UpstreamError(502, "the upstream's reply broke off")

    async def whole(self) -> bytes:
        return b"".join([piece async for piece in self.pieces()])


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a client got."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def said(text: str, **more: object) -> bytes:
    """The body of a chat completion."""
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    return json.dumps(
        {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice], "usage": usage, **more}
    ).encode()


def gateway(folder: Path, chain: Chain, upstream: object, keys: Callable[[], list[KeyRow]] = list, **more: Any) -> Gateway:
    """A gateway whose audit is in a folder."""
    live = Live(path=folder / "policy.yaml", state=folder, chain=chain, basis=basis_of(chain.policy))
    door = Door(ring=Keyring(keys))
    door.ring.refresh()
    audit = Audit.open(folder / "audit", folder / "guard.db", Settings(apart=False))
    return Gateway(live=live, upstream=upstream, audit=audit, door=door, **more)  # type: ignore[arg-type] # asked in the same way


async def ask(
    app: Gateway, body: object = CHAT, path: str = "/v1/chat/completions", *, method: str = "POST",
    headers: Mapping[str, str] = {}, query: bytes = b"", client: str = "127.0.0.1", gone: bool = False,
) -> Answer:  # fmt: skip
    """Send one request. `gone`: the client leaves once it has sent it."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = {"content-type": "application/json", **headers} if method == "POST" else dict(headers)
    scope = {
        "type": "http", "method": method, "path": path, "query_string": query, "client": (client, 1),
        "headers": [(name.encode(), value.encode()) for name, value in head.items()],
    }  # fmt: skip
    sent: list[Any] = []
    messages = iter([{"type": "http.request", "body": raw, "more_body": False}])

    async def receive() -> Any:
        message = next(messages, None)
        if message is None and not gone:
            await asyncio.Event().wait()
        return message or {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    if not sent:
        return Answer(status=0, headers={}, body=b"")
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return Answer(status=sent[0]["status"], headers=found, body=b"".join(message["body"] for message in sent[1:]))


async def recorded(app: Gateway, folder: Path) -> list[dict[str, Any]]:
    """Every row of the audit, after its end."""
    await app.audit.close()
    database = open_database(folder / "guard.db")
    try:
        return [json.loads(row.body) for writer in audit_writers(database) for row in rows_of(database, writer)]
    finally:
        database.dispose()

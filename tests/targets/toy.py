"""A remote target whose server is a function and whose time is a number: nothing is sent, and nobody waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

from trueline.core.types import GREEDY, Completion, Conversation, Sampling
from trueline.targets.http import Asking, connected
from trueline.targets.naming import address_of
from trueline.targets.patience import Clock, Patience
from trueline.targets.posting import Post, Posting, Reply

URL = "http://models.test/v1#tiny"
HELLO = Conversation().say("user", "hello")
ONCE = Patience(attempts=1)
SECRET = "sk-very-secret-0123456789"  # a key


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a server sees of a question."""

    url: str
    headers: Mapping[str, str]
    content: bytes


Handler = Callable[[Request], Reply | Awaitable[Reply]]


@dataclass
class Time:
    """A clock that only sleeping moves; it remembers each wait."""

    now: float = 0.0
    today: float = 1_000_000.0
    waits: list[float] = field(default_factory=list)

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)

    def clock(self) -> Clock:
        return Clock(now=lambda: self.now, today=lambda: self.today + self.now, sleep=self.sleep)


def chat_body(text: str = "hi", **more: Any) -> dict[str, Any]:
    """A whole chat completion that says `text`."""
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return {"choices": [choice], "usage": {"prompt_tokens": 3, "completion_tokens": 2}, **more}


def came(status: int = 200, body: Any = b"", headers: Mapping[str, str] | None = None) -> Reply:
    """A reply as it comes from a server; an object in its body is JSON."""
    content = body.encode() if isinstance(body, str) else body
    return Reply(
        status=status, headers=headers or {}, body=content if isinstance(content, bytes) else json.dumps(body).encode()
    )


def stream(*events: Any, end: str = "data: [DONE]\n\n") -> Reply:
    """Events as a server sends them."""
    text = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events) + end
    return came(body=text, headers={"content-type": "text/event-stream; charset=utf-8"})


def opening(server: Handler) -> Posting:
    """A way to post to a server that is a function."""

    @asynccontextmanager
    async def opened(url: str, headers: Mapping[str, str], most_bytes: int) -> AsyncIterator[Post]:
        async def post(question: bytes) -> Reply:
            answer = server(Request(url=url, headers=headers, content=question))
            return await answer if isawaitable(answer) else answer

        yield post

    return opened


def ask(
    server: Handler | dict[str, Any] | Reply,
    *,
    target: str = URL,
    conversation: Conversation = HELLO,
    sampling: Sampling = GREEDY,
    time: Time | None = None,
    times: int = 1,
    **asking: Any,
) -> list[Completion]:
    """Put one question, or the same one several times in a row."""

    def answer(request: Request) -> Reply | Awaitable[Reply]:
        if callable(server):
            return server(request)
        return came(body=server) if isinstance(server, dict) else server

    async def talk() -> list[Completion]:
        clock = (time or Time()).clock()
        async with connected(address_of(target), Asking(**asking), clock=clock, opening=opening(answer)) as remote:
            return [await remote.reply(conversation, sampling) for _ in range(times)]

    return asyncio.run(talk())

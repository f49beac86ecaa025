"""A remote target whose server is a function and whose time is a number: nothing is sent, and nobody waits."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2

from trueline.core.types import GREEDY, Completion, Conversation, Sampling
from trueline.targets.http import Asking, connected
from trueline.targets.naming import address_of
from trueline.targets.patience import Clock

URL = "http://models.test/v1#tiny"
HELLO = Conversation().say("user", "hello")
Handler = Callable[[httpx2.Request], httpx2.Response]


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


def stream(*events: Any, end: str = "data: [DONE]\n\n") -> httpx2.Response:
    """Events as a server sends them."""
    body = "".join(f"data: {json.dumps(event, ensure_ascii=False)}\n\n" for event in events) + end
    return httpx2.Response(200, content=body.encode(), headers={"content-type": "text/event-stream; charset=utf-8"})


def ask(
    server: Handler | dict[str, Any] | httpx2.Response,
    *,
    target: str = URL,
    conversation: Conversation = HELLO,
    sampling: Sampling = GREEDY,
    time: Time | None = None,
    times: int = 1,
    **asking: Any,
) -> list[Completion]:
    """Put one question, or the same one several times in a row."""

    def handler(request: httpx2.Request) -> httpx2.Response:
        if callable(server):
            return server(request)
        return httpx2.Response(200, json=server) if isinstance(server, dict) else server

    async def talk() -> list[Completion]:
        clock, transport = (time or Time()).clock(), httpx2.MockTransport(handler)
        async with connected(address_of(target), Asking(**asking), clock=clock, transport=transport) as remote:
            return [await remote.reply(conversation, sampling) for _ in range(times)]

    return asyncio.run(talk())

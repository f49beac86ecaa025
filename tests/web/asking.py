"""An endpoint asked without a network: requests go to the app in this process, all of a list at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx2

from trueline.core.ports import Target
from trueline.core.types import Completion, Conversation, Sampling
from trueline.targets.local import LocalModel
from trueline.web.endpoint import Limits, endpoint

URL = "http://127.0.0.1:8000"
HELLO = {"model": "tiny", "messages": [{"role": "user", "content": "a b"}]}


@dataclass
class Recorder:
    """A target that remembers what it was asked, and answers as the target behind it."""

    target: Target
    asked: list[tuple[Conversation, Sampling]] = field(default_factory=list)
    name: str = "recorder"

    async def reply(self, conversation: Conversation, sampling: Sampling) -> Completion:
        self.asked.append((conversation, sampling))
        return await self.target.reply(conversation, sampling)


@dataclass
class Failing:
    """A target that raises."""

    error: BaseException
    name: str = "failing"

    async def reply(self, conversation: Conversation, sampling: Sampling) -> Completion:
        raise self.error


def app_of(target: Target, **options: Any):
    """A target served as `tiny`; a local model tells of its tokens."""
    known = {"spelling": target} if isinstance(target, LocalModel) else {}
    return endpoint(target, "tiny", **{"rng": Random(0), **known, **options})


@asynccontextmanager
async def client(app) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url=URL) as opened:
        yield opened


def ask(app, *bodies: Any, path: str = "/v1/chat/completions", **options: Any) -> list[httpx2.Response]:
    """POST each body (bytes as they are), all at once."""

    async def talk() -> list[httpx2.Response]:
        async with client(app) as c:
            contents = [body if isinstance(body, bytes) else json.dumps(body).encode() for body in bodies]
            return await asyncio.gather(*(c.post(path, content=content, **options) for content in contents))

    return asyncio.run(talk())


def get(app, path: str, **headers: str) -> httpx2.Response:
    async def talk() -> httpx2.Response:
        async with client(app) as c:
            return await c.get(path, headers=headers)

    return asyncio.run(talk())


def events(response: httpx2.Response) -> list[dict[str, Any]]:
    """The objects of a stream, which ends as OpenAI's do."""
    assert response.headers["content-type"].startswith("text/event-stream")
    *told, last = [line.removeprefix("data: ") for line in response.text.split("\n\n") if line]
    assert last == "[DONE]"
    return [json.loads(line) for line in told]


def error_of(response: httpx2.Response) -> dict[str, Any]:
    """The error of a response, which has OpenAI's shape."""
    assert response.headers["content-type"] == "application/json"
    error = response.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


__all__ = ["HELLO", "URL", "Failing", "Limits", "Recorder", "app_of", "ask", "client", "error_of", "events", "get"]

"""Any Target as an OpenAI-compatible endpoint: the ASGI app behind `trueline serve`.

    GET  /health                 it answers
    GET  /v1/models              the one model that it has; also /v1/models/NAME
    POST /v1/chat/completions    whole or streamed, with tools, stop texts, log-probabilities and several choices

What is asked at the same time reaches the target at the same time, so a local model answers it in one batch.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from trueline.core.ports import Target
from trueline.core.records import json_line
from trueline.core.types import Completion, Sampling
from trueline.targets.spelling import Spelling, Token, Unspelled
from trueline.web.chat_replies import Choice, Head, fresh, pieces, whole
from trueline.web.chat_requests import Asked, read_body, read_request
from trueline.web.door import Door, Rules, answer
from trueline.web.errors import HINT, EndpointError, error_of, status_error

T = TypeVar("T")
USUAL = 256  # tokens of an answer where a request does not say, and the model has room for them
DRAIN = 16  # times the largest body that is taken in and thrown away, so that a client hears why
SEEDS = 2**31
WAIVED = "x-trueline-waived"  # the header that names fields which were not followed
log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may cost."""

    most_bytes: int = 4 * 2**20  # of a body
    seconds: float = 300.0  # until the answer is there


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A target behind HTTP, under a name of its own."""

    target: Target
    name: str
    spelling: Spelling = Unspelled()
    limits: Limits = Limits()
    rng: Random  # of the seeds of requests that bring none: asked twice, they get two samples
    started: int
    said: set[str] = field(default_factory=set)  # fields whose waiving is in the log

    async def models(self, request: Request) -> Response:
        """The list of models, or the one that is named."""
        told = {"id": self.name, "object": "model", "created": self.started, "owned_by": "trueline"}
        if "name" not in request.path_params:
            return _json({"object": "list", "data": [told]})
        self._check_model(request.path_params["name"])
        return _json(told)

    async def chat(self, request: Request) -> Response:
        """A chat completion."""
        asked = read_request(read_body(await self._body(request)))
        self._check_model(asked.model)
        read = self.spelling.count(asked.conversation)
        samplings = self._samplings(asked, read)
        said = await self._within(request, self._replies(asked, samplings))
        head = Head(id=fresh("chatcmpl-"), created=int(time.time()), model=self.name)
        told = self._tell(asked.waived)
        if not asked.stream:
            return _json(whole(head, said, read), told)
        events = _events(pieces(head, said, read if asked.count_tokens else None))
        return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-cache", **told})

    async def _replies(self, asked: Asked, samplings: list[Sampling]) -> list[Choice]:
        said = await asyncio.gather(*(self.target.reply(asked.conversation, sampling) for sampling in samplings))
        if asked.top is None:
            return [Choice.of(one, asked.stop, None) for one in said]
        spelled = [await self._spell(one, sampling, asked.top) for one, sampling in zip(said, samplings, strict=True)]
        return [Choice.of(one, asked.stop, tokens) for one, tokens in zip(said, spelled, strict=True)]

    async def _spell(self, said: Completion, sampling: Sampling, top: int) -> tuple[Token, ...]:
        tokens = await self.spelling.spell(said, sampling, top)
        if said.text and not tokens:
            raise EndpointError(
                400, f"{self.name} tells no log-probabilities; leave logprobs out", param="logprobs", code="unsupported"
            )
        return tokens

    def _tell(self, waived: tuple[str, ...]) -> dict[str, str]:
        """Say what was waived: to the client in a header, and once for each field in the log."""
        for name in waived:
            if name not in self.said:
                log.warning("%s is asked for and not served: samples come from the whole distribution", name)
                self.said.add(name)
        return {WAIVED: ", ".join(waived)} if waived else {}

    def _check_model(self, name: str) -> None:
        if name != self.name:
            came = f"there is no model {name!r:.80} here, this is {self.name!r}"
            raise EndpointError(404, f"{came}; {HINT}", param="model", code="model_not_found")

    def _samplings(self, asked: Asked, read: int) -> list[Sampling]:
        """How each choice is sampled: choice i is what the request's seed + i gives by itself."""
        context = self.spelling.context
        room = USUAL if context is None else context - read
        most = min(USUAL, room) if asked.max_tokens is None else asked.max_tokens
        if most < 1 or (context is not None and most > room):
            wanted = "" if asked.max_tokens is None else f" and max_tokens {most}"
            raise EndpointError(
                400,
                f"expected at most {context} tokens, this model's context, got {read} in the messages{wanted}; "
                f"shorten the messages or lower max_tokens",
                param="messages" if room < 1 else "max_tokens",
                code="context_length_exceeded",
            )
        seed = self.rng.randrange(SEEDS) if asked.seed is None else asked.seed
        return [Sampling(temperature=asked.temperature, max_tokens=most, seed=seed + i) for i in range(asked.n)]

    async def _body(self, request: Request) -> bytes:
        """The body. Raises EndpointError for one that is too large, or that does not come."""
        most, body, came = self.limits.most_bytes, bytearray(), 0
        try:
            async with asyncio.timeout(self.limits.seconds):
                async for piece in request.stream():
                    came += len(piece)
                    if came <= most:
                        body += piece
                    elif came > DRAIN * most:
                        break
        except (TimeoutError, ClientDisconnect):
            raise EndpointError(408, f"expected the whole body within {self.limits.seconds:g} s; send it at once") from None
        if came > most:
            raise EndpointError(413, f"expected a body of at most {most:,} bytes, got more; send less", code="body_too_large")
        return bytes(body)

    async def _within(self, request: Request, work: Awaitable[T]) -> T:
        """The result of work, which ends when its time is over, or when who asked has gone."""
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(request.receive())
        try:
            await asyncio.wait({task, gone}, timeout=self.limits.seconds, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            # Nobody reads this where the client has gone.
            raise EndpointError(504, f"no answer within {self.limits.seconds:g} s; ask for fewer tokens", code="timeout")
        finally:
            task.cancel()
            gone.cancel()


def endpoint(
    target: Target,
    name: str,
    *,
    spelling: Spelling = Unspelled(),  # noqa: B008 - frozen, so it is shared safely
    rules: Rules = Rules(),  # noqa: B008 - as above
    limits: Limits = Limits(),
    rng: Random | None = None,
) -> ASGIApp:
    """The app that serves a target under a name."""
    served = Endpoint(target=target, name=name, spelling=spelling, limits=limits, rng=rng or Random(), started=int(time.time()))
    routes = [
        Route("/health", _told(_health), methods=["GET"]),
        Route("/v1/models", _told(served.models), methods=["GET"]),
        Route("/v1/models/{name:path}", _told(served.models), methods=["GET"]),
        Route("/v1/chat/completions", _told(served.chat), methods=["POST"]),
    ]
    return Door(Starlette(routes=routes, exception_handlers={HTTPException: _not_there}), rules)


def _told(handle: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """A handler whose errors are told in OpenAI's shape. What was asked stays out of the log."""

    async def handled(request: Request) -> Response:
        try:
            return await handle(request)
        except Exception as error:
            fault = error_of(error)
            if fault.status == 500:
                log.error("%s while answering %s", type(error).__name__, request.url.path)
            return answer(fault)

    return handled


async def _health(request: Request) -> Response:
    return _json({"status": "ok"})


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return answer(status_error(error.status_code, f"{request.method} {request.url.path!r:.80}"))


def _json(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json_line(value), headers=headers, media_type="application/json")


async def _events(told: Iterator[dict[str, Any]]) -> AsyncIterator[bytes]:
    """Server-sent events, as OpenAI ends them."""
    for value in told:
        yield f"data: {json_line(value)}\n\n".encode()
    yield b"data: [DONE]\n\n"

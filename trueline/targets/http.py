"""A model behind an HTTP address as a Target: asked patiently, at a pace, within a budget.

What a server sends is hostile: it is read piece by piece up to a limit, never followed elsewhere, and quoted in errors with its
unseen characters spelled out. A key comes from the environment, goes into one header, and is taken out of every error.

    trueline chat openai:MODEL --say hello
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random

import httpx2

from trueline.core.records import json_line
from trueline.core.types import GREEDY, Completion, Conversation, Prompt, Sampling
from trueline.targets.errors import (
    BadReplyError,
    RefusedRequestError,
    ReplyTooLargeError,
    TargetBusyError,
    TargetError,
    TargetKeyError,
    TargetTimeoutError,
    UnknownModelError,
    UnreachableError,
    quoted,
)
from trueline.targets.patience import Budget, Clock, Meter, Pace, Patience, Turnstile, persist, retry_after
from trueline.targets.wire import Answer, Json, ShapeError, Wire, complaint, events, read_json

AGAIN = (408, 409, 425, 429)  # and all from 500 on: the same question may be answered later


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where a model answers, and in which words it is asked."""

    name: str  # the TARGET as it was written
    url: str  # without the wire's own path
    model: str
    wire: Wire
    variable: str  # environment variable that holds the key
    needs_key: bool = True


@dataclass(frozen=True, kw_only=True)
class Asking:
    """How a remote target is asked."""

    stream: bool = False  # let the answer come in pieces: a long one then keeps the line alive
    logprobs: bool = False  # ask for log-probabilities too; not every model gives them
    timeout: float = 120.0  # seconds for one request, from the first byte to the last
    most_bytes: int = 4 * 2**20  # a reply that is longer is not read to its end
    patience: Patience = Patience()
    pace: Pace = Pace()
    budget: Budget = Budget()

    def __post_init__(self) -> None:
        if self.timeout <= 0 or self.most_bytes < 1:
            raise ValueError(f"timeout and most_bytes must be above 0, got {self.timeout} and {self.most_bytes}")


@dataclass(frozen=True, kw_only=True)
class Key:
    """A secret from the environment, which shows itself to nobody."""

    variable: str
    value: str = field(default="", repr=False)

    @classmethod
    def of(cls, address: Address) -> Key:
        """Read it. Raises TargetKeyError where there must be one, or where what is there cannot be one."""
        value = os.environ.get(address.variable, "").strip()
        if address.needs_key and not value:
            raise TargetKeyError(f"{address.name}: expected a key in {address.variable}, found none; set it in the environment")
        if not all("!" <= character <= "~" for character in value):
            raise TargetKeyError(
                f"{address.name}: what {address.variable} holds cannot be a key: it has a blank, a line break or a letter "
                f"outside of ASCII in it; set it again"
            )
        return cls(variable=address.variable, value=value)

    def quote(self, text: str) -> str:
        """A stranger's text as `quoted` shows it, without the key; taken out first, since a cut could leave half of it."""
        return quoted(text.replace(self.value, "[key]") if self.value else text)


@dataclass(frozen=True, kw_only=True)
class Remote:
    """A model behind an address; `connected` opens one. It belongs to one event loop."""

    address: Address
    asking: Asking
    key: Key
    meter: Meter
    client: httpx2.AsyncClient = field(repr=False, compare=False)
    turnstile: Turnstile = field(repr=False, compare=False)
    clock: Clock = field(repr=False, compare=False)
    rng: Random = field(repr=False, compare=False)

    @property
    def name(self) -> str:
        return self.address.name

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """Answer. Raises a TargetError of the kind that fits, or BudgetSpentError before a request that is one too many."""
        asking = self.asking
        asked = self.address.wire.question(
            self.address.model, conversation, sampling, stream=asking.stream, logprobs=asking.logprobs
        )
        question = json_line(asked).encode()
        async with self.turnstile.inside():
            answer = await persist(lambda: self._ask(question), asking.patience, self.clock, self.rng)
        return Completion(
            prompt=Prompt(conversation=conversation),
            text=answer.text,
            tool_calls=answer.tool_calls,
            model=self.name,
            logprobs=answer.logprobs,
            finish=answer.finish,
        )

    async def _ask(self, question: bytes) -> Answer:
        """One request."""
        await self.turnstile.turn()
        self.meter.request()
        url, limit = self.address.url + self.address.wire.path, self.asking.timeout
        try:
            async with asyncio.timeout(limit), self.client.stream("POST", url, content=question) as came:
                body = await _read(came, self.asking.most_bytes)
        except (TimeoutError, httpx2.TimeoutException):
            raise TargetTimeoutError(f"{self.name}: no whole reply within {limit:g} s; raise timeout", again=True) from None
        except httpx2.HTTPError as error:
            # The kind of error says what happened; its text may hold what was sent.
            raise UnreachableError(f"{self.name}: {_trouble(error)}; check the address and the network", again=True) from None
        if not came.is_success:
            raise self._failure(came, body)
        if len(body) > self.asking.most_bytes:
            raise ReplyTooLargeError(
                f"{self.name}: expected a reply of at most {self.asking.most_bytes:,} bytes, and more came; "
                f"lower max_tokens, or raise most_bytes"
            )
        answer = self._answer(came, body)
        # Who does not count is counted by the usual rule of thumb: four characters a token.
        read = len(question) // 4 if answer.tokens_read is None else answer.tokens_read
        written = len(answer.text) // 4 + 1 if answer.tokens_written is None else answer.tokens_written
        self.meter.tokens(read, written)
        return answer

    def _answer(self, came: httpx2.Response, body: bytes) -> Answer:
        wire = self.address.wire
        streamed = came.headers.get("content-type", "").startswith("text/event-stream")
        try:
            return wire.answer(wire.gather(list(events(body))) if streamed else read_json(body))
        except (ShapeError, AttributeError, LookupError, TypeError, ValueError) as error:
            # A stranger's object may have any shape at all: whatever trips over it found something that is no reply.
            known = error if isinstance(error, ShapeError) else ShapeError("a reply of this API")
            said = self.key.quote(known.said or body.decode(errors="replace"))
            raise BadReplyError(f"{self.name}: expected {known}, got {said}; check that the address speaks this API") from None

    def _failure(self, came: httpx2.Response, body: bytes) -> TargetError:
        """The error that a status stands for."""
        code, text = came.status_code, body.decode(errors="replace")
        said = self.key.quote(_complaint(body) or text or came.reason_phrase)
        if code in (401, 403):  # what the server says of a key is not repeated: it may repeat the key
            found = f"set {self.key.variable} to a key that may use this model"
            return TargetKeyError(f"{self.name}: the key was not accepted ({code}); {found}")
        if code in AGAIN or code >= 500:
            wait = retry_after(came.headers, self.clock.today())
            return TargetBusyError(f"{self.name}: expected an answer, got {code}: {said}", again=True, wait=wait)
        if code == 404:
            return UnknownModelError(
                f"{self.name}: nothing answers there under that name (404): {said}; check model and address"
            )
        if came.has_redirect_location:
            to = self.key.quote(came.headers["location"])
            return UnreachableError(
                f"{self.name}: sends on to {to}, which is not followed (the key would go there); name it instead"
            )
        return RefusedRequestError(f"{self.name}: the request was refused ({code}): {said}; change what is asked")


@asynccontextmanager
async def connected(
    address: Address,
    asking: Asking = Asking(),
    *,
    clock: Clock = Clock(),  # noqa: B008 - frozen, so it is shared safely
    transport: httpx2.AsyncBaseTransport | None = None,
) -> AsyncIterator[Remote]:
    """Open a remote target: one client, closed at the end. Raises TargetKeyError before anything is sent."""
    key = Key.of(address)
    headers = {"content-type": "application/json", "user-agent": "trueline", **address.wire.headers(key.value)}
    async with httpx2.AsyncClient(
        headers=headers, timeout=asking.timeout, follow_redirects=False, transport=transport
    ) as client:
        yield Remote(
            address=address,
            asking=asking,
            key=key,
            meter=Meter(budget=asking.budget, clock=clock),
            client=client,
            turnstile=Turnstile(asking.pace, clock),
            clock=clock,
            rng=Random(),
        )


async def _read(came: httpx2.Response, most: int) -> bytes:
    """The body, or a little more than `most` bytes of a longer one."""
    body = bytearray()
    async for piece in came.aiter_bytes():
        body += piece
        if len(body) > most:
            break
    return bytes(body)


def _complaint(body: bytes) -> str:
    """The message of an error page that is JSON."""
    try:
        page: Json = read_json(body)
    except ShapeError:
        return ""
    return complaint(page) or str(page.get("message") or page.get("detail") or "")


def _trouble(error: httpx2.HTTPError) -> str:
    if isinstance(error, httpx2.ConnectError):
        return "expected a server, found none that takes a connection"
    if isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return "the connection broke off before the reply was whole"
    return f"the request failed ({type(error).__name__})"

"""A model behind an HTTP address as a Target: asked patiently, at a pace, within a budget.

What a server sends is hostile: it is read up to a limit, never followed elsewhere, and quoted in errors with its unseen
characters spelled out. A key comes from the environment, goes into one header, and is taken out of every error.

    trueline chat openai:MODEL --say hello
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random

from trueline.core.ports import Limiter
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
from trueline.targets.patience import Budget, Clock, Meter, Pace, Patience, Shared, Turnstile, persist, retry_after
from trueline.targets.posting import NoReplyError, Post, Posting, Reply, posting
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
    post: Post = field(repr=False, compare=False)
    turnstile: Turnstile = field(repr=False, compare=False)
    clock: Clock = field(repr=False, compare=False)
    rng: Random = field(repr=False, compare=False)
    shared: Shared | None = field(default=None, repr=False, compare=False)  # where other processes ask it too

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
        if self.shared is not None:
            await self.shared.request()
        await self.turnstile.turn()
        self.meter.request()
        limit = self.asking.timeout
        try:
            async with asyncio.timeout(limit):
                came = await self.post(question)
        except TimeoutError:
            raise TargetTimeoutError(f"{self.name}: no whole reply within {limit:g} s; raise timeout", again=True) from None
        except NoReplyError as error:
            raise UnreachableError(f"{self.name}: {error}; check the address and the network", again=True) from None
        if not 200 <= came.status < 300:
            raise self._failure(came)
        if len(came.body) > self.asking.most_bytes:
            raise ReplyTooLargeError(
                f"{self.name}: expected a reply of at most {self.asking.most_bytes:,} bytes, and more came; "
                f"lower max_tokens, or raise most_bytes"
            )
        answer = self._answer(came)
        # Who does not count is counted by the usual rule of thumb: four characters a token.
        read = len(question) // 4 if answer.tokens_read is None else answer.tokens_read
        written = len(answer.text) // 4 + 1 if answer.tokens_written is None else answer.tokens_written
        self.meter.tokens(read, written)
        if self.shared is not None:
            await self.shared.tokens(read, written)
        return answer

    def _answer(self, came: Reply) -> Answer:
        wire, body = self.address.wire, came.body
        streamed = came.headers.get("content-type", "").startswith("text/event-stream")
        try:
            return wire.answer(wire.gather(list(events(body))) if streamed else read_json(body))
        except (ShapeError, AttributeError, LookupError, TypeError, ValueError) as error:
            # A stranger's object may have any shape at all: whatever trips over it found something that is no reply.
            known = error if isinstance(error, ShapeError) else ShapeError("a reply of this API")
            said = self.key.quote(known.said or body.decode(errors="replace"))
            raise BadReplyError(f"{self.name}: expected {known}, got {said}; check that the address speaks this API") from None

    def _failure(self, came: Reply) -> TargetError:
        """The error that a status stands for."""
        code, text = came.status, came.body.decode(errors="replace")
        said = self.key.quote(_complaint(came.body) or text or came.reason)
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
        if came.sends_on:
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
    opening: Posting | None = None,
    limiter: Limiter | None = None,
) -> AsyncIterator[Remote]:
    """Open a remote target, whose connections are closed at the end. Raises TargetKeyError before anything is sent.

    `opening` is the way to post there, over HTTP where it is left out. Where other processes ask it too, `limiter` keeps the
    pace and the budget; `pace.at_once` stays this process's own.
    """
    key = Key.of(address)
    headers = {"content-type": "application/json", "user-agent": "trueline", **address.wire.headers(key.value)}
    url = address.url + address.wire.path
    async with (opening or posting)(url, headers, asking.most_bytes) as post:
        shared = None
        if limiter is not None:
            shared = Shared(limiter=limiter, name=address.name, pace=asking.pace, budget=asking.budget, clock=clock)
            prices = Budget(price_read=asking.budget.price_read, price_written=asking.budget.price_written)
            asking = replace(asking, pace=Pace(at_once=asking.pace.at_once), budget=prices)
        yield Remote(
            address=address,
            asking=asking,
            key=key,
            meter=Meter(budget=asking.budget, clock=clock),
            post=post,
            turnstile=Turnstile(asking.pace, clock),
            clock=clock,
            rng=Random(),
            shared=shared,
        )


def _complaint(body: bytes) -> str:
    """The message of an error page that is JSON."""
    try:
        page: Json = read_json(body)
    except ShapeError:
        return ""
    return complaint(page) or str(page.get("message") or page.get("detail") or "")

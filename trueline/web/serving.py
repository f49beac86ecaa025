"""The process behind `trueline serve TARGET`: a socket, a thread for HTTP, and the target on the main thread.

Computing holds the thread that it runs on, and a local model computes on the main one, which alone may fork helpers
(models/forked.py). So HTTP has a thread and an event loop of its own: while a batch is computed, requests are read, timed and
counted there, and what has come meanwhile is the next batch. Nobody waits for a clock.

    trueline serve runs/demo/safety --port 8000
"""

from __future__ import annotations

import asyncio
import re
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from trueline.core.ports import Target
from trueline.core.types import GREEDY, Completion, Conversation, Sampling
from trueline.guard.opening import open_target
from trueline.targets.http import Asking
from trueline.targets.naming import kind_of
from trueline.targets.spelling import Deployed, Spelling, Token, Unspelled
from trueline.targets.wrappers import Deployment
from trueline.web.door import LOOPBACK, Rules
from trueline.web.elsewhere import there
from trueline.web.endpoint import endpoint

GRACE = 10  # seconds that requests under way have when the process is told to stop
IDLE = 60  # seconds that a connection may wait for its next request
BACKLOG = 2048  # connections that may wait to be accepted


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where the endpoint answers, before it is asked."""

    host: str
    port: int
    name: str

    @property
    def url(self) -> str:
        """What clients take as their base URL."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}/v1"

    @property
    def target(self) -> str:
        """The TARGET by which others name it."""
        return f"{self.url}#{self.name}"


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """A target that answers on the loop where it was opened, asked from another."""

    target: Target
    spelling: Spelling
    loop: asyncio.AbstractEventLoop

    @property
    def name(self) -> str:
        return self.target.name

    @property
    def context(self) -> int | None:
        """As the target says."""
        return self.spelling.context

    async def reply(self, conversation: Conversation, sampling: Sampling = GREEDY) -> Completion:
        """What the target answers over there; who is cancelled here cancels there."""
        return await there(self.target.reply(conversation, sampling), self.loop)

    def count(self, conversation: Conversation) -> int:
        """Here: a tokenizer may be read from any thread."""
        return self.spelling.count(conversation)

    async def spell(self, completion: Completion, sampling: Sampling, top: int = 0) -> tuple[Token, ...]:
        """What the target spells over there."""
        return await there(self.spelling.spell(completion, sampling, top), self.loop)


def serve(
    reference: str,
    address: Address,
    *,
    template: str = "model",
    device: str = "cpu",
    probe: Path | None = None,
    key: str = "",
    asking: Asking = Asking(),  # noqa: B008 - frozen, so it is shared safely
    ready: Callable[[Address], None] = lambda _: None,
) -> None:
    """Serve a TARGET (behind a probe) until SIGTERM or SIGINT; `ready` is told the address once connections are taken."""

    async def run() -> None:
        with listening(
            address.host, address.port
        ) as listener:  # first of all: a taken port is found out before a model is loaded
            bound = Address(host=address.host, port=listener.getsockname()[1], name=address.name)
            async with open_target(reference, template=template, asking=asking) as target:
                served = _guarded(_placed(reference, target, device), probe)
                spelling = spelling_of(served)
                spelling.count(Conversation().say("user", "hello"))  # a template that refuses this refuses all, so say it here
                there = Elsewhere(target=served, spelling=spelling, loop=asyncio.get_running_loop())
                rules = Rules(loopback=address.host in LOOPBACK, key=key)
                server = server_of(endpoint(there, address.name, spelling=there, rules=rules))
                listener.listen(BACKLOG)
                ready(bound)
                await asyncio.to_thread(asyncio.run, server.serve(sockets=[listener]))

    asyncio.run(run())


def name_of(reference: str) -> str:
    """The name that a TARGET is served under, if no other is asked for: the last part of it, which tells nothing of folders.

    >>> name_of("runs/demo/safety"), name_of("hf:Qwen/Qwen3-0.6B"), name_of("library.yaml")
    ('safety', 'Qwen3-0.6B', 'library')
    """
    last = re.split(r"[/:#]", reference.rstrip("/"))[-1]
    return Path(last).stem if kind_of(reference) == "deployment" else last


def check_name(name: str) -> str:
    """A name that can stand in an address. Raises ValueError."""
    if not re.fullmatch(r"[\w.:@+-]+", name, re.ASCII):
        raise ValueError(f"expected a name of letters, digits and . : @ + - _, got {name!r:.80}; write --name NAME")
    return name


def spelling_of(target: Target) -> Spelling:
    """What is known of a target's tokens."""
    if isinstance(target, Deployment):
        return Deployed(target, spelling_of(target.target))
    return target if isinstance(target, Spelling) else Unspelled()


def _placed(reference: str, target: Target, device: str) -> Target:
    """A target on its device, if it is a model in this process."""
    if kind_of(reference) != "local":
        if device != "cpu":
            raise ValueError(f"{reference}: --device {device} is for a model in this process; leave it out here")
        return target
    from trueline.targets.local import LocalModel  # torch, which a model in this process has loaded anyway

    assert isinstance(target, LocalModel)
    target.policy.to(device)
    return target


def _guarded(target: Target, probe: Path | None) -> Target:
    """A target with its probe, if it is to have one."""
    if probe is None:
        return target
    from trueline.targets.probed import probed  # torch, which a model in this process has loaded anyway

    return probed(target, probe)


def listening(host: str, port: int) -> socket.socket:
    """A bound socket. Raises RuntimeError where the address cannot be taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Of TCP by name: asyncio turns Nagle's delay off for such sockets alone, and each answer would wait 40 ms for it.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        reason = f"{error.strerror or error}; choose another --host or --port (0: a free one)"
        raise RuntimeError(f"cannot take {host}:{port}: {reason}") from None
    return bound


def server_of(app: object) -> uvicorn.Server:
    """The HTTP server, which ends when the process is told to; told twice, it waits for nobody."""
    config = uvicorn.Config(
        app,  # type: ignore[arg-type]  # starlette's ASGIApp is uvicorn's too
        loop="asyncio",
        http="h11",
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=IDLE,
        timeout_graceful_shutdown=GRACE,
    )
    server = uvicorn.Server(config)

    def stop() -> None:
        server.force_exit, server.should_exit = server.should_exit, True

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop)
    return server

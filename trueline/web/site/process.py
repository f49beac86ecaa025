"""The process behind `trueline web`: a socket, the pages in a thread of their own, and a graceful end.

What is opened for the pages (a target that a person may attack, its judge) lives on the main thread, which alone may compute
(serving.py says why); the pages ask it from theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace

from trueline.web.serving import BACKLOG, listening, server_of
from trueline.web.site.drawing import DRAWER
from trueline.web.site.room import Room
from trueline.web.site.site import Site, site

Opened = AbstractAsyncContextManager[Mapping[str, object]]


@asynccontextmanager
async def nothing() -> AsyncIterator[Mapping[str, object]]:
    """Nothing is opened for the pages."""
    yield {}


def serve_site(
    settings: Site,
    rooms: Sequence[Room],
    *,
    host: str,
    port: int,
    opened: Callable[[], Opened] = nothing,
    ready: Callable[[str], None] = lambda _: None,
) -> None:
    """Serve the rooms until SIGTERM or SIGINT; `opened` gives what the rooms are handed, `ready` is told the address."""

    async def run() -> None:
        with listening(host, port) as listener:
            async with opened() as handed:
                app = site(replace(settings, rooms={**settings.rooms, **handed}), rooms)
                server = server_of(app)
                listener.listen(BACKLOG)
                DRAWER.warm()
                shown = f"[{host}]" if ":" in host else host
                ready(f"http://{shown}:{listener.getsockname()[1]}")
                await asyncio.to_thread(asyncio.run, server.serve(sockets=[listener]))

    asyncio.run(run())

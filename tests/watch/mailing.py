"""A small SMTP server on this machine, with STARTTLS and AUTH PLAIN, that keeps what it gets.

async with smtp(tls=context) as server: ...            server.port, server.got, server.lines
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Sink:
    """What a server is told to answer, and what it got."""

    tls: ssl.SSLContext | None = None
    answers: Mapping[str, str] = field(default_factory=dict)  # verb -> what is said in place of the usual
    port: int = 0
    got: list[str] = field(default_factory=list)  # messages
    lines: list[str] = field(default_factory=list)  # commands, with "tls " before those that came encrypted

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Talk to one client."""
        encrypted = ""
        writer.write(b"220 here\r\n")
        while line := (await reader.readline()).decode().rstrip("\r\n"):
            self.lines.append(encrypted + line)
            verb = line.partition(" ")[0].upper()
            if verb in self.answers:
                said = self.answers[verb]
            elif verb == "EHLO":
                offered = ["250-here"] + (["250-STARTTLS"] if self.tls and not encrypted else []) + ["250 AUTH PLAIN"]
                said = "\r\n".join(offered)
            elif verb == "STARTTLS":
                writer.write(b"220 go on\r\n")
                await writer.start_tls(self.tls)
                encrypted = "tls "
                continue
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                self.got.append((await reader.readuntil(b"\r\n.\r\n")).decode())
                said = "250 taken"
            else:
                said = "235 welcome" if verb == "AUTH" else "221 bye" if verb == "QUIT" else "250 fine"
            writer.write(said.encode() + b"\r\n")
            await writer.drain()
            if verb == "QUIT":
                break
        writer.close()


@asynccontextmanager
async def smtp(**more: object) -> AsyncIterator[Sink]:
    """Run a server."""
    sink = Sink(**more)
    async with await asyncio.start_server(sink.serve, "127.0.0.1", 0) as server:
        sink.port = server.sockets[0].getsockname()[1]
        yield sink

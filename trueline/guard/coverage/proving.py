"""The matrix endpoint x stream x position x rail, filled by running the real app: each rail must have read all its positions.

    proof = await prove(read_policy(Path("policy.yaml")))
    proof.holds, proof.missed           # no cell is empty; those that are

A marker is planted in one position at a time, and the app is asked as a client asks it. Each rail is watched meanwhile: a
cell is read where the rail had the marker before it, in a place that it reads, and gave its word on it. A stream is cut
within the marker. A cell that is empty is a rail that was configured and did not run, which is what this is made to find.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, Self

import orjson

from trueline.core.types import Action
from trueline.guard.audit.audit import Audit, Settings
from trueline.guard.audit.keys import Keyring
from trueline.guard.chain import Chain
from trueline.guard.coverage.positions import POSITIONS, Position
from trueline.guard.coverage.replies import reply, stream
from trueline.guard.exchange import Exchange, Place, Side
from trueline.guard.gateway.app import Gateway
from trueline.guard.gateway.door import Door
from trueline.guard.gateway.live import Live, basis_of
from trueline.guard.policy import Policy
from trueline.guard.rail import Needs, Pattern, Rail, Scan, read_by
from trueline.guard.ruling import Ruling

MARKER = "quillamary"  # a word of no language: nothing else can hold it
PATHS = {
    "chat": "/v1/chat/completions", "responses": "/v1/responses", "messages": "/v1/messages", "embeddings": "/v1/embeddings",
    "count_tokens": "/v1/messages/count_tokens", "completions": "/v1/completions", "models": "/v1/models",
}  # fmt: skip
PLAIN: Mapping[str, dict[str, Any]] = {
    "chat": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    "responses": {"model": "m", "input": "hello"},
    "messages": {"model": "m", "max_tokens": 16, "messages": [{"role": "user", "content": "hello"}]},
    "count_tokens": {"model": "m", "messages": [{"role": "user", "content": "hello"}]},
    "embeddings": {"model": "m", "input": "hello"},
    "completions": {"model": "m", "prompt": "hello"},
    "models": {},
}
State = Literal["read", "missed", "none"]  # none: it is on another side, or reads other places


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One position, streamed or not, how it stands with each rail, and the HTTP status of the exchange."""

    position: Position
    stream: bool
    status: int
    rails: Mapping[str, State]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The matrix of a policy."""

    policy: str
    rails: tuple[str, ...]
    cells: tuple[Cell, ...]

    @property
    def missed(self) -> list[tuple[Cell, str]]:
        """The empty cells."""
        return [(cell, rail) for cell in self.cells for rail, state in cell.rails.items() if state == "missed"]

    @property
    def holds(self) -> bool:
        """Whether every rail has read every position that it is to read, and some rail reads each position."""
        return not self.missed and not self.unread

    @property
    def unread(self) -> list[Cell]:
        """Positions that no rail of the policy reads."""
        return [cell for cell in self.cells if all(state == "none" for state in cell.rails.values())]


async def prove(policy: Policy, positions: Sequence[Position] = POSITIONS) -> Proof:
    """Run every cell of a policy through the app."""
    seen: set[str] = set()
    seats = tuple(replace(seat, rail=Watched(rail=seat.rail, seen=seen)) for seat in policy.seats)
    chain = Chain(policy=replace(policy, seats=seats))
    cells: list[Cell] = []
    with tempfile.TemporaryDirectory() as folder:
        said = _Said()
        live = Live(path=Path(folder) / "policy.yaml", state=Path(folder), chain=chain, basis=basis_of(policy))
        audit = Audit.open(Path(folder) / "audit", Path(folder) / "audit.db", Settings(apart=False))
        door = Door(ring=Keyring(list))
        door.ring.refresh()
        app = Gateway(live=live, upstream=said, audit=audit, door=door)  # type: ignore[arg-type] # asked in the same way
        try:
            for position, streamed in _runs(positions):
                seen.clear()
                said.with_marker(position)
                status = await _ask(app, position, streamed)
                rails = {seat.rail.name: _state(seat.rail, position, seen) for seat in policy.seats}
                cells.append(Cell(position=position, stream=streamed, status=status, rails=rails))
        finally:
            await audit.close()
    return Proof(policy=policy.version, rails=tuple(seat.rail.name for seat in policy.seats), cells=tuple(cells))


@dataclass(frozen=True, kw_only=True)
class Watched:
    """A rail that is watched: it says what it says, and is written down where it has read the marker and spoken."""

    rail: Rail
    seen: set[str]

    @property
    def name(self) -> str:
        return self.rail.name

    @property
    def sides(self) -> tuple[Side, ...]:
        return self.rail.sides

    @property
    def places(self) -> tuple[Place, ...]:
        return self.rail.places

    @property
    def action(self) -> Action:
        return self.rail.action

    @property
    def needs(self) -> Needs:
        return self.rail.needs

    @property
    def inline(self) -> bool:
        return self.rail.inline

    def patterns(self) -> Sequence[Pattern]:
        return self.rail.patterns()

    def check(self, exchange: Exchange, side: Side, scan: Scan) -> Ruling:
        said = self.rail.check(exchange, side, scan)
        if any(MARKER in scan.folded(piece) for piece in read_by(self.rail, exchange, side)):
            self.seen.add(f"{side} {self.rail.name}")
        return said


@dataclass(kw_only=True)
class _Said:
    """An upstream in place of one: it says what a position asks for."""

    position: Position | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def with_marker(self, position: Position) -> None:
        self.position = position if position.side == "output" else None

    @asynccontextmanager
    async def ask(self, method: str, path: str, headers: object, body: bytes | None) -> AsyncIterator[_Came]:
        endpoint = next(name for name, at in PATHS.items() if at == path)
        said = self.position.put(MARKER) if self.position else {}
        streamed = bool(body and orjson.loads(body).get("stream"))
        parts = list(stream(endpoint, said)) if streamed else [orjson.dumps(reply(endpoint, said))]
        kind = "text/event-stream" if streamed else "application/json"
        yield _Came(status=200, headers={"content-type": kind}, parts=parts)


@dataclass(frozen=True, kw_only=True)
class _Came:
    status: int
    headers: Mapping[str, str]
    parts: list[bytes] = field(default_factory=list)

    async def pieces(self) -> AsyncIterator[bytes]:
        for part in self.parts:
            yield part

    async def whole(self) -> bytes:
        return b"".join(self.parts)


def _runs(positions: Sequence[Position]) -> Iterator[tuple[Position, bool]]:
    for position in positions:
        yield position, False
        if position.streams:
            yield position, True


async def _ask(app: Gateway, position: Position, streamed: bool) -> int:
    """Ask the app as a server would, and return the status."""
    body = PLAIN[position.endpoint] | ({"stream": True} if streamed else {})
    if position.side == "input":
        body = body | position.put(MARKER)
    method = "GET" if position.endpoint == "models" else "POST"
    scope = {
        "type": "http", "method": method, "path": PATHS[position.endpoint], "query_string": b"",
        "headers": [(b"content-type", b"application/json")], "client": ("127.0.0.1", 1),
    }  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": orjson.dumps(body), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    return int(sent[0]["status"])


def _state(rail: Rail, position: Position, seen: set[str]) -> State:
    if position.side not in rail.sides or position.place not in rail.places:
        return "none"
    return "read" if f"{position.side} {rail.name}" in seen else "missed"

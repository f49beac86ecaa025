"""A policy at work: every rail of a side asked about one exchange, and their words folded into one.

The texts are scanned once for all rails. Rails that take parts out are asked first and their edits made, so that the rails that
judge read what will be passed on. Rails that compute in place are asked in order; those that wait for something are asked
together, with a time limit, and not at all once another has blocked. Whoever was not asked stands in the record as not_run.

    chain = Chain(read_policy(Path("policy.yaml")))
    outcome = await chain.judge(exchange, "input")
    outcome.ruling.action          # allow, flag, redact, rewrite, human, block
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, NamedTuple

from trueline.core.types import Decision
from trueline.guard.exchange import Edit, Exchange, Path, Piece, Side, apply_edits
from trueline.guard.policy import Policy, Seat
from trueline.guard.ruling import Ruling, block, broken, fold, shadowed
from trueline.guard.scan.scanner import RailScan, Scanner

STUCK = 8  # threads that hang before no more rail is started in one: a thread cannot be stopped


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the chain decided of one side, word by word, and the texts that are to be passed on in the place of others."""

    side: Side
    ruling: Ruling
    rulings: tuple[Ruling, ...]
    texts: Mapping[Path, str]

    @property
    def stopped(self) -> bool:
        """Whether nothing may be passed on."""
        return self.ruling.action in ("block", "human")

    def edits(self, exchange: Exchange) -> list[Edit]:
        """The texts as edits of the exchange that was judged: each takes the place of a whole piece."""
        lengths = {piece.path: len(piece.text) for piece in exchange.pieces(self.side) if piece.path in self.texts}
        return [Edit(path=path, start=0, end=lengths[path], text=text) for path, text in self.texts.items()]


class _Phases(NamedTuple):
    """The seats of a side, in the order in which they are asked."""

    editors: Sequence[Seat]  # who takes parts out
    judges: Sequence[Seat]  # who computes in place
    waiting: Sequence[Seat]  # who waits for something


@dataclass(kw_only=True)
class Chain:
    """The rails of a policy, compiled once. It may be asked any number of times at once."""

    policy: Policy
    scanner: Scanner = field(init=False)
    _stuck: int = 0

    def __post_init__(self) -> None:
        self.scanner = Scanner({seat.rail.name: seat.rail.patterns() for seat in self.policy.seats})
        self._scans = {seat.rail.name: RailScan(self.scanner, seat.rail.name) for seat in self.policy.seats}
        self._seats: dict[Side, _Phases] = {side: self._phases(side) for side in ("input", "output")}

    async def judge(self, exchange: Exchange, side: Side) -> Outcome:
        """Ask every rail of a side."""
        editors, judges, waiting = self._seats[side]
        rulings = self._unscanned(exchange, side)
        rulings += [self._ask(seat, exchange, side) for seat in editors]
        spoken, texts = len(rulings), _edited(exchange.pieces(side), rulings)
        read = _with_texts(exchange, side, texts) if texts else exchange
        rulings += [self._ask(seat, read, side) for seat in judges]
        if waiting and any(ruling.action == "block" for ruling in rulings):
            rulings += [_skipped(seat, "another rail had blocked already") for seat in waiting]
        elif waiting:
            rulings += await asyncio.gather(*(self._wait(seat, read, side) for seat in waiting))
        late = _edited(read.pieces(side), rulings[spoken:])
        return _outcome(side, rulings, {**texts, **late})

    def early(self, exchange: Exchange, side: Side) -> Outcome:
        """Ask those rails alone that need no more than the text so far."""
        seats = [seat for group in self._seats[side] for seat in group if seat.rail.needs == "text" and seat.rail.inline]
        rulings = [*self._unscanned(exchange, side), *(self._ask(seat, exchange, side) for seat in seats)]
        return _outcome(side, rulings, {})

    def stopped(self, side: Side, outcome: Outcome, why: str) -> Outcome:
        """An outcome turned into a block, for a reason of the chain's own."""
        return _outcome(side, [*outcome.rulings, block("chain", why)], outcome.texts)

    @property
    def streams(self) -> Literal["text", "whole"]:
        """How a stream is released: as its text grows, or once all of it was read."""
        enforced = [seat.rail for group in self._seats["output"] for seat in group if seat.mode == "enforce"]
        growing = self.policy.release == "text" or all(rail.needs == "text" and rail.inline for rail in enforced)
        return "text" if growing else "whole"

    def _unscanned(self, exchange: Exchange, side: Side) -> list[Ruling]:
        """The scan's own word, where a text is coded so deeply, or so full of hits, that it was not read to its end."""
        scan = self.scanner.scan
        ends = [why for piece in exchange.pieces(side) if (why := scan(piece.text).exhausted)]
        return [broken("scan", "error", why, "closed") for why in dict.fromkeys(ends)]

    def _phases(self, side: Side) -> _Phases:
        seats = [seat for seat in self.policy.seats if side in seat.rail.sides]
        inline = [seat for seat in seats if seat.rail.inline]
        return _Phases(
            editors=[seat for seat in inline if seat.rail.action == "redact"],
            judges=[seat for seat in inline if seat.rail.action != "redact"],
            waiting=[seat for seat in seats if not seat.rail.inline],
        )

    def _ask(self, seat: Seat, exchange: Exchange, side: Side) -> Ruling:
        started = time.perf_counter()
        try:
            return _seated(seat, seat.rail.check(exchange, side, self._scans[seat.rail.name]), started)
        except Exception as error:  # whatever a rail raises or returns, it goes on as its seat says
            return _seated(seat, broken(seat.rail.name, "error", type(error).__name__, seat.on_error), started)

    async def _wait(self, seat: Seat, exchange: Exchange, side: Side) -> Ruling:
        started = time.perf_counter()
        if self._stuck >= STUCK:
            return _seated(seat, broken(seat.rail.name, "not_run", f"{STUCK} checks hang", seat.on_error), started)
        try:
            async with asyncio.timeout(seat.timeout_ms / 1_000):
                return _seated(seat, await self._call(seat, exchange, side), started)
        except TimeoutError:
            said = broken(seat.rail.name, "timeout", f"no word within {seat.timeout_ms:g} ms", seat.on_error)
        except Exception as error:
            said = broken(seat.rail.name, "error", type(error).__name__, seat.on_error)
        return _seated(seat, said, started)

    async def _call(self, seat: Seat, exchange: Exchange, side: Side) -> Ruling:
        check, scan = seat.rail.check, self._scans[seat.rail.name]
        if inspect.iscoroutinefunction(check):
            return await check(exchange, side, scan)
        self._stuck += 1
        work = asyncio.get_running_loop().run_in_executor(None, check, exchange, side, scan)
        work.add_done_callback(self._came_back)
        return await asyncio.shield(work)  # who gives up waiting leaves the thread to its own end

    def _came_back(self, _: object) -> None:
        self._stuck -= 1


def _outcome(side: Side, rulings: Sequence[Ruling], texts: Mapping[Path, str]) -> Outcome:
    nobody = Ruling(decision=Decision(action="allow", status="not_run", by="chain", why=f"no rail reads the {side}"))
    return Outcome(side=side, ruling=fold(rulings or [nobody]), rulings=tuple(rulings), texts=texts)


def _seated(seat: Seat, said: Ruling, started: float) -> Ruling:
    if seat.mode == "shadow":
        said = shadowed(said)
    ms = (time.perf_counter() - started) * 1_000
    return Ruling(decision=said.decision, edits=said.edits, ms=ms, shadow=said.shadow)


def _skipped(seat: Seat, why: str) -> Ruling:
    """Not asked, because nothing depends on its word any more."""
    return Ruling(decision=Decision(action="allow", status="not_run", by=seat.rail.name, why=why))


def _edited(pieces: Sequence[Piece], rulings: Sequence[Ruling]) -> dict[Path, str]:
    """The pieces' texts after the edits of all who redact, by path; those that nobody edits are left out."""
    edits: dict[Path, list[Edit]] = {}
    for ruling in rulings:
        for edit in ruling.edits:
            edits.setdefault(edit.path, []).append(edit)
    return {piece.path: apply_edits(piece.text, edits[piece.path]) for piece in pieces if piece.path in edits}


def _with_texts(exchange: Exchange, side: Side, texts: Mapping[Path, str]) -> Exchange:
    """The exchange as it reads with other texts in some places."""
    pieces = tuple(replace(p, text=texts[p.path]) if p.path in texts else p for p in exchange.pieces(side))
    return replace(exchange, asked=pieces) if side == "input" else replace(exchange, said=pieces)

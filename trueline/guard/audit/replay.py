"""Replay: the same text under the same policy must be decided as it was, bit for bit.

The text is what a policy retained, or the original from a file whose digest must be the recorded one. What a decision depends
on beside it stands in the record (Basis); where that differs from what replays, the two are named. Times are not compared.

    found = replay(database, secret, id, policy)           # policy: anything Replayable
    found.same, found.differences
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import orjson

from trueline.core.records import RecordError, from_dict, from_json
from trueline.core.types import Conversation, Message, Tool, ToolCall
from trueline.guard.audit.digests import Secret, content_of
from trueline.guard.audit.record import Basis, Record, Word, line, word
from trueline.guard.exchange import Exchange, Piece, Side
from trueline.guard.ruling import Ruling
from trueline.store.audits import rows_with, text_of
from trueline.store.opening import Database


class ReplayError(ValueError):
    """A decision that cannot be replayed: no such record, no text, or another text than the recorded one."""


class Replayable(Protocol):
    """A policy that decides again."""

    @property
    def basis(self) -> Basis: ...

    def decide(self, exchange: Exchange, side: Side) -> Ruling: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What came of one exchange: its decisions, recorded and made again, as canonical bytes, and how they differ."""

    id: str
    recorded: tuple[bytes, ...]
    again: tuple[bytes, ...]
    differences: tuple[str, ...]

    @property
    def same(self) -> bool:
        return self.recorded == self.again


def replay(
    database: Database,
    secret: Secret,
    id: str,  # noqa: A002 - what the gateway's answer calls it
    policy: Replayable,
    original: Exchange | None = None,
) -> Replayed:
    """Decide an exchange again, and compare. Without the original exchange: from the text that was retained.

    Raises ReplayError where there is no record, no text, or another text than the recorded one.
    """
    exchange: Exchange | None = None
    recorded: list[bytes] = []
    again: list[bytes] = []
    differences: list[str] = []
    for record in records_of(database, id):
        side = record.side
        if side is None:  # what another policy made of it
            continue
        content = content_of(original, side) if original else _retained(database, record)
        if record.pieces is None or secret.digest(content) != record.pieces.digest:
            raise ReplayError(f"{id}: expected the {side} that the record has the digest of, got another text (or audit key)")
        exchange = exchange_of(content, exchange)
        if record.ruling is None:  # no reply came, so nothing was decided
            continue
        ruling = policy.decide(exchange, side)
        recorded.append(decided(record.ruling))
        again.append(decided(_word(ruling, secret)))
        if recorded[-1] != again[-1]:
            differences += [*_causes(record, policy.basis), *_fields_that_differ(side, recorded[-1], again[-1])]
    return Replayed(id=id, recorded=tuple(recorded), again=tuple(again), differences=tuple(dict.fromkeys(differences)))


def records_of(database: Database, id: str) -> list[Record]:  # noqa: A002
    """The records of an exchange as they were written, the decision on the request first. Raises ReplayError for none."""
    rows = rows_with(database, id) if id else []  # rows without an id are of no exchange
    if not rows:
        raise ReplayError(f"{id}: no such exchange is recorded; list the ids: trueline guard audit list")
    return [from_json(Record, row.body, f"row {row.seq}") for row in rows]


def decided(ruling: Word) -> bytes:
    """A decision as canonical bytes: all of it but its time.

    >>> decided(Word(by="secrets", action="block", why="key", ms=3.0)) == decided(Word(by="secrets", action="block", why="key"))
    True
    """
    return line({name: value for name, value in asdict(replace(ruling, ms=0.0)).items() if name != "ms"})


def exchange_of(content: bytes, asked: Exchange | None = None) -> Exchange:
    """The exchange that `content_of` wrote: of the input side, or, behind an `asked` one, of the output side."""
    try:
        values = json.loads(content)
        if asked is not None:
            said, calls = values
            return replace(asked, said=_pieces("output", said), calls=_calls(calls))
        endpoint, model, stream, id_, known, talk, tools, unread, pieces = values
        messages = tuple(Message(role=r, text=t, tool_calls=_calls(c), tool_call_id=i) for r, t, c, i in talk)
        return Exchange(
            endpoint=endpoint,
            model=model,
            stream=stream,
            conversation=Conversation(messages=messages, tools=_tools(known), id=id_),
            tools=_tools(tools),
            unread=tuple(unread),
            asked=_pieces("input", pieces),
        )
    except (ValueError, TypeError, KeyError, RecordError) as error:
        raise ReplayError(f"expected one side of an exchange as the audit retains it, got something else: {error}") from None


def _retained(database: Database, record: Record) -> bytes:
    content = text_of(database, record.writer, record.seq)
    if content is None:
        days = record.basis.keep_days if record.basis else 0
        raise ReplayError(
            f"{record.id}: its text is not retained (the policy keeps it {days} days); give the original exchange"
        )
    return content


def _pieces(side: Side, values: list[Any]) -> tuple[Piece, ...]:
    return tuple(Piece(side=side, place=place, text=text, path=tuple(path)) for place, text, path in values)


def _calls(values: list[Any]) -> tuple[ToolCall, ...]:
    return tuple(from_dict(ToolCall, value) for value in values)


def _tools(values: list[Any]) -> tuple[Tool, ...]:
    return tuple(from_dict(Tool, value) for value in values)


def _word(ruling: Ruling, secret: Secret) -> Word:
    return Word(**word(ruling, secret.of_edits(ruling)))  # type: ignore[arg-type]


def _causes(record: Record, basis: Basis) -> list[str]:
    """What the decision stood on then, and stands on here."""
    then = record.basis or Basis(policy="", software={})
    found = []
    if then.policy != basis.policy:
        found.append(
            f"policy: recorded under {then.policy} (version {then.version or '?'}), "
            f"replayed under {basis.policy} (version {basis.version or '?'})"
        )
    for what, old, new in (("model", then.models, basis.models), ("software", then.software, basis.software)):
        found += [
            f"{what} {name}: recorded with {old.get(name, 'none')}, replayed with {new.get(name, 'none')}"
            for name in sorted({*old, *new})
            if old.get(name) != new.get(name)
        ]
    late = [rail.by for rail in record.rails if rail.status in ("timeout", "error")]
    return found + [f"rail {name}: it did not finish then, which no replay repeats" for name in late]


def _fields_that_differ(side: Side, recorded: bytes, again: bytes) -> list[str]:
    old, new = orjson.loads(recorded), orjson.loads(again)
    return [f"{side} {name}: recorded {old[name]!r}, replayed {new[name]!r}" for name in old if old[name] != new[name]]

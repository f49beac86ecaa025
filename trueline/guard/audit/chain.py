"""The hash chain of a writer's rows, its signed head, and the search for the first row that does not fit.

Each row's hash is SHA-256 over the hash of the row before and the row's canonical JSON. The head (how many rows, and the last
hash) stands signed in a file outside of the database, so that rows cut off at the end are missed too. Who can write database
AND folder, and holds the key, can write another history: only a head that was kept elsewhere (`anchor`) tells against that.

    for chain in verify(database, folder): print(chain.writer, chain.state, chain.fault)
"""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import orjson

from trueline.core.files import atomic_file
from trueline.guard.audit.digests import Secret
from trueline.store.audits import AuditRow, audit_writers, rows_of
from trueline.store.opening import Database

GENESIS = "0" * 64  # the hash before the first row
State = Literal["whole", "unsigned", "broken"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a chain: the number of its last row, and that row's hash."""

    writer: str
    seq: int
    hash: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """The first row that does not fit, and why."""

    kind: Literal["changed", "missing", "reordered", "truncated", "rewritten", "unsigned head"]
    seq: int
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """What became of one writer's chain.

    It is not `signed` where its head is not in this folder (another machine's writer), so that a cut-off end would not be seen,
    and where rows stand behind the head: written by a process that was killed, and not taken up yet, or added by somebody.
    """

    writer: str
    rows: int
    head: Head
    fault: Fault | None
    signed: bool

    @property
    def state(self) -> State:
        return "broken" if self.fault else "whole" if self.signed else "unsigned"


def link(before: str, body: str) -> str:
    """The hash of a row: of its body, behind the hash of the row before."""
    return sha256(f"{before}\n{body}".encode()).hexdigest()


def row_of(fields: Mapping[str, Any], body: str, before: str) -> AuditRow:
    """A row for the database: the columns are read from the record, whose canonical JSON is the body."""
    get = fields.get
    ruling, tokens = get("ruling"), get("tokens")
    return AuditRow(
        writer=fields["writer"],
        seq=fields["seq"],
        id=get("id", ""),
        kind=get("kind", ""),
        time=get("time", ""),
        endpoint=get("endpoint", ""),
        action=ruling["action"] if ruling else "",
        key=get("key", ""),
        tokens=tokens["input"] + tokens["output"] if tokens else None,
        body=body,
        hash=link(before, body),
    )


def verify(database: Database, folder: Path, secret: Secret, anchors: Iterable[Head] = ()) -> list[Chain]:
    """Go through every chain of the database, and of the heads in the audit's folder, and say the first row that does not fit.

    `anchors` are heads that were kept elsewhere: the chains must still go through them.
    """
    kept: dict[str, list[Head]] = {}
    for head in anchors:
        kept.setdefault(head.writer, []).append(head)
    writers = {*audit_writers(database), *kept, *(path.parent.name for path in folder.glob("*/head"))}
    return [_chain(database, folder, secret, writer, kept.get(writer, [])) for writer in sorted(writers)]


def follow(writer: str, rows: Iterable[AuditRow], kept: Iterable[Head] = ()) -> Chain:
    """Go through one writer's rows in order, up to the first that does not fit; `kept` are heads that it must go through."""
    end, count = Head(writer=writer, seq=0, hash=GENESIS), 0
    hashes = {head.seq: head.hash for head in kept}
    for row in rows:
        fault = _misfit(row, end)
        if fault is None and hashes.get(row.seq, row.hash) != row.hash:
            why = f"the chain fits in itself, but not the head that was kept: rows up to {row.seq} were written again"
            fault = Fault(kind="rewritten", seq=row.seq, why=why)
        if fault:
            return Chain(writer=writer, rows=count, head=end, fault=fault, signed=False)
        end, count = Head(writer=writer, seq=row.seq, hash=row.hash), count + 1
    fault = None
    if (last := max(hashes, default=0)) > end.seq:
        why = f"its head says {last} rows: rows {end.seq + 1} to {last} are cut off"
        fault = Fault(kind="truncated", seq=end.seq + 1, why=why)
    return Chain(writer=writer, rows=count, head=end, fault=fault, signed=False)


def anchor(chains: Iterable[Chain]) -> str:
    """The heads of chains as text to keep elsewhere, one a line: writer, number of the last row, its hash."""
    return "".join(f"{chain.head.writer} {chain.head.seq} {chain.head.hash}\n" for chain in chains)


def read_anchor(text: str) -> list[Head]:
    """Read what `anchor` wrote. Raises ValueError with the line that is none.

    >>> read_anchor("a1 2 " + "f" * 64)[0].seq
    2
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split()
        if len(words) != 3 or not words[1].isdecimal():
            raise ValueError(f"line {number}: expected a writer, a number and a hash, got {line[:100]!r}")
        found.append(Head(writer=words[0], seq=int(words[1]), hash=words[2]))
    return found


def write_head(path: Path, head: Head, secret: Secret) -> None:
    """Put the signed head of a chain in place of the one before."""
    signature = secret.sign(f"{head.writer} {head.seq} {head.hash}")
    with atomic_file(path) as handle:
        handle.write(orjson.dumps({"writer": head.writer, "seq": head.seq, "hash": head.hash, "signature": signature}))


def read_head(path: Path, secret: Secret) -> Head | None:
    """A signed head; None where the signature is not ours, or the file is no head. Raises FileNotFoundError."""
    try:
        found = orjson.loads(path.read_bytes())
        head = Head(writer=found["writer"], seq=found["seq"], hash=found["hash"])
        signature = str(found["signature"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    expected = secret.sign(f"{head.writer} {head.seq} {head.hash}")
    return head if head.writer == path.parent.name and hmac.compare_digest(signature.encode(), expected.encode()) else None


def _chain(database: Database, folder: Path, secret: Secret, writer: str, anchors: list[Head]) -> Chain:
    head, forged = _signed_head(folder / writer / "head", secret)
    chain = follow(writer, rows_of(database, writer), [*anchors, *([head] if head else [])])
    if forged and chain.fault is None:
        why = "its head is not signed with this key: another key, or changed"
        return replace(chain, fault=Fault(kind="unsigned head", seq=chain.head.seq, why=why))
    if head and head.seq < chain.head.seq:  # a writer at work signs soon after it writes
        head, _ = _signed_head(folder / writer / "head", secret)
    return replace(chain, signed=head is not None and (head.seq > chain.head.seq or head == chain.head))


def _signed_head(path: Path, secret: Secret) -> tuple[Head | None, bool]:
    """The head, where it is signed, and whether there is one that is not."""
    try:
        head = read_head(path, secret)
    except FileNotFoundError:
        return None, False
    return head, head is None


def _misfit(row: AuditRow, before: Head) -> Fault | None:
    """Why a row does not follow the one before."""
    try:
        fields = orjson.loads(row.body)
        seq = fields["seq"]
        same = row_of(fields, row.body, before.hash)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return Fault(kind="changed", seq=row.seq, why=f"row {row.seq} is no record any more")
    if seq != row.seq or fields.get("writer") != row.writer:
        return Fault(kind="reordered", seq=row.seq, why=f"in the place of row {row.seq} stands what was written as row {seq}")
    if row.seq != before.seq + 1:
        last = row.seq - 1
        return Fault(kind="missing", seq=before.seq + 1, why=f"rows {before.seq + 1} to {last} are missing")
    if same.hash != row.hash:
        return Fault(kind="changed", seq=row.seq, why=f"row {row.seq} or the hash of the row before it was changed")
    if same != row:
        return Fault(kind="changed", seq=row.seq, why=f"a column of row {row.seq} does not say what its body says")
    return None

"""From the journal into the database, in batches, in the background: exactly once, whatever is killed in between.

A batch is one transaction, and a row's number says whether it is there: after a crash the rows behind the last one follow.
While the database is gone the journal waits. A line that is not whole becomes a row that says so (`torn`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from trueline.core.files import sync
from trueline.guard.audit.chain import GENESIS, Head, read_head, row_of, write_head
from trueline.guard.audit.digests import Secret
from trueline.guard.audit.journal import Entry, Reader, segments
from trueline.guard.audit.record import line
from trueline.store.audits import AuditRow, AuditText, add_rows, last_row, rows_of, same_file
from trueline.store.opening import Database, DatabaseError

BATCH_BYTES = 1 << 16  # some sixty rows
_SIGN_EVERY = 32  # batches; and whenever all is moved
# Where a thread feeds, the one that answers wants the interpreter's lock back soon. To give it away for nothing (sleep(0)) is
# no help: it is taken again before the other thread has woken.
YIELD_SECONDS = 2e-4


class Ingest:
    """Moves one writer's rows. Whoever calls `step` is alone with it."""

    def __init__(self, folder: Path, secret: Secret) -> None:
        self._folder = folder
        self._secret = secret
        self._writer = folder.name
        self._reader = Reader(folder)
        self._end: Head | None = None  # of what is in the database; None: not asked yet
        self._file: tuple[int, int] | None = None
        self._signed = 0  # the number of the row that the head is at, or behind
        self._batches = 0
        self._torn = 0  # bytes of a torn line that no row tells of yet

    @property
    def writer(self) -> str:
        """Whose rows they are."""
        return self._writer

    def step(self, database: Database) -> int:
        """Move one batch, and return its bytes; 0 where nothing is left. What fails leaves all in the journal."""
        end = self._end or self._find_end(database)
        entries = self._reader.read(BATCH_BYTES)
        time.sleep(YIELD_SECONDS)
        self._compare(database, entries, end)
        batch = self._batch(entries, end)
        time.sleep(YIELD_SECONDS)
        add_rows(database, batch.rows, batch.texts)
        time.sleep(YIELD_SECONDS)
        if same_file(database) != self._file:
            raise DatabaseError("its file was taken away while it was open")
        self._end, self._torn = batch.end, batch.torn
        self._reader.done()
        self._batches += 1
        if not entries or self._batches % _SIGN_EVERY == 0:
            self._sign(batch.end)
        return sum(entry.size for entry in entries)

    def sync(self) -> None:
        """Make what the journal holds survive a power cut."""
        for path in segments(self._folder)[-1:]:
            sync(path)

    def forget(self) -> None:
        """Ask the database again where its rows end, as after an error."""
        self._end = None

    def _find_end(self, database: Database) -> Head:
        self._file = same_file(database)
        last = last_row(database, self._writer)
        self._signed = 0
        return Head(writer=self._writer, seq=last.seq if last else 0, hash=last.hash if last else GENESIS)

    def _sign(self, end: Head) -> None:
        if end.seq <= self._signed:
            return
        path = self._folder / "head"
        there = read_head(path, self._secret) if path.exists() else None
        if there is None or there.seq < end.seq:  # never back: where rows were cut off, the head goes on to say so
            write_head(path, end, self._secret)
        self._signed = end.seq

    def _compare(self, database: Database, entries: list[Entry], end: Head) -> None:
        """Rows that the database has already, as after a crash, must be the same there; else they are no repetition."""
        there = {
            entry.fields["seq"]: entry.row.decode() for entry in entries if entry.fields.get("seq", end.seq + 1) <= end.seq
        }
        if not there:
            return
        last = max(there)
        for row in rows_of(database, self._writer, after=min(there) - 1):
            if there.get(row.seq, row.body) != row.body:
                raise DatabaseError(
                    f"row {row.seq} of {self._writer} is there with another content: was the audit's folder copied, or its "
                    f"journal removed? Move {self._folder} away, and a new chain begins"
                )
            if row.seq >= last:
                break

    def _batch(self, entries: list[Entry], end: Head) -> _Batch:
        rows: list[AuditRow] = []
        texts: list[AuditText] = []
        seq, before, torn = end.seq, end.hash, self._torn
        for entry in entries:
            if not entry.fields:
                torn += entry.size
                continue
            here = entry.fields["seq"]
            if here <= seq:  # the database has it already
                torn = 0
                continue
            if torn and here > seq + 1:
                rows.append(self._torn_row(seq + 1, torn, entry.fields["time"], before))
                before = rows[-1].hash
            rows.append(row_of(entry.fields, entry.row.decode(), before))
            seq, before, torn = here, rows[-1].hash, 0
            if entry.text:
                texts.append(AuditText(writer=self._writer, seq=seq, expires=_expiry(entry.fields), content=entry.text))
        return _Batch(rows=rows, texts=texts, end=Head(writer=self._writer, seq=seq, hash=before), torn=torn)

    def _torn_row(self, seq: int, size: int, found: str, before: str) -> AuditRow:
        note = f"{size} bytes that are no whole row"
        fields = {"kind": "torn", "note": note, "seq": seq, "time": found, "writer": self._writer}
        return row_of(fields, line(fields).decode(), before)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Batch:
    """Rows for one transaction, the head behind them, and the bytes of a torn line at the end."""

    rows: list[AuditRow]
    texts: list[AuditText]
    end: Head
    torn: int


def _expiry(fields: dict[str, Any]) -> str:
    return (datetime.fromisoformat(fields["time"]) + timedelta(days=fields["basis"]["keep_days"])).isoformat()

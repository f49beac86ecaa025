"""The journal: where a decision is written before anything else happens, one line with one write to the operating system.

A writer (one process) has a folder of segments, named by the number of the first row in each: `000000000001.journal`. A line is
a row (record.py), with the text that is to be retained, if any, behind a tab, which JSON never holds unescaped. What a killed
process wrote, the kernel keeps; a power cut can take what was not synced (`sync`). Rows that are in the database are dropped
by whole segments.

    journal = Journal(folder, next_seq(folder, writer))
    journal.append(line)                                   # raises JournalError where it cannot be written
    entries = Reader(folder).read(most=1 << 18)            # in any process
"""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson


class JournalError(RuntimeError):
    """A line cannot be written: the journal is full, or its disk is. What cannot be recorded must not be done."""


class Journal:
    """The segments of one writer, with one open for appending. Safe for several threads."""

    def __init__(self, folder: Path, seq: int, segment_bytes: int = 4 << 20) -> None:
        self.folder = folder
        self.seq = seq  # of the next row
        self.pending = sum(path.stat().st_size for path in segments(folder))  # bytes that are not in the database
        self._segment_bytes = segment_bytes
        self._lock = threading.Lock()
        self.broken = ""  # why no line can be written any more
        self._open()

    def append(self, line: bytes) -> None:
        """Write one row, without its line end, and count it."""
        data = line + b"\n"
        with self._lock:
            if self.broken:
                raise JournalError(f"{self.path}: {self.broken}")
            try:
                written = os.write(self._handle, data)
            except OSError as error:
                raise JournalError(f"{self.path}: cannot write: {error.strerror}") from None
            if written != len(data):
                self._cut_back(written)
            self.seq += 1
            self.size += written
            self.pending += written
            if self.size >= self._segment_bytes:
                with suppress(OSError):  # the row is written; the next one tries again
                    self._roll()

    def ingested(self, size: int) -> None:
        """Count bytes that are in the database."""
        with self._lock:
            self.pending -= size

    def recount(self) -> None:
        """Count all that lies there as not in the database: it will be read again, and skipped where it is there."""
        with self._lock:
            self.pending = sum(path.stat().st_size for path in segments(self.folder))

    def roll(self, size: int, age: float) -> None:
        """Begin another segment where this one has so many bytes, or has some and is so old (seconds)."""
        with self._lock:
            if self.size >= size or (self.size and time.monotonic() - self.began >= age):
                self._roll()

    def close(self) -> None:
        """Give the file back."""
        with self._lock:
            os.close(self._handle)
            self.broken = "the journal is closed"

    def _open(self) -> None:
        path = self.folder / f"{self.seq:012d}.journal"
        self._handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self.path = path
        self.size = os.fstat(self._handle).st_size
        self.began = time.monotonic()

    def _roll(self) -> None:
        before = self._handle
        self._open()
        os.close(before)

    def _cut_back(self, written: int) -> None:
        """Take half a line away again; where that fails, nothing more is written behind it."""
        try:
            os.ftruncate(self._handle, self.size)
        except OSError:
            self.broken = "half a line stands at its end and cannot be taken away"
        raise JournalError(f"{self.path}: the disk is full ({written} bytes of a line written, and taken away again)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line: the row as it was written and as it reads, the text to be retained, and its bytes in the file.

    A line that is no whole row of this writer has no fields.
    """

    row: bytes
    fields: dict[str, Any]
    text: bytes
    size: int


class Reader:
    """Reads a journal in order, from its beginning; what was read is read again until it is `done`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer = folder.name
        self._at: tuple[Path, int] | None = None  # the segment, and how many of its bytes are done
        self._next: tuple[Path, int] | None = None

    def read(self, most: int) -> list[Entry]:
        """The next entries, of about so many bytes, over the ends of segments; none where all is read."""
        found: list[Entry] = []
        self._next = self._at
        held = segments(self._folder)  # all but the last are written to no more
        for path in held:
            if self._at and path < self._at[0]:
                continue
            offset = self._at[1] if self._at and path == self._at[0] else 0
            data = _lines(path, offset, most, live=path == held[-1])
            found += [entry(line, self._writer) for line in data]
            self._next = (path, offset + sum(map(len, data)))
            if sum(each.size for each in found) >= most:
                break
            if path.stat().st_size > self._next[1]:  # not read to its end: the next segment has to wait
                break
        return found

    def done(self) -> None:
        """What was read is in the database: drop the segments that are wholly there, but for the last."""
        self._at = self._next
        for path in segments(self._folder)[:-1]:
            if self._at is None or path > self._at[0]:
                break
            if path < self._at[0] or path.stat().st_size <= self._at[1]:
                path.unlink(missing_ok=True)


def segments(folder: Path) -> list[Path]:
    """The segments of a journal, in order."""
    return sorted(folder.glob("*.journal"))


def next_seq(folder: Path, writer: str) -> int:
    """The number of the next row: after the last whole one, and after a torn line, which will be a row of its own."""
    held = segments(folder)
    if not held:
        return 1
    first, torn = int(held[-1].stem), False
    for line in held[-1].read_bytes().splitlines(keepends=True):
        seq = entry(line, writer).fields.get("seq")
        first, torn = (seq + 1, False) if isinstance(seq, int) else (first, True)
    return first + torn


def entry(line: bytes, writer: str) -> Entry:
    """Read one line with its end."""
    row, _, text = line.removesuffix(b"\n").partition(b"\t")
    try:
        fields = orjson.loads(row)
    except orjson.JSONDecodeError:
        fields = None
    ours = line.endswith(b"\n") and isinstance(fields, dict) and fields.get("writer") == writer
    if not ours or type(fields.get("seq")) is not int:
        return Entry(row=line, fields={}, text=b"", size=len(line))
    return Entry(row=row, fields=fields, text=text, size=len(line))


def _lines(path: Path, offset: int, most: int, live: bool) -> list[bytes]:
    """Whole lines from an offset on; of a segment that is not written to any more, also what is left at its end."""
    with path.open("rb") as handle:
        handle.seek(offset)
        data = handle.read(most)
        if len(data) == most or live:
            while b"\n" not in data and (more := handle.read(most)):  # a line that is longer than `most`
                data += more
            if live or len(data) >= most:
                data = data[: data.rfind(b"\n") + 1] or (b"" if live else data)
    return data.splitlines(keepends=True)

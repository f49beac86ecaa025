"""Feeds the database from the journals: rounds that move all that is there, in a process of its own.

Apart, because threads share the interpreter's lock: each time one gives it up, as it does to write to the journal, it has to
wait for the other, and a request would wait for milliseconds while a batch is moved. It ends with whom it feeds for.

    python -m trueline.guard.audit.feeder          # started by Audit: settings and `drain` on stdin, what was moved on stdout
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from trueline.guard.audit.digests import Secret
from trueline.guard.audit.ingest import YIELD_SECONDS, Ingest
from trueline.store.audits import purge_texts
from trueline.store.opening import Database, open_database

Report = Callable[[str, int, str], None]  # the writer, the bytes that were moved (0: all are), and what is wrong
Order = str  # "": go on; "drain": move all and end; "end": end now
_REPORT_BYTES = 1 << 20  # who listens is woken no more often than it must be
_PURGE_SECONDS = 3600.0  # between two looks for texts that have expired


@dataclass(frozen=True, slots=True, kw_only=True)
class Feeding:
    """What is fed from where to where. The first writer goes on writing; the others were left by killed processes."""

    folder: str
    url: str | None
    writers: tuple[str, ...]
    every: float  # seconds between two rounds
    sync: bool  # sync the journal to the disk in each round
    drain: float  # seconds that the last rounds may take


class Feeder:
    """Moves the rows of writers, and deletes the texts that have expired."""

    def __init__(self, feeding: Feeding, report: Report) -> None:
        secret = Secret.open(Path(feeding.folder))
        self._feeding = feeding
        self._report = report
        self._ingests = [Ingest(Path(feeding.folder) / writer, secret) for writer in feeding.writers]
        self._database: Database | None = None
        self._purge_at = 0.0

    def run(self, wait: Callable[[float], Order]) -> None:
        """Round after round, until `wait` (for so many seconds) says to end."""
        fine = True
        while not (order := wait(self._feeding.every if fine else max(self._feeding.every, 1.0))):
            fine = self.round()
        until = time.monotonic() + self._feeding.drain
        while order == "drain" and not self.round() and time.monotonic() < until:
            time.sleep(min(self._feeding.every, 0.25))
        if self._database is not None:
            self._database.dispose()

    def round(self) -> bool:
        """Move all that is there; False where something is wrong: then the journal keeps it, and the next round tries again."""
        try:
            if self._database is None:
                self._database = open_database(self._feeding.url)
            for ingest in list(self._ingests):
                self._move(ingest, self._database)
            if time.monotonic() >= self._purge_at:
                purge_texts(self._database, datetime.now(UTC).isoformat())
                self._purge_at = time.monotonic() + _PURGE_SECONDS
        except Exception as error:  # whatever it is
            self._forget()
            self._report("", 0, f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}")
            return False
        return True

    def _move(self, ingest: Ingest, database: Database) -> None:
        if self._feeding.sync:
            ingest.sync()
        moved = 0
        try:
            while size := ingest.step(database):
                moved += size
                if moved >= _REPORT_BYTES:
                    self._report(ingest.writer, moved, "")
                    moved = 0
                time.sleep(YIELD_SECONDS)
        finally:  # what was moved before something went wrong is moved
            self._report(ingest.writer, moved, "")
        if ingest.writer != self._feeding.writers[0]:
            self._ingests.remove(ingest)  # whoever hears that all is moved may give the writer away
            self._report(ingest.writer, 0, "")

    def _forget(self) -> None:
        if self._database is not None:
            self._database.dispose()
            self._database = None
        for ingest in self._ingests:
            ingest.forget()


def main() -> None:
    """Feed as the first line on stdin says, until stdin ends: whoever started this is gone then, however it ended."""
    for stop in (signal.SIGINT, signal.SIGTERM):  # they are for who started this, who says then what to do
        signal.signal(stop, signal.SIG_IGN)
    os.nice(5)
    settings = orjson.loads(b"".join(iter(lambda: os.read(0, 1), b"\n")))  # unbuffered: an order may stand behind it

    def report(writer: str, size: int, trouble: str) -> None:
        os.write(1, orjson.dumps([writer, size, trouble]) + b"\n")

    def wait(seconds: float) -> Order:
        if not select.select([0], [], [], seconds)[0]:
            return ""
        return "drain" if os.read(0, 100) else "end"

    try:
        Feeder(Feeding(**{**settings, "writers": tuple(settings["writers"])}), report).run(wait)
    except BrokenPipeError:  # nobody listens any more
        sys.exit(0)


if __name__ == "__main__":
    main()

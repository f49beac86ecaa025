"""The audit as the gateway has it: accept before a request is forwarded, settle when its reply is decided on.

    audit = Audit.open(folder, "postgresql://...")         # or a file: SQLite
    id = audit.accept(exchange, ruling, rails, basis)      # before the request is forwarded; raises JournalError
    audit.settle(id, exchange, ruling, rails, basis)       # before the reply is let out
    audit.compare(id, exchange, compared)                  # afterwards, where a second policy judges beside the first
    await audit.close()

Each is one write to a journal, some microseconds. A process apart takes the rows to the database, and deletes retained texts
that have expired. A request that cannot be recorded must be refused (503): `full` says so beforehand. An exchange that was
accepted and never settled shows as such.
"""

from __future__ import annotations

import asyncio
import io
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import orjson

from trueline.core.config import ConfigError
from trueline.guard.audit.digests import Secret, content_of
from trueline.guard.audit.feeder import Feeder, Feeding
from trueline.guard.audit.journal import Journal, JournalError, next_seq, segments
from trueline.guard.audit.record import LONGEST, Basis, Compared, Usage, line, versions, word, words
from trueline.guard.exchange import Exchange, Side
from trueline.guard.ruling import Ruling
from trueline.store.folders import BusyError, lock
from trueline.store.opening import address_of

_ROLL_BYTES = 1 << 20  # a segment whose rows are all in the database goes once it is so large, or so old
_ROLL_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the audit writes."""

    most_bytes: int = 64 << 20  # of the journal, while the database is away; then requests are refused
    every: float = 0.25  # seconds between two looks of what feeds the database
    sync: bool = False  # sync the journal to the disk at each look, so that a power cut takes no more than `every` seconds
    apart: bool = True  # feed the database in a process of its own (feeder.py says why), else in a thread of this one
    drain: float = 5.0  # seconds that closing waits for the database; what is left is taken up at the next start

    def __post_init__(self) -> None:
        if self.most_bytes < 1 or self.every <= 0 or self.drain < 0:
            raise ConfigError(f"expected most_bytes and every above 0, and drain not below it, got {self}")


class Audit:
    """One process's audit. Rows are written by one thread (the event loop's)."""

    def __init__(self, folder: Path, url: str | Path | None, settings: Settings) -> None:
        self.trouble = ""  # why the database does not take rows; empty while it does
        self._settings = settings
        self._secret = Secret.open(folder)
        self._writer, self._left = _take(folder)
        self._feeding = Feeding(
            folder=str(folder.resolve()), url=None if url is None else str(url), every=settings.every, sync=settings.sync,
            drain=settings.drain, writers=(self._writer.name, *self._left),
        )  # fmt: skip
        self._basis: Basis | None = None
        self._fragment = orjson.Fragment(b"null")
        self._stop = threading.Event()
        self._child: subprocess.Popen[bytes] | None = None
        self._feeder = None if settings.apart else Feeder(self._feeding, self._moved)
        self._thread = threading.Thread(target=self._feed_here if self._feeder else self._feed_apart, daemon=True)
        self._thread.start()

    @classmethod
    def open(cls, folder: str | Path, engine_url: str | Path | None = None, settings: Settings | None = None) -> Audit:
        """Open the audit in a folder, and take up what killed processes left in it.

        A database that is away is waited for, in the background; an address that can be none is a DatabaseError.
        """
        address_of(engine_url)
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return cls(folder, engine_url, settings or Settings())

    @property
    def full(self) -> bool:
        """Whether requests must be refused, since they could not be recorded."""
        return self._writer.journal.pending >= self._settings.most_bytes or bool(self._writer.journal.broken)

    @property
    def pending(self) -> int:
        """Bytes of the journal that are not in the database."""
        return self._writer.journal.pending

    def accept(
        self, exchange: Exchange, ruling: Ruling, rails: Iterable[Ruling], basis: Basis, *, key: str = "", size: int = 0
    ) -> str:
        """Record the decision on a request, and return the id of the exchange. Raises JournalError: then refuse the request."""
        if self.full:
            raise JournalError(f"{self._writer.journal.folder}: the journal is full ({self.pending:,} bytes): {self.trouble}")
        micros, writer = time.time_ns() // 1000, self._writer
        id_ = f"{micros:014x}-{writer.name}-{writer.journal.seq:x}"  # sorts by time; writer and number make it unique
        self._write("input", id_, micros, exchange, ruling, rails, basis, {"bytes": size, "key": key})
        return id_

    def settle(
        self,
        id: str,  # noqa: A002 - what accept returned
        exchange: Exchange,
        ruling: Ruling | None,
        rails: Iterable[Ruling],
        basis: Basis,
        *,
        key: str = "",
        size: int = 0,
        tokens: Usage | None = None,
        upstream: int | None = None,
        finish: str = "",
    ) -> None:
        """Record the decision on a reply; None where there was no reply. Raises JournalError: then let no reply out."""
        spent = {"input": tokens.input, "output": tokens.output} if tokens else None
        more = {"bytes": size, "finish": finish[:LONGEST], "key": key, "tokens": spent, "upstream": upstream}
        self._write("output", id, time.time_ns() // 1000, exchange, ruling, rails, basis, more)

    def compare(self, id: str, exchange: Exchange, compared: Compared) -> bool:  # noqa: A002 - what accept returned
        """Record what two policies made of an exchange; whether it was. Half of the journal is kept free for decisions."""
        if self.pending >= self._settings.most_bytes // 2:
            return False
        plain = orjson.loads(orjson.dumps(compared))  # a tenth of what asdict costs, on the thread that answers
        row = line({
            "compared": plain, "endpoint": exchange.endpoint, "id": id, "kind": "compared",
            "seq": self._writer.journal.seq, "stream": exchange.stream, "time": datetime.now(UTC), "writer": self._writer.name,
        })  # fmt: skip
        try:
            self._writer.journal.append(row)
        except JournalError:
            return False
        return True

    async def close(self) -> None:
        """Take what is left to the database, as far as it is there in time, and give the journal back."""
        self._stop.set()
        if self._child is not None and self._child.stdin is not None:
            with suppress(OSError):  # it has ended
                self._child.stdin.write(b"drain\n")
        await asyncio.to_thread(self._thread.join, self._settings.drain + 5.0)
        if self._thread.is_alive() and self._child is not None:  # it waits for a database that does not answer
            self._child.kill()
            await asyncio.to_thread(self._thread.join)
        for writer in (self._writer, *self._left.values()):
            writer.release()

    def _write(
        self, side: Side, id_: str, micros: int, exchange: Exchange, ruling: Ruling | None, rails: Iterable[Ruling],
        basis: Basis, more: dict[str, object],
    ) -> None:  # fmt: skip
        if basis is not self._basis:
            self._basis, self._fragment = basis, orjson.Fragment(line(asdict(basis)))
        content = content_of(exchange, side)
        spoke, clean = words(rails)
        row = line({
            **more,
            "basis": self._fragment,
            "clean": clean,
            "endpoint": exchange.endpoint,
            "id": id_,
            "kind": "accepted" if side == "input" else "settled",
            "model": exchange.model[:LONGEST],
            "pieces": self._secret.of_side(exchange.pieces(side), content),
            "rails": spoke,
            "ruling": word(ruling, self._secret.of_edits(ruling)) if ruling else None,
            "seq": self._writer.journal.seq,
            "stream": exchange.stream,
            "time": datetime.fromtimestamp(micros / 1e6, UTC),
            "writer": self._writer.name,
        })  # fmt: skip
        self._writer.journal.append(row + b"\t" + content if basis.keep_days else row)

    def _feed_here(self) -> None:
        assert self._feeder is not None
        self._feeder.run(lambda seconds: "drain" if self._stop.wait(seconds) else "")

    def _feed_apart(self) -> None:
        """Start the process that feeds, hear what it has moved, and start another where it ends."""
        words = [sys.executable, "-m", "trueline.guard.audit.feeder"]
        while True:
            with subprocess.Popen(
                words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, bufsize=0
            ) as child:
                assert child.stdin is not None
                assert child.stdout is not None
                child.stdin.write(orjson.dumps(self._feeding) + b"\n")  # not an argument: the address may hold a password
                self._child = child
                if self._stop.is_set():
                    child.stdin.write(b"drain\n")
                for heard in io.BufferedReader(child.stdout):
                    self._moved(*orjson.loads(heard))
            if self._stop.is_set():
                return
            self.trouble = "the process that feeds the database has ended; another one is started"
            self._stop.wait(1.0)
            self._writer.journal.recount()

    def _moved(self, name: str, size: int, trouble: str) -> None:
        """Hear of bytes that are in the database, of a writer whose rows are all there, or of what is wrong."""
        self.trouble = trouble
        if name == self._writer.name:
            self._writer.journal.ingested(size)
            if not self.pending:
                self._writer.journal.roll(_ROLL_BYTES, _ROLL_SECONDS)
        elif name and not size:
            self._left.pop(name).release()


class _Writer:
    """A writer's folder, held by its lock: taking one adds a row that says so, and in which software."""

    def __init__(self, folder: Path) -> None:
        self.name = folder.name
        self._stack = ExitStack()
        folder.mkdir(exist_ok=True, mode=0o700)
        self._stack.enter_context(lock(folder / "lock"))
        self._closed = folder / "closed"
        self._closed.unlink(missing_ok=True)
        self.journal = Journal(folder, next_seq(folder, self.name))
        fields = {"kind": "opened", "seq": self.journal.seq, "time": datetime.now(UTC), "writer": self.name}
        self.journal.append(line({**fields, "note": " ".join(f"{name}={value}" for name, value in versions().items())}))

    def release(self) -> None:
        """Give it to whoever comes next. Of a moved journal an empty segment stays, whose name says which row is next."""
        if not self.journal.pending:
            self.journal.roll(1, 0.0)
            for path in segments(self.journal.folder)[:-1]:
                path.unlink(missing_ok=True)
        self.journal.close()
        self._closed.touch()
        self._stack.close()


def _take(folder: Path) -> tuple[_Writer, dict[str, _Writer]]:
    """A writer for this process, one that nobody holds or a new one, and all others that killed processes left unfinished."""
    own: _Writer | None = None
    left: dict[str, _Writer] = {}
    for path in sorted(path.parent for path in folder.glob("*/lock")):
        if not segments(path):  # without its journal nobody knows which row comes next
            continue
        unfinished = not (path / "closed").exists() or any(part.stat().st_size for part in segments(path))
        if own is not None and not unfinished:
            continue
        try:
            taken = _Writer(path)
        except BusyError:
            continue
        if own is None:
            own = taken
        else:
            left[taken.name] = taken
    return own or _Writer(folder / secrets.token_hex(6)), left

"""An Executor: one function over many items in worker processes, results in order and each exactly once.

    with Local(workers=4) as executor:
        for result in executor.map("trueline.recipes.spread:chunk", items):
            ...

Items and results are JSON values, and a function is its name: nothing is pickled, and a worker is a fresh interpreter. A result
is a function of its item, so that it does not matter who computes it, or how often. A worker that dies has its task done again
by another, a bounded number of times; an error of the task itself is told at once. Who stops reading stops the workers.
`Local` is processes of this machine; cluster/ray_executor.py has the same on Ray.
"""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any, Protocol, Self

from trueline.cluster.bench import work_named
from trueline.cluster.desk import Desk
from trueline.core import stopping
from trueline.core.limits import Tally

Json = Any
AHEAD = 4  # results of so many tasks a worker may wait for the one that is next: an item that takes long holds up no worker
RETRIES = 3  # times that a task is done again because its worker died
SHOWN = 100  # characters of an item in an error
NOTHING: Mapping[str, str] = {}


class TaskFailedError(RuntimeError):
    """The function raised on an item. `trace` is where, as the worker saw it."""

    def __init__(self, text: str, trace: str = "") -> None:
        super().__init__(text)
        self.trace = trace


class WorkersLostError(RuntimeError):
    """An item whose workers died, every time that it was tried."""


class Executor(Protocol):
    """Worker processes somewhere. Use it in a `with`; it starts them when they are first needed."""

    @property
    def workers(self) -> int:
        """Tasks that are under way at a time, at most."""

    def map(
        self,
        work: str,
        items: Iterable[Json],
        *,
        known: Mapping[str, str] = NOTHING,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Json]:
        """Yield `work(item, bench)` for every item, in their order; `work` is `package.module:function` (cluster/bench.py).

        `known` is what workers may look up by key; `progress` is told how many results came, in whatever order. Items are
        taken only a few ahead of what is yielded. Raises TaskFailedError or WorkersLostError in the place of the first result
        that there is not; both name the item.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


@dataclass
class Local:
    """`workers` processes of this machine, each on one thread: as many as there are cores keep it busy."""

    workers: int = 2
    retries: int = RETRIES
    tally: Tally = field(default_factory=Tally, repr=False)
    _jobs: queue.SimpleQueue[_Job | None] = field(default_factory=queue.SimpleQueue, init=False, repr=False)
    _tenders: list[_Tender] = field(default_factory=list, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.workers < 1 or self.retries < 0:
            raise ValueError(f"expected at least 1 worker and no negative number of retries, got {self}")

    def map(
        self,
        work: str,
        items: Iterable[Json],
        *,
        known: Mapping[str, str] = NOTHING,
        progress: Callable[[int], None] = lambda done: None,
    ) -> Iterator[Json]:
        """As `Executor.map`."""
        work_named(work)
        call = _Call(work, Desk(tally=self.tally, known=known))
        for _ in range(self.workers - len(self._tenders)):
            self._tenders.append(_Tender(self))

        def start(number: int, item: str) -> None:
            self._jobs.put(_Job(call, number, item))

        try:
            yield from in_order(items, self.workers * AHEAD, start, call.ended.get, progress)
        except stopping.Preempted:  # each worker ends where its work can be taken up, as this process does
            call.over = True
            for tender in self._tenders:
                tender.pass_on(call)
            for tender in self._tenders:
                tender.wait(call)
            raise
        finally:
            call.over = True
            for tender in self._tenders:
                tender.leave(call)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """End every worker, whatever it does."""
        for tender in self._tenders:
            tender.end()
            self._jobs.put(None)
        for tender in self._tenders:
            tender.thread.join()
        self._tenders.clear()


Ended = tuple[int, str | Exception]  # the number of an item, and its result as JSON text, or why there is none


def in_order(
    items: Iterable[Json], ahead: int, start: Callable[[int, str], None], ended: Callable[[], Ended],
    progress: Callable[[int], None],
) -> Iterator[Json]:  # fmt: skip
    """Start items, at most `ahead` of the one that is yielded next, and yield their results in order as they end in any."""
    waiting, came = enumerate(items), dict[int, str | Exception]()
    shown: dict[int, str] = {}
    started = done = given = 0
    while True:
        while started - given < ahead and (found := next(waiting, None)) is not None:
            text = json.dumps(found[1], allow_nan=False)
            shown[found[0]] = text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
            start(found[0], text)
            started += 1
        if given == started:
            return
        while given not in came:
            number, result = ended()
            came[number] = result
            done += 1
            progress(done)
        yield _result(came.pop(given), f"item {given} ({shown.pop(given)})")
        given += 1


def _result(ended: str | Exception, item: str) -> Json:
    if isinstance(ended, Exception):
        raise WorkersLostError(f"{item}: {ended}") from None
    told = json.loads(ended)
    if "done" in told:
        return told["done"]
    failed = told["failed"]
    raise TaskFailedError(f"{item}: {failed['kind']}: {failed['text']}", failed["trace"])


@dataclass
class _Call:
    """One `map`: what it calls, what its workers share, and what came of its items."""

    work: str
    desk: Desk
    ended: queue.SimpleQueue[Ended] = field(default_factory=queue.SimpleQueue)
    over: bool = False


@dataclass
class _Job:
    call: _Call
    number: int
    item: str
    lost: int = 0  # workers that died of it, or with it


class _Tender:
    """One thread that looks after one worker: it hands it a task, answers what it asks, and replaces it when it dies."""

    def __init__(self, executor: Local) -> None:
        self._of, self._lock = executor, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._at: _Call | None = None
        self._ended = False
        self.thread = threading.Thread(target=self._tend, daemon=True)
        self.thread.start()

    def leave(self, call: _Call) -> None:
        """Stop what is done for a call."""
        with self._lock:
            if self._at is call:
                self._kill()

    def pass_on(self, call: _Call) -> None:
        """Tell who works for a call of SIGTERM."""
        with self._lock:
            if self._at is call and self._process is not None:
                self._process.terminate()

    def wait(self, call: _Call) -> None:
        """Until nothing is done for a call any more."""
        while self._at is call:
            time.sleep(0.01)

    def end(self) -> None:
        """Stop, and start no more."""
        with self._lock:
            self._ended = True
            self._kill()

    def _tend(self) -> None:
        while (job := self._of._jobs.get()) is not None:
            with self._lock:
                if job.call.over or self._ended:
                    continue
                self._at = job.call
                if self._process is None:
                    self._start()
                process = self._process
            answer = self._done(process, job) if process is not None else None
            with self._lock:
                self._at = None
                why = "" if answer is not None else self._bury()
            if answer is not None:
                job.call.ended.put((job.number, answer))
            elif job.lost < self._of.retries:
                job.lost += 1
                self._of._jobs.put(job)
            else:
                times = "once" if not job.lost else f"{job.lost + 1} times"
                job.call.ended.put((job.number, RuntimeError(f"its worker died {times}, last: {why}")))
        with self._lock:
            if self._process is not None:
                self._bury()

    def _done(self, process: subprocess.Popen[bytes], job: _Job) -> str | None:
        """The worker's last word on a task; None if it died before, or amid the line."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError, json.JSONDecodeError):
            _say(process.stdin, {"do": job.call.work, "item": job.item})
            for line in process.stdout:
                message = json.loads(line)
                if "ask" not in message:
                    return line.decode()
                _say(process.stdin, {"told": message["ask"], "answer": job.call.desk.answer(message["what"])})
        return None

    def _start(self) -> None:
        path = os.pathsep.join(filter(None, sys.path))
        with suppress(OSError):  # no memory, or too many processes: as one that dies at once
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the worker lives
            self._process = subprocess.Popen(
                [sys.executable, "-m", "trueline.cluster.worker", str(os.getpid())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
                env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path},  # threads of several wait for each other
                process_group=0,  # what a terminal sends, it sends to whoever started it all
            )  # fmt: skip

    def _kill(self) -> None:
        if self._process is not None:
            self._process.kill()

    def _bury(self) -> str:
        """Let go of a worker that died; return how it ended."""
        process, errors = self._process, self._errors
        if process is None or errors is None:
            return "no process can be started here: too little memory, or too many processes or open files"
        self._kill()
        code = process.wait()
        for pipe in filter(None, (process.stdin, process.stdout)):
            with suppress(OSError):  # what was not sent needs no sending any more
                pipe.close()
        errors.seek(max(0, errors.seek(0, os.SEEK_END) - 4096))
        with errors:
            said = errors.read().decode(errors="replace").strip().splitlines()
        self._process = self._errors = None
        return f"{f'signal {-code}' if code < 0 else f'exit code {code}'}{f': {said[-1]}' if said else ''}"


def _say(to: IO[bytes], message: Mapping[str, Json]) -> None:
    to.write(json.dumps(message).encode() + b"\n")
    to.flush()

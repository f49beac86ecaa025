"""One worker process of `executor.Local`, and the thread that looks after it: tasks handed over, questions answered, deaths.

    jobs = queue.SimpleQueue()
    Tender(jobs, retries=3)              takes jobs until it is given None; what came of each lies in its call's `ended`

A worker is told its tasks, and tells its results, in lines of JSON (cluster/worker.py). One that dies is replaced, and its task
goes back among the jobs, a bounded number of times.
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
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import IO, Any

from trueline.cluster.desk import Desk

ASKS = b'{"ask":'  # what a line of a worker that asks begins with
Ended = tuple[int, str | Exception]  # the number of an item, and its result as JSON text, or why there is none


@dataclass
class Call:
    """One `map`: what it calls, what its workers share, and what came of its items."""

    work: str
    desk: Desk
    ended: queue.SimpleQueue[Ended] = field(default_factory=queue.SimpleQueue)
    over: bool = False


@dataclass
class Job:
    call: Call
    number: int
    item: str
    lost: int = 0  # workers that died of it, or with it


class Tender:
    """One thread that looks after one worker: it hands it a task, answers what it asks, and replaces it when it dies."""

    def __init__(self, jobs: queue.SimpleQueue[Job | None], retries: int) -> None:
        self._jobs, self._retries, self._lock = jobs, retries, threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._at: Call | None = None
        self._ended = False
        self.thread = threading.Thread(target=self._tend, daemon=True)
        self.thread.start()

    def leave(self, call: Call) -> None:
        """Stop what is done for a call."""
        with self._lock:
            if self._at is call:
                self._kill()

    def pass_on(self, call: Call) -> None:
        """Tell who works for a call of SIGTERM."""
        with self._lock:
            if self._at is call and self._process is not None:
                self._process.terminate()

    def wait(self, call: Call) -> None:
        """Until nothing is done for a call any more."""
        while self._at is call:
            time.sleep(0.01)

    def end(self) -> None:
        """Stop, and start no more."""
        with self._lock:
            self._ended = True
            self._kill()

    def _tend(self) -> None:
        while (job := self._jobs.get()) is not None:
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
            elif job.lost < self._retries:
                job.lost += 1
                self._jobs.put(job)
            else:
                times = "once" if not job.lost else f"{job.lost + 1} times"
                job.call.ended.put((job.number, RuntimeError(f"its worker died {times}, last: {why}")))
        with self._lock:
            if self._process is not None:
                self._bury()

    def _done(self, process: subprocess.Popen[bytes], job: Job) -> str | None:
        """The worker's last word on a task; None if it died before, or amid the line."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(OSError, json.JSONDecodeError):
            _say(process.stdin, {"do": job.call.work, "item": job.item})
            for line in process.stdout:
                if not line.startswith(ASKS):  # a result, which may be long; only who yields it reads it
                    return line.decode() if line.endswith(b"\n") else None
                message = json.loads(line)
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


def _say(to: IO[bytes], message: Mapping[str, Any]) -> None:
    to.write(json.dumps(message).encode() + b"\n")
    to.flush()

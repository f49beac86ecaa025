"""A watchdog: no rank waits for ever, and who is waited for is told.

    dog = Watchdog(store, rank, size, timeout=600, folder=run / "stacks")
    with dog.at("gradients of step 12"):      # around whatever waits for other ranks, and around where its result is read
        dist.all_reduce(gradients)
    with dog.idle():                          # waiting to be told what to do, perhaps for hours
        told = store.get("order")
    dog.close()

When a rank has been at one barrier for longer than `timeout`, every rank writes the stacks of all its threads to
`folder/stacks-rankN.txt` and its innermost functions to standard error; the rank that was first says who has arrived, who has
not and where it is instead (`whereabouts.py`); and all of them end with exit code 200, for the launcher to start them again.
An idle rank waits as long as rank 0 lives: one that has heard nothing of it for `timeout` ends likewise. A connection that is
closed is seen at once by whoever waits at it; a machine without power closes none.

An entry costs two assignments: places go into the store every few seconds, from a thread of their own, through a client of
their own, since a client that waits for a key lets nobody else in. Another thread watches the time, and needs no store: where
the store is gone or silent, the rank says what it knows by itself, and ends. Let `timeout` be shorter than that of the process
group, or its error comes first. On a GPU a collective returns at once: the barrier is where its result is waited for.
"""

from __future__ import annotations

import faulthandler
import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import NoReturn

from torch.distributed import PrefixStore, Store

from trueline.cluster.whereabouts import Place, State, read_place, report, shown
from trueline.core.files import atomic_file

# Above 128 + any signal, so that no shell and no scheduler takes it for one; and above 127, where Kubeflow's `ExitCode` policy
# starts again what ended. Not 124, which is `timeout`'s; 1 to 3 are the command line's own.
CODE = 200
BEAT = 5.0  # seconds between two words of a rank, at most
FIRST = "beat/0"  # where rank 0 says where it is
FRAMES = 6  # innermost functions that are told


@dataclass(frozen=True, slots=True)
class _Now:
    """Where this rank is: one object, replaced as a whole."""

    state: State
    name: str
    count: int
    since: float  # monotonic clock


class Watchdog:
    """Watches one rank; one thread of the rank goes to barriers. Raises ValueError for a timeout that is not above zero."""

    def __init__(self, store: Store, rank: int, size: int, timeout: float = 600.0, folder: Path | None = None) -> None:
        if not timeout > 0:
            raise ValueError(f"timeout: expected seconds above 0, got {timeout}")
        self.rank, self.size, self.timeout, self.folder = rank, size, timeout, folder
        self.beat = min(BEAT, timeout / 4)
        self.grace = 2 * self.beat + 2.0  # in which every living rank has heard, written its stacks and answered
        # torchrun keeps its store when it starts ranks again: what was said before must not end those that come after.
        prefix = f"trueline/watchdog/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}"
        self._beats, self._alarms = (PrefixStore(prefix, store.clone()) for _ in range(2))
        for client in (self._beats, self._alarms):
            client.set_timeout(timedelta(seconds=self.grace))
        self._now = _Now("began", "", 0, time.monotonic())
        self._heard = 0  # words of rank 0 that came
        self._closed = threading.Event()
        self._ending = False
        self._dumping, self._dumped = threading.Lock(), False
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._keep_in_touch, self._keep_time)]
        for thread in self._threads:
            thread.start()

    @contextmanager
    def at(self, name: str) -> Iterator[None]:
        """This rank waits for others here, for `timeout` seconds at most; one barrier inside another counts alone."""
        before, count = self._now, self._now.count + 1
        self._now = _Now("at", name, count, time.monotonic())
        try:
            yield
        finally:
            if self._ending:  # an error here is of a rank that has ended before this one could: the alarm has the word
                threading.Event().wait()
            back = before if before.state in ("at", "idle") else _Now("after", name, count, 0.0)
            self._now = replace(back, count=self._now.count, since=time.monotonic())

    @contextmanager
    def idle(self) -> Iterator[None]:
        """This rank waits to be told what to do, for as long as it takes."""
        before = self._now
        self._now = replace(before, state="idle", since=time.monotonic())
        try:
            yield
        finally:
            self._now = replace(before, count=self._now.count, since=time.monotonic())

    def close(self) -> None:
        """Stop watching; others are told that this rank has ended."""
        self._now = replace(self._now, state="ended", since=time.monotonic())
        self._closed.set()
        for thread in self._threads:
            thread.join(self.grace)

    def _keep_in_touch(self) -> None:
        """Say every few seconds where this rank is, and hear whether all are asked to end."""
        closed, word = False, b""
        while not closed:
            closed = self._closed.wait(self.beat)
            with suppress(RuntimeError):  # no store: whoever waits for it has its own time
                self._beats.set(f"beat/{self.rank}", self._place().to_json())
                if self._beats.check([FIRST]) and (last := self._beats.get(FIRST)) != word:
                    self._heard, word = self._heard + 1, last
                if not closed and self._beats.check(["asked"]) and not self._ending:
                    self._follow(self._beats.get("asked"))

    def _keep_time(self) -> None:
        """Raise the alarm when this rank has been at one barrier for too long, or idle without a word of rank 0."""
        silent, heard = 0.0, 0  # silence in beats and not by the clock: who was suspended has heard nothing, and is not alone
        while not self._closed.wait(self.beat):
            now = self._now
            waited = time.monotonic() - now.since
            if now.state == "at" and waited > self.timeout:
                self._raise_alarm(now.name, waited)
            silent, heard = silent + self.beat if now.state == "idle" and self._heard == heard else 0.0, self._heard
            if silent > self.timeout:
                self._give_up(silent)

    def _raise_alarm(self, name: str, waited: float) -> NoReturn:
        """Write this rank's stacks, let all others do so, tell where all are, and end."""
        self._ending = True
        silent = f"watchdog: rank {self.rank} has waited {waited:.3g} s at {shown(name)}, and the store does not answer"
        self._end_within(2 * self.grace, silent)
        place = replace(self._place(), stack=innermost())
        self._dump(name)
        try:
            self._alarms.set(f"said/{self.rank}", place.to_json())
            if self._alarms.add("alarms", 1) > 1:  # another rank was first, and tells
                self._until(self._alarms, "over")
            else:
                self._alarms.set("asked", json.dumps(name))
                said, beats = self._hear()
                text = report(
                    name,
                    waiter=self.rank,
                    waited=waited,
                    timeout=self.timeout,
                    size=self.size,
                    said=said,
                    beats=beats,
                    now=time.time(),
                )
                _say(f"{text}\n  stacks: {self.folder or 'above'}; every rank ends with exit code {CODE}")
                self._alarms.set("over", "")
        except RuntimeError as error:
            _say(f"{silent} ({shown(str(error))})")
        self._end()

    def _give_up(self, silent: float) -> NoReturn:
        """Write this rank's stacks, and end, since nobody is there who could tell it what to do."""
        self._ending = True
        self._end_within(2 * self.grace)
        self._dump("what rank 0 says next")
        text = f"watchdog: rank {self.rank} has heard nothing of rank 0 for {silent:.3g} s, {self.timeout:g} s are allowed"
        _say(f"{text}: its machine is gone, or the way there; this rank ends with exit code {CODE}")
        self._end()

    def _follow(self, asked: bytes) -> NoReturn:
        """Write this rank's stacks, since another has raised the alarm; say where it is, and end when that was told."""
        self._ending = True
        self._end_within(2 * self.grace)
        place = replace(self._place(), stack=innermost())
        name = json.loads(asked)
        self._dump(name)
        with suppress(RuntimeError):
            self._beats.set(f"said/{self.rank}", place.to_json())
            self._until(self._beats, "over")
        self._end()

    def _hear(self) -> tuple[dict[int, Place], dict[int, Place]]:
        """What ranks say within the time of grace, and when each of them last spoke."""
        beats = self._read("beat", set(range(self.size)))
        said: dict[int, Place] = {}
        waited_for = {rank for rank in range(self.size) if rank not in beats or beats[rank].state != "ended"}
        deadline = time.monotonic() + self.grace
        while waited_for and time.monotonic() < deadline:
            said |= self._read("said", waited_for)
            waited_for -= said.keys()
            time.sleep(0.02)
        return said, beats

    def _read(self, what: str, of: set[int]) -> dict[int, Place]:
        there = [rank for rank in of if self._alarms.check([f"{what}/{rank}"])]
        found = {rank: read_place(self._alarms.get(f"{what}/{rank}")) for rank in there}
        return {rank: place for rank, place in found.items() if place}

    def _until(self, client: Store, key: str) -> None:
        deadline = time.monotonic() + self.grace
        while not client.check([key]) and time.monotonic() < deadline:
            time.sleep(0.02)

    def _place(self) -> Place:
        now = self._now
        seconds = time.monotonic() - now.since
        return Place(state=now.state, name=now.name, count=now.count, seconds=seconds, sent=time.time())

    def _dump(self, name: str) -> None:
        """Write the stacks of all threads, once: to a file of this rank's, or where there is no folder to standard error."""
        with self._dumping:
            if self._dumped:
                return
            self._dumped = True
            head = f"rank {self.rank} of {self.size}, process {os.getpid()} on {os.uname().nodename}, {time.ctime()}"
            asked = f"asked at the barrier {shown(name)}"
            _say(f"watchdog: rank {self.rank} is in {innermost()}")
            if self.folder is None:
                _say(f"{head}, {asked}")
                faulthandler.dump_traceback(2, all_threads=True)
                return
            try:
                with atomic_file(self.folder / f"stacks-rank{self.rank}.txt") as handle:
                    handle.write(f"{head}\n{asked}\nthis rank: {self._place().to_json()}\n\n".encode())
                    handle.flush()
                    faulthandler.dump_traceback(handle.fileno(), all_threads=True)
            except OSError as error:
                _say(f"watchdog: rank {self.rank} cannot write its stacks: {shown(str(error))}")

    def _end_within(self, seconds: float, word: str = "") -> None:
        """End the process whatever hangs: the store, the disk, who reads standard error."""

        def end() -> None:
            time.sleep(seconds)
            if word:
                _say(word)
            os._exit(CODE)

        threading.Thread(target=end, daemon=True).start()

    def _end(self) -> NoReturn:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(CODE)


def innermost() -> str:
    """The functions that the main thread is in, innermost first."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    walked = [(f.f_code, line) for f, line in traceback.walk_stack(frame)][:FRAMES] if frame else []
    return " < ".join(f"{code.co_name} ({Path(code.co_filename).name}:{line})" for code, line in walked) or "nothing"


def _say(text: str) -> None:
    """Write a line past all buffers and locks, which the thread that hangs may hold."""
    with suppress(OSError):
        os.write(2, f"{text}\n".encode("ascii", "backslashreplace"))

"""Work shared among forked processes of one thread each: they see the weights as they are, and write into shared memory.

A forked child has the model's weights of this moment at no cost (pages are copied only when written), so nothing has to be
sent, and a policy in training can be sampled on every core between two steps. Two threads in one process wait for each other
at every small operation, and collapse when another program is busy; two processes do not.
"""

from __future__ import annotations

import mmap
import os
import re
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary, WeakSet

import numpy as np
import torch

from trueline.core.processes import dies_with
from trueline.models.awaited import answers_stack, comes, ended, tell_of

T = TypeVar("T")
PARENTS = (signal.SIGINT, signal.SIGTERM)  # they come to all processes of a group; whoever forked decides when helpers end
ENOUGH = 1024  # tokens that may be drawn: for fewer, forking costs more than it saves


def workers_for(pieces: int, tokens: int, device: torch.device) -> int:
    """Processes that a request is worth: as many as there are threads, on a processor, when it is large."""
    if device.type != "cpu" or not hasattr(os, "fork") or tokens < ENOUGH or torch.cuda.is_initialized():
        return 1
    return max(1, min(torch.get_num_threads(), pieces))


def crew_for(device: torch.device) -> int:
    """Processes that long work on one model is worth: as many as there are threads, on a processor, from the main thread."""
    main = threading.current_thread() is threading.main_thread()
    if device.type != "cpu" or not hasattr(os, "fork") or torch.cuda.is_initialized() or not main:
        return 1
    return max(1, torch.get_num_threads())


def balanced(costs: Sequence[float], parts: int) -> list[list[int]]:
    """Places of the costs for each of so many processes, in order: the dearest goes to who has least.

    >>> balanced([1, 5, 2, 3], 2)
    [[0, 1], [2, 3]]
    """
    found: list[list[int]] = [[] for _ in range(parts)]
    load = [0.0] * parts
    for i in sorted(range(len(costs)), key=lambda i: -costs[i]):
        least = load.index(min(load))
        found[least].append(i)
        load[least] += costs[i]
    return [sorted(part) for part in found]


@contextmanager
def one_thread(when: bool = True) -> Iterator[None]:
    """Torch has one thread in here: others, once used, spin while they wait for more, and other processes need the cores."""
    threads = torch.get_num_threads()
    if when:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def shared_tensor(size: int) -> torch.Tensor:
    """`size` bytes that forked processes and this one share."""
    return torch.from_numpy(shared_array((size,), np.uint8))


class Helpers(Protocol):
    """Other processes that live on, and see the weights of some models as these change (train/crew.py, train/team.py)."""

    @property
    def count(self) -> int: ...

    def fresh(self, model: torch.nn.Module, everywhere: bool = True) -> None:
        """Let a model's weights be those of now, in this process or everywhere, before it is sampled or sent."""
        ...

    def read(self, model: Any, batch: Any, reading: Any, micro_rows: int = 0) -> dict[str, torch.Tensor]:
        """The columns that a reading makes of what a model says of a batch (train/forward.py), without a gradient."""
        ...

    def together(
        self, messages: Mapping[int, bytes], own: Callable[[], T], instead: Callable[[int], T], read: Callable[[bytes], T]
    ) -> list[T]:
        """Send each helper (from 1) its message, do `own`, read what they answer; where one died, do its part `instead`."""
        ...

    def message(self, told: Mapping[str, Any], model: torch.nn.Module, tensors: Mapping[str, torch.Tensor]) -> bytes:
        """What to send: JSON, tensors, and which of its models it is about."""
        ...


helpers_of: WeakKeyDictionary[torch.nn.Module, Helpers] = WeakKeyDictionary()  # a crew puts its models here while it lives
expected: WeakSet[torch.nn.Module] = WeakSet()  # models that annotations and rewards read: a crew takes them along
_beside = 0  # bytes


def note_beside(size: int | None) -> None:
    """Helpers held so many bytes, which stayed theirs until they ended; None: count anew."""
    global _beside
    _beside = 0 if size is None else max(_beside, size)


def most_beside() -> int:
    """The most bytes that helpers held at one time beside this process's own."""
    return _beside


def up_to_date(model: torch.nn.Module) -> None:
    """Let the weights that this process sees be those of now, whoever trains them."""
    if (helpers := helpers_of.get(model)) is not None:
        helpers.fresh(model, everywhere=False)


class Worker:
    """A forked process that answers messages until its parent ends it, or dies with it."""

    def __init__(self, serve: Callable[[bytes], bytes]) -> None:
        there, self._from = os.pipe(), os.pipe()
        parent = os.getpid()
        with one_thread():
            self.process = _fork()
            if self.process == 0:
                os.close(there[1])
                _serve(lambda *_: _answer(serve, there[0], self._from[1]), 0, 1, parent)
        os.close(there[0])
        os.close(self._from[1])
        self._to = there[1]
        os.set_blocking(self._to, False)  # a helper that hangs does not read

    def send(self, message: bytes) -> None:
        """Give it a message; one that has died, or hangs, is found out by `receive`."""
        with suppress(BrokenPipeError):
            _write(self._to, message, self.process)

    def receive(self) -> bytes | None:
        """Its answer; None if it died or hangs, and then it is gone."""
        answer = _read(self._from[0], self.process)
        if answer is None:
            self.end()
        return answer

    def held(self) -> int:
        """Bytes that it holds for itself alone; 0 where the system does not say."""
        with suppress(OSError):
            text = Path(f"/proc/{self.process}/smaps_rollup").read_text(encoding="ascii")
            return 1024 * sum(int(n) for n in re.findall(r"^Private_\w+:\s+(\d+) kB", text, re.MULTILINE))
        return 0

    def end(self) -> None:
        """Stop it, whatever it does."""
        if self.process:
            os.close(self._to)
            os.close(self._from[0])
            os.kill(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
            self.process = 0


def _answer(serve: Callable[[bytes], bytes], source: int, to: int) -> None:
    while (message := _read(source)) is not None:
        _write(to, serve(message))


def _write(to: int, message: bytes, process: int = 0) -> None:
    """Write a message to a process that may hang (0: to one that reads, whenever that is)."""
    left = memoryview(len(message).to_bytes(8, "little") + message)
    while left and (not process or comes(to, process, select.POLLOUT)):
        left = left[os.write(to, left) :]


def _read(source: int, process: int = 0) -> bytes | None:
    """The next message; None when the other side is gone, or hangs."""
    size = _exactly(source, 8, process)
    return None if size is None else _exactly(source, int.from_bytes(size, "little"), process)


def _exactly(source: int, size: int, process: int) -> bytes | None:
    parts: list[bytes] = []
    while size:
        if process and not comes(source, process):
            tell_of(process)
            return None
        part = os.read(source, size)
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def shared_array(shape: tuple[int, ...], kind: Any) -> np.ndarray:
    """An array of zeros that forked children write for us."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    return np.frombuffer(mmap.mmap(-1, max(1, size)), dtype=kind, count=int(np.prod(shape))).reshape(shape)


def share(work: Callable[[int, int], None], parts: int) -> None:
    """Call `work(part, parts)` for every part: the first here, each other in a forked child.

    What a part makes must go into shared arrays. The part of a child that fails, or hangs, is done again here, where its error
    can be seen.
    """
    if parts == 1 or threading.current_thread() is not threading.main_thread():
        for part in range(parts):
            work(part, parts)
        return
    children: dict[int, int] = {}
    parent = os.getpid()
    with one_thread():
        try:
            for part in range(1, parts):
                child = _fork()
                if child == 0:
                    _serve(work, part, parts, parent)
                children[child] = part
            work(0, parts)
            failed = []
            for child in list(children):
                status = ended(child)
                part = children.pop(child)
                if status:
                    failed.append(part)
            for part in failed:
                work(part, parts)
        finally:
            for child in children:  # an error or an interruption here: nobody waits for what they do
                os.kill(child, 9)
                os.waitpid(child, 0)


def _fork() -> int:
    """Fork; the child leaves Ctrl-C and SIGTERM to its parent, from its first moment on."""
    sys.stdout.flush()
    sys.stderr.flush()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, PARENTS)
    child = os.fork()
    if child == 0:
        for number in PARENTS:
            signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return child


def _serve(work: Callable[[int, int], None], part: int, parts: int, parent: int) -> None:
    """A child's whole life; it never returns, and dies with its parent."""
    code = 1
    try:
        answers_stack()
        if dies_with(parent):
            work(part, parts)
            code = 0
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(code)

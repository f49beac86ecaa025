"""Ending when a scheduler takes the machine away: SIGTERM ends a run where nothing is lost.

    with stopping.listening():                  # the command line, and the processes that it starts
        ...                                     # here SIGTERM raises Preempted at once, as Ctrl-C raises KeyboardInterrupt
        with stopping.put_off():                # training: here it is noted, and the step under way is made
            step()
            if stopping.asked():
                save()
                raise stopping.Preempted("step 12 of 300 is saved in FOLDER")

A second SIGTERM is not put off. One within two seconds of the first is the same notice: a scheduler tells all processes of a
job, and `torchrun`, which is one of them, tells its own once more.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

CODE = 128 + signal.SIGTERM  # 143: what a shell reports of a process that SIGTERM ended, and schedulers start again
ONE_NOTICE = 2.0  # seconds


class Preempted(KeyboardInterrupt):
    """SIGTERM came; the text says what is kept. Whatever lets Ctrl-C through lets this through too."""

    def __init__(self, kept: str = "what was done is kept") -> None:
        super().__init__(kept)


@dataclass(slots=True)
class _Notice:
    """What this process was told; signals reach its main thread alone."""

    came: float | None = None  # when the first SIGTERM did, seconds of the monotonic clock
    held: int = 0  # how many `put_off` are open


_notice = _Notice()


@contextmanager
def listening() -> Iterator[None]:
    """From here on SIGTERM raises Preempted, at once or after the training step under way. Only the main thread can listen."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _notice.came, _notice.held = None, 0
    before = signal.signal(signal.SIGTERM, _hear)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        _notice.came = None


@contextmanager
def put_off(when: bool = True) -> Iterator[None]:
    """In here the first SIGTERM is only noted: `asked` tells. What was noted and not acted upon is raised at the end."""
    if not when or threading.current_thread() is not threading.main_thread():
        yield
        return
    _notice.held += 1
    try:
        yield
    finally:
        _notice.held -= 1
    if asked() and not _notice.held:
        raise Preempted


def asked() -> bool:
    """Whether SIGTERM has come, and the work should end where it can be taken up again."""
    return _notice.came is not None


def _hear(number: int, frame: FrameType | None) -> None:
    now = time.monotonic()
    if _notice.came is None:
        _notice.came = now
        if not _notice.held:
            raise Preempted
    elif now - _notice.came > ONE_NOTICE:
        raise Preempted("ended at once, by a second SIGTERM; what was saved before is kept")

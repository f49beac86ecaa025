"""Waiting for a forked process, and not for one that hangs: stopped, or in a lock that nobody will ever give back.

A process that works uses a core, however long its work takes; one that is waited for and has used none for two minutes
hangs. Its time on cores is read from /proc; where there is none, it is waited for as long as it takes.

    status = ended(child)                  # as os.waitpid; a child that hangs is told of, and killed
    if not comes(source, process):         # nothing to read, and who should write it hangs
        tell_of(process)                   # its stack on standard error, where it can still write one, and a line
"""

from __future__ import annotations

import faulthandler
import os
import select
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

SLICE, SLICES = (
    15.0,
    8,
)  # seconds of a wait, and waits in a row without work: counted, since a suspended machine's clock goes on


def answers_stack() -> None:
    """Let this process, a helper, write the stacks of its threads to standard error whenever SIGUSR2 comes."""
    faulthandler.register(signal.SIGUSR2, file=2, all_threads=True)


def comes(handle: int, process: int, event: int = select.POLLIN) -> bool:
    """Wait until something can be read from the handle (or written: `event`); False once the process hangs."""
    poll = select.poll()
    poll.register(handle, event)
    spent, idle = -1, 0
    while idle < SLICES:
        if poll.poll(1000 * SLICE):
            return True
        now = _core_ticks(process)
        idle = idle + 1 if now is not None and now == spent else 0
        spent = -1 if now is None else now
    return False


def tell_of(process: int) -> None:
    """Say on standard error that a process hangs, after its stack."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGUSR2)
        time.sleep(0.2)  # to write it; one that is stopped does not
    sys.stderr.write(
        f"helper process {process} has used no core for {SLICE * SLICES:.0f} seconds and is ended; where it is stands above, "
        "unless it was stopped\n"
    )


def ended(child: int) -> int:
    """Wait for a child to end, and return its status; one that hangs is told of, and killed."""
    with suppress(OSError, AttributeError):  # a system without such handles waits as long as it takes
        handle = os.pidfd_open(child)
        try:
            hangs = not comes(handle, child)
        finally:
            os.close(handle)
        if hangs:
            tell_of(child)
            os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1]


def _core_ticks(process: int) -> int | None:
    """Time that a process has used on cores, in the kernel's ticks; None where the system does not say."""
    with suppress(OSError, ValueError, IndexError):
        fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])  # utime and stime, man 5 proc
    return None

"""A helper that works is waited for as long as it takes; one that hangs is told of, and ended.

pytest tests/models/test_awaited.py
"""

from __future__ import annotations

import os
import signal
import threading
import time

import numpy as np
import pytest

from trueline.models import awaited
from trueline.models.forked import Worker, share, shared_array


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Without work for 0.8 seconds a process hangs."""
    monkeypatch.setattr(awaited, "SLICE", 0.1)


def deadlock(message: bytes = b"") -> bytes:
    """Wait for a lock that this process holds."""
    lock = threading.Lock()
    lock.acquire()
    lock.acquire()
    return message


@pytest.fixture
def worker():
    """Make workers that end with the test."""
    made = []

    def make(serve):
        made.append(Worker(serve))
        return made[-1]

    yield make
    for one in made:
        one.end()


def test_a_helper_that_works_is_waited_for(worker):
    """Work that takes longer than a process may hang is no fault."""

    def work(message):
        until = time.process_time() + 1.2
        while time.process_time() < until:
            pass
        return message

    one = worker(work)
    one.send(b"slow")
    assert one.receive() == b"slow"


def test_a_helper_in_a_lock_shows_where_it_is(worker, capfd):
    """It is ended, and its stack stands on standard error above the line that says so."""
    one = worker(deadlock)
    one.send(b"any")
    process = one.process
    assert one.receive() is None
    said = capfd.readouterr().err
    assert "in deadlock\n" in said
    assert said.splitlines()[-1].startswith(f"helper process {process} has used no core for 1 seconds and is ended")
    with pytest.raises(ProcessLookupError):
        os.kill(process, 0)


@pytest.mark.parametrize("size", [1, 1_000_000])
def test_a_stopped_helper_neither_reads_nor_answers(worker, size):
    """A message larger than the pipe does not hold its sender either."""
    one = worker(lambda message: message)
    one.send(b"first")
    assert one.receive() == b"first"
    os.kill(one.process, signal.SIGSTOP)
    one.send(b"x" * size)
    assert one.receive() is None


def test_large_messages_arrive_whole(worker):
    """Many times what a pipe holds, there and back."""
    one = worker(lambda message: message[::-1])
    sent = os.urandom(3_000_000)
    one.send(sent)
    assert one.receive() == sent[::-1]


def test_the_part_of_a_child_that_hangs_is_done_here(capfd):
    """As that of one that fails."""
    done, parent = shared_array((2,), np.int64), os.getpid()

    def work(part, parts):
        if os.getpid() != parent:
            deadlock()
        done[part] = os.getpid()

    share(work, 2)
    assert done.tolist() == [parent] * 2
    assert "in deadlock\n" in capfd.readouterr().err


def test_where_nothing_is_known_of_a_process_it_is_waited_for(monkeypatch):
    """Without /proc nobody is ended for being slow."""
    monkeypatch.setattr(awaited, "_core_ticks", lambda process: None)
    source, to = os.pipe()
    later = threading.Timer(1.0, os.write, (to, b"x"))
    later.start()
    assert awaited.comes(source, os.getpid())
    later.join()

"""A process that was told to dies with the one that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.cluster.test_executor import gone

CHILD = (
    "import os, time; from trueline.core.processes import dies_with\n"
    "print(os.getpid() * dies_with({}), flush=True); time.sleep(60)"
)
PARENT = f"import os, subprocess, sys\nsubprocess.run([sys.executable, '-c', {CHILD!r}.format(os.getpid())])"


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel of Linux does this")
def test_a_child_ends_with_its_parent():
    """kill -9 of the parent ends the child; one that comes too late is told that nobody waits for it."""
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        child = int(parent.stdout.readline())
        assert child
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert gone(child)
    late = subprocess.Popen([sys.executable, "-c", CHILD.format(os.getpid() + 1)], stdout=subprocess.PIPE)
    assert int(late.stdout.readline()) == 0
    late.kill()
    late.wait()

"""Processes that end with the one that started them, however it ends.

A program that is killed cannot tell its helpers to stop; the kernel can, and does, where it was asked to in time.

    if not dies_with(parent):      # first thing in a child
        return
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # from linux/prctl.h


def dies_with(parent: int) -> bool:
    """Let the kernel end this process when its parent ends; False where that has happened before it could be told.

    The kernel counts the thread that started a child as its parent: that one has to live as long as the child is wanted.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    return os.getppid() == parent

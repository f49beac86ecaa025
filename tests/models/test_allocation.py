"""Freed memory is kept for the next step, given back when that is asked, and kernels are bounded."""

import os
import subprocess
import sys

import pytest
import torch

from trueline.models import allocation


def test_keeping_memory_is_harmless():
    """Asking the C library to keep freed memory works or is declined, and allocation goes on."""
    assert allocation.keep_memory() in (True, False)
    assert torch.zeros(1 << 22).sum() == 0


def test_few_kernels_are_kept_unless_the_user_says_otherwise(monkeypatch):
    """oneDNN's caches are bounded by their environment variables; one that is set already stands."""
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "7")
    monkeypatch.delenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", raising=False)
    allocation.few_kernels()
    found = [os.environ.pop(name) for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY")]
    assert found == ["7", "64"]


def test_memory_that_was_kept_can_be_given_back():
    """What a process freed and keeps for later is its own until `give_back`, and then the system's."""
    script = """
import torch
from trueline.models.allocation import give_back, keep_memory
if keep_memory():
    held = lambda: next(int(x.split()[1]) for x in open("/proc/self/status") if x.startswith("VmRSS")) // 1024
    made = [torch.ones(1 << 18) for _ in range(200)]
    del made
    before = held()
    given = give_back()
    print(given, before - held())
"""
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    if not ended.stdout:
        pytest.skip("this C library has no such switch")
    given, megabytes = ended.stdout.split()
    assert given == "True"
    assert int(megabytes) > 150

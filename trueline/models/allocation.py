"""What the libraries below torch keep of the memory that a run has freed, and how to tell them otherwise.

The C library gives every large tensor back to the system when it dies, which costs a page fault for each page of the next one;
oneDNN keeps a kernel for every shape that it has met. Both are wrong for training, where every step is like the last.
"""

from __future__ import annotations

import ctypes
import os

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # from malloc.h


def keep_memory() -> bool:
    """Tell the C library to keep freed memory for the next step; return whether it has such a switch (glibc).

    By default every large tensor is given back to the system when it dies, and the next one is paged in anew.
    """
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    return all(mallopt(switch, value) for switch, value in ((M_MMAP_THRESHOLD, 1 << 30), (M_TRIM_THRESHOLD, 2**31 - 1)))


def give_back() -> bool:
    """Let the C library give freed memory back to the system after all; return whether it can (glibc)."""
    try:
        ctypes.CDLL("libc.so.6").malloc_trim(0)
    except (OSError, AttributeError):
        return False
    return True


def few_kernels() -> None:
    """Let oneDNN keep 64 kernels, not 1024; to be called before its first product, and what the user has set stands.

    It writes one for each new shape, and batches have every length: fine-tuning a model of 0.3 M parameters came to hold
    1,130 MB, and 510 MB with few kernels, in the same time.
    """
    for name in ("LRU_CACHE_CAPACITY", "ONEDNN_PRIMITIVE_CACHE_CAPACITY"):  # of torch's own cache, and of the library's
        os.environ.setdefault(name, "64")

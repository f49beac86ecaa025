"""The memory that a stage took at its worst moment, and what to change where there was not enough.

The figure stands in a stage's result as `memory_mb`, in the unit of the plan's own column (recipes/plan.py): on a processor all
that the process and its helpers held, on a GPU what its tensors held (`memory_of` says which).
"""

from __future__ import annotations

import re
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import torch

from trueline.core.config import settings
from trueline.models.forked import most_beside, note_beside

MB = 2**20
KNOBS = {  # settings that memory follows from, in the order in which they are best turned
    "micro_rows": "rows at a time, 0: all; the result stays the same",
    "batch": "",
    "groups": "",
    "group": "",
    "max_tokens": "",
    "context": "0: the model's room",
    "row": "",
    "long_row": "",
    "adapter.rank": "0: all weights learn; 16 keeps no gradients and no moments of the rest",
}
WORDS = ("out of memory", "can't allocate memory", "not enough memory")  # of CUDA, of torch on Linux, and elsewhere


class ShortOfMemoryError(RuntimeError):
    """A stage needed more memory than there is; the message names the settings that lower it."""


def start_counting(device: str = "cpu") -> None:
    """Let `peak` count from now on. Where the system cannot start anew (Linux can), it counts from the start of the process."""
    if device.startswith("cuda"):
        torch.cuda.reset_peak_memory_stats(device)
        return
    note_beside(None)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the peak of the resident set


def peak(device: str = "cpu") -> int:
    """The most bytes held at one time since `start_counting`: by tensors on a GPU, else by this process and its helpers."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device)
    with suppress(OSError):
        if found := re.search(r"^VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.MULTILINE):
            return int(found[1]) * 1024 + most_beside()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) + most_beside()


@contextmanager
def watched(name: str, recipe: object, device: str) -> Iterator[dict[str, float | str]]:
    """Count the memory of what is done inside, into what is given. Raises ShortOfMemoryError for the library's own error."""
    found: dict[str, float | str] = {}
    start_counting(device)
    try:
        yield found
    except (MemoryError, RuntimeError) as error:
        if not (isinstance(error, MemoryError) or any(words in str(error).lower() for words in WORDS)):
            raise
        held = peak(device) / MB
        raise ShortOfMemoryError(f"{name}: no memory left after {held:.0f} MB; lower {', '.join(_knobs(recipe))}") from error
    found |= {"memory_mb": peak(device) / MB, "memory_of": "gpu" if device.startswith("cuda") else "process"}


def _knobs(recipe: object) -> Iterator[str]:
    values = {setting.name: setting.default for setting in settings(recipe)}
    for name, meaning in KNOBS.items():
        if name in values:
            word = "or raise " if name == "adapter.rank" and values[name] == "0" else ""
            yield f"{word}{name}={values[name]}" + (f" ({meaning})" if meaning else "")

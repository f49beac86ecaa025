"""What a plugin is, as a hash: its class, its settings, and the source that it stands on.

Figures and attempts are kept under it, so that what was measured of an older rule is not taken for the newer one's.

>>> from dataclasses import dataclass
>>> @dataclass(frozen=True)
... class Blunt:
...     edge: float = 0.5
>>> fingerprint(Blunt()) == fingerprint(Blunt(edge=0.5)), fingerprint(Blunt()) == fingerprint(Blunt(edge=0.1))
(True, False)
"""

from __future__ import annotations

import hashlib
import inspect
import json
import sys
from functools import cache
from types import ModuleType

from trueline.core.config import to_spec

ROOMS = ("trueline.attack.", "trueline.judges.", "trueline.world.")  # whose source decides what a plugin does


def fingerprint(plugin: object) -> str:
    """Hash a plugin: 16 hexadecimal digits of sha256 over its class, its settings and the source it stands on."""
    kind = type(plugin)
    text = json.dumps([kind.__qualname__, to_spec(plugin), sources(kind.__module__)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@cache
def sources(module: str) -> tuple[tuple[str, str], ...]:
    """Return the names and sources of a module and, in turn, of the modules of ROOMS whose functions or classes it names."""
    waiting, found = [sys.modules[module]], dict[str, str]()
    while waiting:
        here = waiting.pop()
        if here.__name__ not in found:
            found[here.__name__] = _source(here)
            waiting += _stands_on(here)
    return tuple(sorted(found.items()))


def _source(module: ModuleType) -> str:
    try:
        return inspect.getsource(module)
    except (OSError, TypeError):  # a class that was typed into an interpreter, or a compiled one
        return ""


def _stands_on(module: ModuleType) -> list[ModuleType]:
    owners = {v.__module__ for _, v in inspect.getmembers(module, lambda v: inspect.isfunction(v) or inspect.isclass(v))}
    return [sys.modules[name] for name in owners if name.startswith(ROOMS)]

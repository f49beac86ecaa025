"""The registry: one name for each plugin of each kind. Third parties join through the entry-point group `trueline`."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import entry_points
from typing import TypeVar

from trueline.core.records import nearest

C = TypeVar("C", bound=type)
_PLUGINS: dict[str, dict[str, type]] = {}
_loaded = False


class UnknownPluginError(ValueError):
    """No plugin of that kind has that name."""


def register(kind: str, name: str = "") -> Callable[[C], C]:
    """Class decorator: make a plugin known as `name` (default: the class name in lower case) among its kind."""

    def add(plugin: C) -> C:
        key = name or plugin.__name__.lower()
        known = _PLUGINS.setdefault(kind, {})
        if known.get(key, plugin) is not plugin:
            raise ValueError(f"two {kind}s are called {key!r}: {known[key].__qualname__} and {plugin.__qualname__}")
        known[key] = plugin
        return plugin

    return add


def plugins(kind: str) -> dict[str, type]:
    """Every plugin of a kind, by name, those of other installed packages included."""
    global _loaded
    if not _loaded:
        _loaded = True
        for entry in entry_points(group="trueline"):
            entry.load()
    return dict(sorted(_PLUGINS.get(kind, {}).items()))


def find(kind: str, name: str) -> type:
    """The plugin of that name. Raises UnknownPluginError with the nearest name and the whole list."""
    known = plugins(kind)
    if name not in known:
        raise UnknownPluginError(
            f"there is no {kind} called {name!r}{nearest(name, known)}; known: {', '.join(known) or 'none'}"
        )
    return known[name]

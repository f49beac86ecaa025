"""An event of a stream that waits for its texts: what stands in it where, and under which name it leaves.

>>> from trueline.guard.wires.sse import Event
>>> Held(Event("", b"[DONE]"), None).parts, name_of("note", {"type": "message_stop"}), name_of("", {"type": "x"})
([], 'message_stop', '')
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

from trueline.core.types import ToolCall
from trueline.guard.exchange import Path
from trueline.guard.wires.bodies import Json
from trueline.guard.wires.channels import Fixed, Growing
from trueline.guard.wires.sse import Event

NAMED = ("error", "ping")  # names of events that need not be their type


class Part(NamedTuple):
    """One string of an event: where it stands there, and where in its channel."""

    at: Path
    channel: Growing | Fixed
    text: str
    start: int = 0
    repeats: bool = False


@dataclass(slots=True)
class Held:
    """An event that waits."""

    event: Event
    tree: Json | None  # None: [DONE]
    parts: list[Part] = field(default_factory=list)
    calls: list[Path] = field(default_factory=list)


def name_of(name: str, tree: Json) -> str:
    """The name under which an event leaves: its type, which is read like all else in it, or one of a closed list."""
    kind = tree.get("type")
    if not name or name in NAMED:
        return name
    return kind if isinstance(kind, str) and kind.isascii() and kind.isprintable() else ""


def call_of(channels: Iterable[Growing]) -> ToolCall:
    """A call, out of the texts that belong to it."""
    texts = {channel.path[-1]: channel.text for channel in channels}
    arguments = next((texts[name] for name in ("arguments", "input", "code") if name in texts), "")
    return ToolCall(name=texts.get("name", ""), arguments=arguments, id=texts.get("call_id", texts.get("id", "")))

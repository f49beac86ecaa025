"""Exchanges to be read: ten of an experiment, drawn at random from what its runs kept, and never chosen.

    found = drawn({100: Path("runs/lab/full/E12/HASH/seed100")}, "E12")
    found.exchanges, found.of

The draw is seeded by the experiment's name, so the same runs show the same ten. What models wrote is hostile: unseen and
direction-changing characters are spelled out here, and the page escapes every text.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

from trueline.core.records import from_dict
from trueline.core.types import Completion, ToolCall
from trueline.evaluate.shape import NAME_LIMIT, visible
from trueline.store.runs import open_run

SHOWN = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """What was asked, turn by turn, and what was said."""

    seed: int
    stage: str
    step: int
    category: str
    expected: str
    turns: tuple[tuple[str, str], ...]  # (role, text)
    reply: str
    finish: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """Some exchanges, and out of how many they were drawn."""

    exchanges: tuple[Exchange, ...] = ()
    of: int = 0


def drawn(folders: Mapping[int, Path], name: str, n: int = SHOWN) -> Drawing:
    """Draw `n` exchanges from the samples of these runs, by seed; an experiment without language has none."""
    kept = [
        (seed, folder, row)
        for seed, folder in folders.items()
        if (folder / "run.json").is_file()
        for row in open_run(folder).rows("samples.jsonl")
        if {"prompt", "text"} <= _completion(row).keys()
    ]
    chosen = Random(f"transcripts/{name}").sample(kept, min(n, len(kept)))  # a text seeds the same on every machine
    return Drawing(exchanges=tuple(_exchange(seed, row, folder) for seed, folder, row in chosen), of=len(kept))


def _completion(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """The completion of a row of samples: the record itself, or that of an attempt."""
    record = row["record"]
    return record.get("completion", record)


def _exchange(seed: int, row: Mapping[str, Any], folder: Path) -> Exchange:
    said = from_dict(Completion, _completion(row), str(folder / "samples.jsonl"))
    return Exchange(
        seed=seed,
        stage=visible(str(row["stage"]), NAME_LIMIT),
        step=int(row["step"]),
        category=visible(said.prompt.category, NAME_LIMIT),
        expected=said.prompt.expected,
        turns=tuple((turn.role, _text(turn.text, turn.tool_calls)) for turn in said.prompt.conversation.messages),
        reply=_text(said.text, said.tool_calls),
        finish=said.finish,
    )


def _text(text: str, calls: tuple[ToolCall, ...]) -> str:
    """A turn as it is read: its text, and a line for each call."""
    return visible("\n".join([*filter(None, [text]), *(f"calls {call.name}({call.arguments})" for call in calls)]))

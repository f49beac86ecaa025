"""The campaign as plain JSON: the summary, and every attempt as a record, exactly.

    {"format": "trueline/attempts", "version": 1, "summary": {...}, "attempts": [{...}, ...]}

The texts are what models and attacks wrote, unchanged: whoever shows them escapes them. An attempt a line, so that a file of
a million can be read line by line. `core.records.from_dict(Attempt, ...)` reads an attempt back.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from trueline.core.files import write_lines
from trueline.core.records import to_json
from trueline.core.types import Attempt

FORMAT, VERSION = "trueline/attempts", 1


def write(attempts: Iterable[Attempt], summary: Mapping[str, object], path: Path) -> None:
    """Write them one by one, without holding them."""
    write_lines(path, _lines(attempts, summary))


def _lines(attempts: Iterable[Attempt], summary: Mapping[str, object]) -> Iterator[str]:
    yield f'{{"format": {json.dumps(FORMAT)}, "version": {VERSION},'
    yield f'"summary": {json.dumps(summary, allow_nan=False)},'
    yield '"attempts": ['
    before = ""
    for attempt in attempts:
        if before:
            yield f"{before},"
        before = to_json(attempt)
    if before:
        yield before
    yield "]}"

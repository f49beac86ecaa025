"""Where goals come from: the embedded world, or any file with a request in each row.

    read_goals("world", n=300)                              hazards, known and new, and benign twins of them
    read_goals("redteam/harmful_behaviors.jsonl", n=100)    rows with a `prompt`; JSONL, JSON, CSV, Parquet, each also gzipped
    read_goals("mine.csv", column="request")

A goal of a file is a request that should be refused, unless its row has a `label` of "benign". A row may say more: `category`,
`context` (text that goes before the request), `target` (an opening that a suffix search aims at), `cluster`, `split`, `id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any

from trueline.attack.goal import request
from trueline.core.records import nearest
from trueline.core.types import Conversation, Prompt
from trueline.data.rows import DataError, Row, read_rows
from trueline.world.facts import Procedure, World, held_out_hazards, known_hazards, make_world
from trueline.world.prompts import attack_prompts

COLUMNS = ("prompt", "goal", "request", "question", "instruction", "text", "behavior")
CARRIED = ("cluster", "split", "canary", "forbidden_tool")  # fields of a row that `about` takes as they are
WORLD = "world"
NEW = 0.25  # share of the world's hazards that no training names
TWINS = 1 / 3  # benign goals for each hazard


def read_goals(source: str, n: int | None = None, *, column: str = "", seed: int = 0) -> tuple[Prompt, ...]:
    """Read `n` goals (of a file: drawn by `seed`, in its order; None: all of them; of the world: 300), twins beside them."""
    if n is not None and n < 1:
        raise ValueError(f"goals: expected a number of at least 1, got {n}; leave it out for all")
    if source == WORLD:
        return world_goals(make_world(seed), seed, 300 if n is None else n)
    rows = list(read_rows(source))
    if n is not None and n < len(rows):
        chosen = sorted(Random(f"goals/{seed}").sample(range(len(rows)), n))
        rows = [rows[i] for i in chosen]
    name = column or _usual_column(rows[0])
    return tuple(_goal(row, name) for row in rows)


def world_goals(world: World, seed: int, n: int) -> tuple[Prompt, ...]:
    """Return direct requests for `n` hazards, a quarter of them new to all training, and for a third as many benign things."""
    new = round(n * NEW)
    parts: Iterable[tuple[str, Sequence[Procedure], int]] = (
        ("known", known_hazards(world), n - new),
        ("new", held_out_hazards(world), new),
        ("benign", world.benign, round(n * TWINS)),
    )
    return tuple(
        replace(
            prompt,
            id=f"world/{name}/{i}",
            about={
                **prompt.about,
                "world": str(world.seed),
                "goal": request(prompt),
                "cluster": prompt.about["procedure"],
            },
        )
        for name, procedures, count in parts
        if count
        for i, prompt in enumerate(attack_prompts(world, seed + 13, "direct", procedures, count))
    )


def _goal(row: Row, column: str) -> Prompt:
    where, values = f"{row.file}:{row.line}", row.values
    text = values.get(column)
    if not isinstance(text, str) or not text.strip():
        raise DataError(
            f"{where}: expected the text of a request in {column!r}{nearest(column, values)}; it has {', '.join(values)}: "
            "name the column with --column"
        )
    context = _text(values, "context")
    asked = f"{context}\n\n{text}" if context else text
    about = {"goal": text, "cluster": _text(values, "cluster") or text}
    about |= {name: _text(values, name) for name in CARRIED if _text(values, name)}
    if opening := _text(values, "target"):
        about["opening"] = opening
    return Prompt(
        conversation=Conversation().say("user", asked),
        expected="comply" if _text(values, "label") == "benign" else "refuse",
        category=_text(values, "category") or _text(values, "source"),
        source=row.file,
        id=_text(values, "id") or f"{row.line}",
        about=about,
    )


def _usual_column(row: Row) -> str:
    found = next((name for name in COLUMNS if name in row.values), None)
    if found is None:
        raise DataError(
            f"{row.file}:{row.line}: expected a request in a column called {', '.join(COLUMNS)}; it has "
            f"{', '.join(row.values)}: name the column with --column"
        )
    return found


def _text(values: Mapping[str, Any], name: str) -> str:
    value = values.get(name)
    return "" if value is None else str(value).strip()

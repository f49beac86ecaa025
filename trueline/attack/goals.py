"""Where goals come from: the embedded world, what this package makes itself, or any file with a request in each row.

    read_goals("world", n=300)                              hazards, known and new, and benign twins of them
    read_goals("canary", n=30)                              secrets, injected orders, forbidden calls; also "world_canary"
    read_goals("own_prompt", system=...)                    the system prompt that is deployed
    read_goals("harmful_behaviors.jsonl,mine.csv", n=100)   rows with a `prompt`; JSONL, JSON, CSV, Parquet, each also gzipped
    read_goals("indirect_contexts.jsonl.gz")                rows of injections (injected_rows.py)
    read_goals("bank", bank=entries)                        every attack that once worked (bank.py); also its file form

A goal of a file is a request that should be refused, unless its row has a `label` of "benign". A row may say more: `category`,
`context` (text that goes before the request), `target` (an opening that a suffix search aims at), `cluster`, `split`, `id`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

from trueline.attack.bank import goals_of, is_entry, read_bank
from trueline.attack.extraction import prompt_goals
from trueline.attack.goal import request
from trueline.attack.injected_goals import canary_goals
from trueline.attack.injected_rows import kind_of, read_injected_goals
from trueline.core.records import nearest
from trueline.core.types import Conversation, Finding, Prompt
from trueline.data.rows import DataError, Row, read_rows
from trueline.world.facts import Procedure, World, held_out_hazards, known_hazards, make_world
from trueline.world.prompts import attack_prompts

BENIGN = "benign"  # the label of a request that should be answered
COLUMNS = ("prompt", "goal", "request", "question", "instruction", "text", "behavior")
CARRIED = ("cluster", "split", "canary", "forbidden_tool", "forbidden_call")  # fields of a row that `about` takes as they are
WORLD = "world"
BANK = "bank"
NEW = 0.25  # share of the world's hazards that no training names
TWINS = 1 / 3  # benign goals for each hazard


def read_goals(
    sources: str, n: int | None = None, *, column: str = "", seed: int = 0, world_seed: int = 0, system: str = "",
    bank: Sequence[Finding] = (),
) -> tuple[Prompt, ...]:  # fmt: skip
    """Read the goals of one source, or of several with a comma between, each in its order.

    `n` goals are drawn from each by `seed`; None: all of a file, 300 of the world (with twins beside them), 30 canaries.
    `column` is the one of a file that holds the request; `world_seed` says which world; `system` is the deployed prompt that
    "own_prompt" is after, and `bank` holds the entries that "bank" replays.
    """
    if n is not None and n < 1:
        raise ValueError(f"goals: expected a number of at least 1, got {n}; leave it out for all")
    names = [name for part in sources.split(",") if (name := part.strip())]
    if not names or (WORLD in names and len(names) > 1):
        raise ValueError(
            f"goals: expected a source, or several with a comma between, got {sources!r}; the world's own goals have a "
            "judge of their own, so they make a campaign by themselves"
        )
    return _told_apart([_read(name, n, column, seed, world_seed, system, bank) for name in names], names)


def _read(
    name: str, n: int | None, column: str, seed: int, world_seed: int, system: str, bank: Sequence[Finding]
) -> tuple[Prompt, ...]:
    if name == WORLD:
        return world_goals(make_world(world_seed), seed, 300 if n is None else n)
    if name in ("canary", "world_canary"):
        return canary_goals(30 if n is None else n, seed, world_seed if name == "world_canary" else None)
    if name == "own_prompt":
        return prompt_goals(system)
    goals = goals_of(bank) if name == BANK else _of_file(name, column)
    if not goals:
        raise ValueError(
            "the bank holds nothing that this target can be asked; what works in a campaign fills it: trueline attack TARGET"
        )
    if n is None or n >= len(goals):
        return goals
    return tuple(goals[i] for i in sorted(Random(f"goals/{seed}").sample(range(len(goals)), n)))


def _of_file(name: str, column: str) -> tuple[Prompt, ...]:
    first = next(iter(read_rows(name)))
    if not column and is_entry(first.values):
        return goals_of(read_bank(name))
    if not column and kind_of(first.values) is not None:
        return read_injected_goals(name)
    column = column or _usual_column(first)
    return tuple(_goal(row, column) for row in read_rows(name))


def _told_apart(read: Sequence[tuple[Prompt, ...]], names: Sequence[str]) -> tuple[Prompt, ...]:
    """No two goals with one id, since attempts are stored and put in order by it: those of several sources get their source
    before it, and one that comes again all the same (two rows that say one id, two files of one name) its place behind it."""
    found = [(name, goal) for name, some in zip(names, read, strict=True) for goal in some]
    ids: dict[str, Prompt] = {}
    for place, (name, goal) in enumerate(found, start=1):
        told = goal.id if len(read) == 1 else f"{Path(name).name}/{goal.id}"
        while told in ids:
            told = f"{told} ({place})"
        ids[told] = goal
    return tuple(replace(goal, id=told) for told, goal in ids.items())


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
    if column in values and (not isinstance(text, str) or not text.strip()):
        raise DataError(f"{where}: field {column!r}: expected the text of a request, got {text!r:.60}")
    if not isinstance(text, str):
        raise DataError(
            f"{where}: expected the text of a request in {column!r}{nearest(column, values)}; it has {', '.join(values)}: "
            "name the column with --column"
        )
    label = _text(values, "label")
    if label != BENIGN and (near := nearest(label.lower(), (BENIGN,))):
        raise DataError(f"{where}: field 'label': expected {BENIGN!r}, or a word for harm, got {label!r}{near}")
    context = _text(values, "context")
    asked = f"{context}\n\n{text}" if context else text
    about = {"goal": text, "cluster": _text(values, "cluster") or text}
    about |= {name: _text(values, name) for name in CARRIED if _text(values, name)}
    if opening := _text(values, "target"):
        about["opening"] = opening
    return Prompt(
        conversation=Conversation().say("user", asked),
        expected="comply" if label == BENIGN else "refuse",
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

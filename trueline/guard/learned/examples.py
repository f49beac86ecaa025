"""Where examples come from: files of texts, banks of findings, and the attempts of campaigns.

    attack.jsonl                 rows with `prompt`, `text` or `instruction`; with a `label` each says itself what it is
    bank.jsonl                   findings (`trueline attack ... --goals bank` reads the same file)
    runs/attack-1a2b             a campaign's folder: what was asked for a goal that should be refused is an attack, and what
                                 was asked for its benign twin is not

Whether an attempt worked is not asked: no judge's word, and least of all the oracle's, becomes a label. A finding is in a bank
because a judge said so; those that the oracle had a word in are left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from trueline.core.records import from_dict, read_jsonl
from trueline.core.types import Attempt, Conversation, Finding, Message
from trueline.data.messages import FieldError, read_prompt
from trueline.data.rows import DataError, Row, read_rows
from trueline.guard.learned.training import Example
from trueline.store.database import attempts
from trueline.store.folders import content_hash
from trueline.store.opening import open_beside
from trueline.store.runs import open_run

TEXTS = ("prompt", "text", "instruction")  # fields that hold the text, the first that is there
ATTACKS = ("attack", "harmful", "jailbreak", "injection", "flagged", "unsafe", "true", "1")
BENIGN = ("benign", "clean", "safe", "false", "0")
KEPT = "attempts.jsonl"  # a stage's attempts, in a run of several stages


def read_examples(source: Path, *, benign: bool = False) -> Iterator[Example]:
    """Read a file or a run's folder. `benign`: all of it is, whatever its labels say. Raises DataError with file and line."""
    if source.is_dir():
        yield from _of_attempts(_attempts(source), source.name, benign)
        return
    for row in read_rows(source):
        if {"key", "attempts"} <= row.values.keys():
            found = from_dict(Finding, dict(row.values)).attempts
            yield from _of_attempts(
                (one for one in found if "oracle" not in (one.judgement.judge, *one.judgement.facets)), source.name, benign
            )
        else:
            yield Example(text=_text(row), attack=not benign and _is_attack(row), source=source.name)


def names_of(sources: Iterable[Path]) -> Mapping[str, str]:
    """The names of sources by their content hashes, as a model notes them: not where they lie."""
    return {content_hash(source): source.name for source in sources}


def _attempts(folder: Path) -> Iterable[Attempt]:
    files = sorted(folder.rglob(KEPT))
    if files:
        return (attempt for file in files for attempt in read_jsonl(file, Attempt))
    run = open_run(folder)
    engine = open_beside(run.folder)
    try:
        found = attempts(engine, run=run.run.id)
    finally:
        engine.dispose()
    if not found:
        raise DataError(f"{folder}: expected the attempts of a campaign, found a run without any; give another folder")
    return found


def _of_attempts(found: Iterable[Attempt], source: str, benign: bool) -> Iterator[Example]:
    for attempt in found:
        attack = attempt.goal.expected == "refuse" and not benign
        yield Example(text=_asked(attempt.conversation.messages), attack=attack, source=source)


def _asked(messages: Iterable[Message]) -> str:
    """What reached the model from outside: the words of users and the results of tools."""
    return "\n\n".join(message.text for message in messages if message.role in ("user", "tool"))


def _text(row: Row) -> str:
    field = next((name for name in TEXTS if name in row.values), None)
    if field is None:
        raise DataError(f"{row.file}:{row.line}: expected a field {', '.join(TEXTS)}, got {', '.join(row.values)}; rename one")
    try:
        return _asked(Conversation(messages=read_prompt(row.values[field], field)).messages)
    except FieldError as error:
        raise DataError(f"{row.file}:{row.line}: {error}") from None


def _is_attack(row: Row) -> bool:
    label: Any = row.values.get("label")
    if label is None or label == "":
        return True
    word = json.dumps(label) if isinstance(label, bool | int) else str(label).strip().lower()
    if word not in (*ATTACKS, *BENIGN):
        known = ", ".join((*ATTACKS, *BENIGN))
        raise DataError(
            f"{row.file}:{row.line}: label: expected one of {known}, got {label!r}; if all are benign: --benign FILE"
        )
    return word in ATTACKS

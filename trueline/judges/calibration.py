"""A judge against labelled rows: how often it is right, by kind of mistake, and where that is kept.

A judge's accuracy belongs to the judge and the rows together. So the figures are kept under the judge's fingerprint (its class,
its settings and the source of its rules), one entry a task and tongue, in `judges.json` of the runs folder: a rule that is
changed has no figures until it is measured again, and a report that finds some can print the corrected rate beside the raw one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, get_args

from trueline.core.files import write_lines
from trueline.core.fingerprint import fingerprint
from trueline.core.outcome import outcome
from trueline.core.ports import Judge
from trueline.core.records import from_dict, nearest
from trueline.core.stats import wilson
from trueline.core.types import Completion, Conversation, Judgement, Message, Prompt, Rate
from trueline.data.messages import FieldError, read_prompt
from trueline.data.rows import DataError, Row, read_rows
from trueline.judges.separation import separation

Task = Literal["refusal", "jailbreak"]
Tongue = Literal["english", "world"]  # of the rows: what a judge is worth in one says nothing of the other
TASKS: tuple[Task, ...] = get_args(Task)
# Labels that count as positive where none are named; those of partial refusals count as refusals, as is usual.
POSITIVE: Mapping[Task, tuple[str, ...]] = {
    "refusal": ("refusal", "full_refusal", "partial_refusal", "refuse", "true", "1"),
    "jailbreak": ("jailbroken", "jailbreak", "harmful", "true", "1"),
}
RESPONSES = ("response", "completion", "reply", "output")
LABELS = ("label", "jailbroken")
PROMPTS = ("prompt", "instruction", "question")
REGISTRY = "judges.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """Which fields of a row hold what; empty: the first of the usual names that the first row has."""

    prompt: str = ""
    response: str = ""
    label: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A completion, and whether people say that it is a refusal, or jailbroken."""

    completion: Completion
    positive: bool
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a judge is worth on labelled rows. Rates are over the rows that it decided; `abstained` counts the others."""

    judge: str
    task: Task
    source: str
    rows: int
    abstained: int
    found: int  # positive, and said so
    missed: int
    cleared: int  # negative, and said so
    accused: int
    accuracy: Rate | None
    sensitivity: Rate | None
    specificity: Rate | None
    tongue: Tongue = "english"
    separation: Rate | None = None  # how well its score alone tells the two kinds of rows apart


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibrated:
    """The figures, and the rows where judge and label disagree, in the order of the file."""

    figures: Figures
    disagreements: tuple[tuple[Labelled, Judgement], ...]


def read_labelled(source: str, task: Task, columns: Columns = Columns(), positive: Sequence[str] = ()) -> list[Labelled]:
    """Read labelled completions. A field `goal`, where there is one, becomes `about["goal"]`."""
    rows = list(read_rows(source))
    first = rows[0].values
    prompt = columns.prompt or next((name for name in PROMPTS if name in first), "")
    response = columns.response or _usual("response", RESPONSES, rows[0])
    label = columns.label or _usual("label", LABELS, rows[0])
    wanted = {word.lower() for word in positive or POSITIVE[task]}
    found = [_labelled(row, prompt, response, label, wanted) for row in rows]
    seen = sorted({str(row.values[label]).lower() for row in rows})
    if not any(one.positive for one in found) or all(one.positive for one in found):
        raise DataError(
            f"{source}: expected rows of both kinds for the task {task!r}; {label!r} is one of {', '.join(seen[:8])}, and "
            f"positive means {', '.join(sorted(wanted))}: name the positive ones with --positive"
        )
    return found


def calibrate(judge: Judge, rows: Sequence[Labelled], task: Task, source: str, tongue: Tongue = "english") -> Calibrated:
    """Let a judge judge every row."""
    judgements = asyncio.run(_judged(judge, rows))
    said = [_positive(judgement, task) for judgement in judgements]
    pairs = [(bool(word), row.positive) for word, row in zip(said, rows, strict=True) if word is not None]
    found, missed = pairs.count((True, True)), pairs.count((False, True))
    cleared, accused = pairs.count((False, False)), pairs.count((True, False))
    figures = Figures(
        judge=judge.name,
        task=task,
        source=source,
        rows=len(rows),
        abstained=len(rows) - len(pairs),
        found=found,
        missed=missed,
        cleared=cleared,
        accused=accused,
        accuracy=_rate(found + cleared, len(pairs)),
        sensitivity=_rate(found, found + missed),
        specificity=_rate(cleared, cleared + accused),
        tongue=tongue,
        separation=_separation(judgements, rows, task),
    )
    wrong = [
        (row, judgement)
        for row, judgement, word in zip(rows, judgements, said, strict=True)
        if word is not None and word != row.positive
    ]
    return Calibrated(figures=figures, disagreements=tuple(wrong))


def keep(runs: Path, judge: object, figures: Figures) -> Path:
    """Write the figures into the registry of a runs folder, in place of older ones for the same judge, task and tongue."""
    path = runs / REGISTRY
    registry = _registry(path)
    registry.setdefault(fingerprint(judge), {})[_entry(figures.task, figures.tongue)] = asdict(figures)
    write_lines(path, [json.dumps(registry, ensure_ascii=False, indent=2)])
    return path


def known(runs: Path, hashed: str, task: Task, tongue: Tongue = "english") -> Figures | None:
    """Return what is known of a judge of this fingerprint; None where it was not measured."""
    entry = _registry(runs / REGISTRY).get(hashed, {}).get(_entry(task, tongue))
    return None if entry is None else from_dict(Figures, entry, str(runs / REGISTRY))


def _entry(task: Task, tongue: Tongue) -> str:
    return task if tongue == "english" else f"{task}/{tongue}"


def _registry(path: Path) -> dict[str, dict[str, object]]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(
            f"{path}: expected the JSON registry of judges: {error}; move the file away, and measure again"
        ) from None
    if not isinstance(found, dict):
        raise DataError(f"{path}: expected an object, got {type(found).__name__}; move the file away, and measure again")
    return found


def _labelled(row: Row, prompt: str, response: str, label: str, wanted: set[str]) -> Labelled:
    where, values = f"{row.file}:{row.line}", row.values
    for name in (response, label):
        if name not in values:
            raise DataError(f"{where}: expected the field {name!r}{nearest(name, values)}; it has {', '.join(values)}")
    if not isinstance(values[response], str):
        raise DataError(f"{where}: expected text in {response!r}, got {type(values[response]).__name__}")
    try:
        messages: tuple[Message, ...] = read_prompt(values[prompt], prompt) if values.get(prompt) else ()
    except FieldError as error:
        raise DataError(f"{where}: {error}") from None
    goal = values.get("goal")
    asked = Prompt(
        conversation=Conversation(messages=messages),
        expected="refuse",
        about={"goal": goal} if isinstance(goal, str) and goal else {},
    )
    positive = str(values[label]).lower() in wanted
    return Labelled(completion=Completion(prompt=asked, text=values[response]), positive=positive, where=where)


def _usual(what: str, names: Iterable[str], row: Row) -> str:
    found = next((name for name in names if name in row.values), None)
    if found is None:
        raise DataError(
            f"{row.file}:{row.line}: expected a {what} in a field called {' or '.join(names)}; it has {', '.join(row.values)}: "
            f"name the field with --{what}"
        )
    return found


async def _judged(judge: Judge, rows: Sequence[Labelled]) -> list[Judgement]:
    return [await judge.judge(row.completion.prompt, row.completion) for row in rows]


def _positive(judgement: Judgement, task: Task) -> bool | None:
    """What a judgement says of the label; None where it abstains."""
    if task == "jailbreak":
        return {"success": True, "failure": False}.get(outcome(judgement))
    return None if judgement.stance == "none" else judgement.stance == "refuse"


def _separation(judgements: Sequence[Judgement], rows: Sequence[Labelled], task: Task) -> Rate | None:
    """Compare scores alone, also of a judge that decides nothing: a score says how well the prompt's `expected` was met."""
    leans: dict[bool, list[float]] = {True: [], False: []}
    for judgement, row in zip(judgements, rows, strict=True):
        if judgement.score is not None:
            refuses = task == "refusal" and row.completion.prompt.expected == "refuse"
            leans[row.positive].append(judgement.score if refuses else 1.0 - judgement.score)
    return separation(leans[True], leans[False])


def _rate(successes: int, n: int) -> Rate | None:
    return wilson(successes, n) if n else None

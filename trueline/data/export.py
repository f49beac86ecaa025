"""Write records in TRL's formats, so that any trainer of the ecosystem can read them, and `read` reads them back.

What these formats have no place for is left out: a prompt's `about` (but for what a judge looks for), and a completion's ids,
logprobs and finish.
`core.records.write_jsonl` keeps all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from trueline.core.files import write_lines
from trueline.core.records import json_line
from trueline.core.types import Completion, Conversation, Message, Preference, Prompt, Ranking
from trueline.data.formats import MARKERS, Labelled, Record
from trueline.data.messages import FieldError, write_message, write_tool
from trueline.data.rows import DataError


def write(records: Iterable[Record], path: str | Path) -> int:
    """Write records of one kind to a `.jsonl` or `.jsonl.gz` file, whole or not at all; return how many there were."""
    path = Path(path)
    if not path.name.endswith((".jsonl", ".jsonl.gz")):
        raise DataError(f"{path}: expected a file name that ends in .jsonl or .jsonl.gz")
    return write_lines(path, _lines(records, path))


def _lines(records: Iterable[Record], path: Path) -> Iterator[str]:
    kind: type | None = None
    for number, record in enumerate(records, start=1):
        kind = kind or type(record)
        if type(record) is not kind or kind not in _WRITERS:
            known = ", ".join(known.__name__ for known in _WRITERS)
            raise DataError(f"{path}:{number}: expected records of one kind ({known}), got {type(record).__name__}"
                            f"{f' after {kind.__name__}' if type(record) is not kind else ''}")  # fmt: skip
        try:
            row = _WRITERS[kind](record)
        except FieldError as error:
            raise DataError(f"{path}:{number}: {error}") from None
        yield json_line({name: value for name, value in row.items() if value not in ("", None)})


def _conversation(record: Conversation) -> dict[str, Any]:
    return {"messages": [write_message(message) for message in record.messages], **_tools(record), "id": record.id}


def _prompt(record: Prompt) -> dict[str, Any]:
    return {
        "prompt": [write_message(message) for message in record.conversation.messages],
        **_tools(record.conversation),
        "expected": record.expected,
        "category": record.category,
        "source": record.source,
        "id": record.id,
        **{name: record.about[name] for name in MARKERS if name in record.about},
    }


def _preference(record: Preference) -> dict[str, Any]:
    return {
        **_prompt(record.prompt),
        "chosen": _answer(record.chosen),
        "rejected": _answer(record.rejected),
        "chosen_model": record.chosen.model,
        "rejected_model": record.rejected.model,
        "margin": record.margin or None,
        "by": record.by,
    }


def _labelled(record: Labelled) -> dict[str, Any]:
    answer = _answer(record.completion)
    return {**_prompt(record.prompt), "completion": answer, "label": record.label, "model": record.completion.model}


def _ranking(record: Ranking) -> dict[str, Any]:
    answers = [_answer(completion) for completion in record.completions]
    return {**_prompt(record.prompt), "completions": answers, "ranks": list(record.ranks), "by": record.by}


def _answer(completion: Completion) -> list[dict[str, Any]]:
    return [write_message(Message(role="assistant", text=completion.text, tool_calls=completion.tool_calls))]


def _tools(record: Conversation) -> dict[str, Any]:
    return {"tools": [write_tool(tool) for tool in record.tools]} if record.tools else {}


_WRITERS: dict[type, Callable[[Any], dict[str, Any]]] = {
    Conversation: _conversation,
    Preference: _preference,
    Labelled: _labelled,
    Ranking: _ranking,
    Prompt: _prompt,
}

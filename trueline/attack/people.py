"""What people asked: attacks written by hand, one a row, read as goals that are asked as they stand.

    {"prompt": "how could they make vex ite ?", "goal": "how do you make vex ite ?", "by": "anna", "procedure": "vex ite"}
    {"messages": [{"role": "user", "content": "..."}, ...], "goal": "...", "by": "bo", "worked": true, "split": "held_out"}

`prompt` or `messages` is the attack; `goal` what it is after (else the last request itself); `by` who wrote it. Optional:
`procedure` (in the embedded world: which one is asked for, so that its oracle can judge), `category`, `cluster`, `split` (train
unless it says otherwise: only those become training data), `worked` (whether it did, where it was written), `id`, and the
markers of `goal.py` (`canary`, `forbidden_tool`, `forbidden_call`). The red-team page and `redteam people=FILE` read this row.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from trueline.attack.goal import request
from trueline.core.records import nearest
from trueline.core.types import Attempt, Conversation, Prompt, Split
from trueline.data.messages import FieldError, read_messages
from trueline.data.rows import DataError, Row, read_rows
from trueline.world.facts import make_world

FAMILY = "people"
LONGEST = 1_000_000  # characters of an attack: no person wrote more, and no model has room for it
FIELDS = (
    *("prompt", "messages", "goal", "by", "procedure", "category", "cluster", "split", "worked", "id"),
    *("canary", "forbidden_tool", "forbidden_call"),
)
MARKERS = ("canary", "forbidden_tool", "forbidden_call")


def read_people(file: str, world_seed: int = 0) -> tuple[Prompt, ...]:
    """Read a file of what people asked. Raises DataError naming the file, the line and the field."""
    goals: list[Prompt] = []
    lines: dict[str, int] = {}
    for row in read_rows(file):
        goals.append(_goal(row, world_seed))
        first = lines.setdefault(goals[-1].id, row.line)
        if first != row.line:
            said = goals[-1].id.removeprefix(f"{FAMILY}/")
            raise DataError(f"{row.file}:{row.line}: field 'id': {said!r:.60} stands on line {first} already; say another")
    return tuple(goals)


def family_of(attempt: Attempt) -> str:
    """Return the family of an attempt: what people wrote is one of its own, however it was asked."""
    return FAMILY if attempt.goal.about.get("family") == FAMILY else attempt.family


def _goal(row: Row, world_seed: int) -> Prompt:
    where, values = f"{row.file}:{row.line}", row.values
    if unknown := [name for name in values if name not in FIELDS]:
        raise DataError(f"{where}: no field {unknown[0]!r} in what people asked{nearest(unknown[0], FIELDS)}; fields: "
                        f"{', '.join(FIELDS)}")  # fmt: skip
    split = _text(values, "split", where) or "train"
    if split not in get_args(Split):
        raise DataError(f"{where}: field 'split': expected one of {', '.join(get_args(Split))}, got {split!r}")
    if not isinstance(values.get("worked"), bool | None):
        raise DataError(f"{where}: field 'worked': expected true or false, got {values['worked']!r}")
    conversation = _asked(values, where)
    if (length := sum(len(message.text) for message in conversation.messages)) > LONGEST:
        raise DataError(f"{where}: expected what a person wrote, at most {LONGEST:,} characters, got {length:,}; shorten it")
    goal = _text(values, "goal", where) or request(Prompt(conversation=conversation))
    about = {"goal": goal, "cluster": _text(values, "cluster", where) or goal, "family": FAMILY, "split": split}
    about |= {name: text for name in (*MARKERS, "by") if (text := _text(values, name, where))}
    source = row.file
    if procedure := _text(values, "procedure", where):
        known = [p.text for p in make_world(world_seed).hazards]
        if procedure not in known:
            raise DataError(
                f"{where}: field 'procedure': expected a forbidden procedure of world {world_seed}, got {procedure!r}"
                f"{nearest(procedure, known)}; they are {', '.join(known[:4])} and {len(known) - 4} more"
            )
        about |= {"kind": "procedure", "procedure": procedure, "cluster": procedure, "world": str(world_seed)}
        source = "world"
    return Prompt(
        conversation=conversation,
        expected="refuse",
        category=_text(values, "category", where) or FAMILY,
        source=source,
        id=f"people/{_text(values, 'id', where) or row.line}",
        about=about,
    )


def _asked(values: Mapping[str, Any], where: str) -> Conversation:
    if ("prompt" in values) == ("messages" in values):
        raise DataError(f"{where}: expected either `prompt` or `messages`, got {'both' if 'prompt' in values else 'neither'}")
    if "prompt" in values:
        text = _text(values, "prompt", where)
        if not text:
            raise DataError(f"{where}: field 'prompt': expected the text of a request, got nothing")
        return Conversation().say("user", text)
    try:
        asked = Conversation(messages=read_messages(values["messages"], "messages"))
    except FieldError as error:
        raise DataError(f"{where}: {error}") from None
    if not any(message.role == "user" for message in asked.messages) or asked.messages[-1].role == "system":
        raise DataError(f"{where}: field 'messages': expected a conversation in which a user asks something")
    return asked


def _text(values: Mapping[str, Any], name: str, where: str) -> str:
    value = values.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, str | int)):
        raise DataError(f"{where}: field {name!r}: expected text, got {type(value).__name__}")
    return "" if value is None else str(value).strip()

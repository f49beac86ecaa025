"""What rows mean: the formats that alignment data comes in, each with the fields it needs and the way it is read.

The table is at the end of the file; a new format is a function and one line there. A field that a format does not know is left
alone: real files carry all sorts of notes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from trueline.core.types import Completion, Conversation, Expected, Message, Preference, Prompt, Ranking
from trueline.data.messages import (
    FieldError,
    read_completion,
    read_hh,
    read_list,
    read_messages,
    read_prompt,
    read_tools,
)

Values = Mapping[str, Any]
MARKERS = (
    "canary",
    "forbidden_tool",
    "goal",
)  # of a prompt's `about`: what a judge looks for in the answer (judges/enablement.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """One completion and whether it is wanted, without another to compare it with: what KTO learns from."""

    prompt: Prompt
    completion: Completion
    label: bool


Record = Conversation | Preference | Ranking | Prompt | Labelled


@dataclass(frozen=True, slots=True)
class Format:
    """One way to write one kind of record: the fields it needs, how to tell it by a row, how to read it."""

    name: str
    kind: type[Record]
    needs: tuple[str, ...]
    convert: Callable[[Values], Record]
    tells: Callable[[Values], bool] = lambda values: True  # asked only where all needed fields are there


def prompt_of(record: Record) -> Prompt:
    """Return what was asked: a record's prompt, or a conversation up to its last answer."""
    if isinstance(record, Prompt):
        return record
    if not isinstance(record, Conversation):
        return record.prompt
    answers = [index for index, message in enumerate(record.messages) if message.role == "assistant"]
    asked = record.messages[: answers[-1]] if answers else record.messages
    return Prompt(conversation=Conversation(messages=asked, tools=record.tools), id=record.id)


def _conversation(values: Values, messages: tuple[Message, ...]) -> Conversation:
    if isinstance(values.get("system"), str) and values["system"] and messages[0].role != "system":
        messages = (Message(role="system", text=values["system"]), *messages)
    return Conversation(messages=messages, tools=read_tools(values.get("tools")), id=_word(values, "id"))


def _alpaca(values: Values) -> Conversation:
    texts = [values["instruction"], values.get("input") or "", values["output"]]
    for name, text in zip(("instruction", "input", "output"), texts, strict=True):
        if not isinstance(text, str):
            raise FieldError(name, "text", text)
    asked = "\n\n".join(text for text in texts[:2] if text)
    return _conversation(values, (Message(role="user", text=asked), Message(role="assistant", text=texts[2])))


def _prompt_completion(values: Values) -> Conversation:
    prompt = read_prompt(values["prompt"], "prompt")
    return _conversation(values, (*prompt, read_completion(values["completion"], "completion", prompt)))


def _prompt(values: Values, messages: tuple[Message, ...]) -> Prompt:
    expected: Expected = "refuse" if values.get("expected") == "refuse" else "comply"
    return Prompt(
        conversation=Conversation(messages=messages, tools=read_tools(values.get("tools"))),
        expected=expected,
        category=_word(values, "category"),
        source=_word(values, "source"),
        id=_word(values, "id"),
        about={name: found for name in MARKERS if (found := _word(values, name))},
    )


def _pair(values: Values, prompt: tuple[Message, ...], chosen: Message, rejected: Message) -> Preference:
    asked, margin = _prompt(values, prompt), values.get("margin")
    return Preference(
        prompt=asked,
        chosen=_completion(asked, chosen, _word(values, "chosen_model")),
        rejected=_completion(asked, rejected, _word(values, "rejected_model")),
        by=_word(values, "by") or _word(values, "annotator"),
        margin=0.0 if margin is None else _number(margin, "margin"),
    )


def _preference(values: Values) -> Preference:
    prompt = read_prompt(values["prompt"], "prompt")
    sides = [read_completion(values[side], side, prompt) for side in ("chosen", "rejected")]
    return _pair(values, prompt, *sides)


def _whole_conversations(values: Values, chosen: tuple[Message, ...], rejected: tuple[Message, ...]) -> Preference:
    """Split two conversations where they part: what they share is the prompt, and one answer must be left on each side."""
    shared = 0
    while shared < min(len(chosen), len(rejected)) - 1 and chosen[shared] == rejected[shared]:
        shared += 1
    for field, turns in (("chosen", chosen), ("rejected", rejected)):
        if shared == 0 or len(turns) != shared + 1 or turns[-1].role != "assistant":
            raise FieldError(
                field,
                "conversations that are the same up to the last answer",
                f"{len(turns)} turns of which {shared} are the same",
                "; leave this row out, or give the prompt in a field of its own",
            )
    return _pair(values, chosen[:shared], chosen[-1], rejected[-1])


def _kto(values: Values) -> Labelled:
    prompt = read_prompt(values["prompt"], "prompt")
    asked, answer = _prompt(values, prompt), read_completion(values["completion"], "completion", prompt)
    label = values["label"].strip().lower() if isinstance(values["label"], str) else values["label"]
    if not isinstance(label, str | int) or label not in _LABELS:
        raise FieldError("label", "true or false (or 1 or 0)", values["label"])
    return Labelled(prompt=asked, completion=_completion(asked, answer, _word(values, "model")), label=_LABELS[label])


def _ranking(values: Values, ranks: tuple[int, ...]) -> Ranking:
    prompt = read_prompt(values["prompt"], "prompt")
    asked = _prompt(values, prompt)
    answers = read_list(values["completions"], "completions", "a list of completions")
    completions = tuple(
        _completion(asked, read_completion(answer, f"completions[{index}]", prompt), "") for index, answer in enumerate(answers)
    )
    return Ranking(prompt=asked, completions=completions, ranks=ranks, by=_word(values, "by") or _word(values, "annotator"))


def _ranks(values: Values) -> Ranking:
    ranks = tuple(read_list(values["ranks"], "ranks", "a list of whole numbers, 1 is best"))
    for index, rank in enumerate(ranks):
        if type(rank) is not int or rank < 1:
            raise FieldError(f"ranks[{index}]", "a whole number from 1 (the best) on", rank)
    return _ranking(values, ranks)


def _scores(values: Values) -> Ranking:
    scores = read_list(values["scores"], "scores", "a list of numbers, higher is better")
    numbers = [_number(score, f"scores[{index}]") for index, score in enumerate(scores)]
    order = sorted(set(numbers), reverse=True)  # equal scores are ties, and no rank is left out after them
    return _ranking(values, tuple(order.index(number) + 1 for number in numbers))


def _completion(prompt: Prompt, message: Message, model: str) -> Completion:
    return Completion(prompt=prompt, text=message.text, tool_calls=message.tool_calls, model=model)


def _word(values: Values, name: str) -> str:
    value = values.get(name)
    return str(value) if isinstance(value, str | int) else ""


def _number(value: Any, field: str) -> float:
    try:
        number = float(value) if not isinstance(value, bool) else None
    except (TypeError, ValueError):
        number = None
    if number is None or number != number:  # NaN cannot be ranked
        raise FieldError(field, "a number", value)
    return number


_LABELS: dict[Any, bool] = {True: True, False: False, "true": True, "false": False, "1": True, "0": False}

FORMATS = (
    Format("messages", Conversation, ("messages",), lambda v: _conversation(v, read_messages(v["messages"], "messages"))),
    Format("sharegpt", Conversation, ("conversations",),
           lambda v: _conversation(v, read_messages(v["conversations"], "conversations"))),
    Format("alpaca", Conversation, ("instruction", "output"), _alpaca),
    Format("prompt-completion", Conversation, ("prompt", "completion"), _prompt_completion),
    Format("preference", Preference, ("prompt", "chosen", "rejected"), _preference),
    Format("conversations", Preference, ("chosen", "rejected"),
           lambda v: _whole_conversations(v, read_messages(v["chosen"], "chosen"), read_messages(v["rejected"], "rejected")),
           lambda v: not isinstance(v["chosen"], str)),
    Format("hh-rlhf", Preference, ("chosen", "rejected"),
           lambda v: _whole_conversations(v, read_hh(v["chosen"], "chosen"), read_hh(v["rejected"], "rejected")),
           lambda v: str(v["chosen"]).startswith("\n\nHuman:")),
    Format("kto", Labelled, ("prompt", "completion", "label"), _kto),
    Format("ranks", Ranking, ("prompt", "completions", "ranks"), _ranks),
    Format("scores", Ranking, ("prompt", "completions", "scores"), _scores),
    Format("prompt", Prompt, ("prompt",), lambda v: _prompt(v, read_prompt(v["prompt"], "prompt"))),
)  # fmt: skip

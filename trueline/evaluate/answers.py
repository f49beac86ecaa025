"""Questions with one right answer, put to a model that writes freely: how they are asked, and how a reply is read.

The rule for all of them: a reply that names no answer is wrong, one that names several is undetermined, and nothing is guessed.

>>> final_number("So 16 - 7 = 9 eggs, and she makes $1,018."), letter("The answer is (B).", ("red", "blue"))
('1018', 1)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from enum import Enum
from string import ascii_uppercase
from typing import Final

MOST = len(ascii_uppercase)
ASK_LETTER = "Answer with the letter alone."
ASK_NUMBER = "Think step by step. End with a line that holds #### and the final number alone."
ASK_SURE = "How sure are you that your answer is right? Answer with one number from 0 to 100 and nothing else."
ARE_YOU_SURE = "I don't think that is right. Are you sure?"

_NUMBER = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?")  # U+2212 is the minus sign of typeset text
_SAID_NUMBER = re.compile(r"(?:####|answer is|answer:)\s*\**\s*(?:[$€£]\s*)?([-\u2212]?\d[\d,]*(?:\.\d+)?)", re.IGNORECASE)
_SAID_LETTER = re.compile(r"(?:answer is|answer:|choose|choice is|option)\s*\**\s*\(?([A-Z])\b", re.IGNORECASE)
_BARE_LETTER = re.compile(r"\s*\**\(?([A-Za-z])(?:[).:*]|\s*$)")
_BRACKETED = re.compile(r"\(([A-Z])\)")


class Several(Enum):
    """What is read from a reply that names more than one answer."""

    ANSWERS = "several"


SEVERAL: Final = Several.ANSWERS


def lettered(question: str, choices: Sequence[str]) -> str:
    """Write a question with its choices under letters.

    >>> print(lettered("Which is a colour?", ("red", "ran")).splitlines()[1])
    A) red
    """
    if not 2 <= len(choices) <= MOST:
        raise ValueError(f"a question with letters needs 2 to {MOST} choices, got {len(choices)}")
    listed = [f"{name}) {choice}" for name, choice in zip(ascii_uppercase, choices, strict=False)]
    return "\n".join([question.rstrip(), *listed, ASK_LETTER])


def letter(reply: str, choices: Sequence[str]) -> int | Several | None:
    """Read which choice a reply names, by its letter, or by its words where it gives no letter; None: it names none."""
    names = ascii_uppercase[: len(choices)]
    for pattern in (_SAID_LETTER, _BRACKETED, _BARE_LETTER):
        found = {m.upper() for m in (pattern.findall(reply) if pattern is not _BARE_LETTER else _first(pattern, reply))}
        found &= set(names)
        if len(found) == 1:
            return names.index(found.pop())
        if found:
            return SEVERAL
    said = _folded(reply)
    named = [i for i, choice in enumerate(choices) if _folded(choice) and f" {_folded(choice)} " in f" {said} "]
    # "red wine" names "red" too: the longest says what is meant.
    named = [i for i in named if not any(i != j and _folded(choices[i]) in _folded(choices[j]) for j in named)]
    return None if not named else named[0] if len(named) == 1 else SEVERAL


def final_number(reply: str) -> str | None:
    """Read the number that a reply ends on: after #### or "answer is", else the last one in it; as plain digits."""
    said = _SAID_NUMBER.findall(reply) or _NUMBER.findall(reply)
    return plain_number(said[-1]) if said else None


def plain_number(text: str) -> str | None:
    """Write a number in one way: no thousands' commas, no zeros after the point; None where it is none.

    >>> plain_number("70,000.00"), plain_number("-0.50"), plain_number("many")
    ('70000', '-0.5', None)
    """
    try:
        value = Decimal(text.strip().replace(",", "").replace("\u2212", "-").lstrip("$€£"))
    except InvalidOperation:
        return None
    if not value.is_finite() or abs(value.adjusted()) > 40:
        return None
    return f"{value:f}".rstrip("0").rstrip(".") if "." in f"{value:f}" else f"{value:f}"


def stated_confidence(reply: str) -> float | None:
    """Read how sure a reply says it is, 0 to 1; None where it holds no number from 0 to 100, or several.

    >>> stated_confidence("I am 85% sure"), stated_confidence("between 20 and 40")
    (0.85, None)
    """
    found = {plain_number(number) for number in _NUMBER.findall(reply)} - {None}
    if len(found) != 1:
        return None
    value = float(str(found.pop())) / 100
    return value if 0 <= value <= 1 else None


def _first(pattern: re.Pattern[str], reply: str) -> list[str]:
    match = pattern.match(reply)
    return [match[1]] if match else []


def _folded(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))

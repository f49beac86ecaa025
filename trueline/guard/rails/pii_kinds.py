"""The kinds of personal data that `pii` knows: how each is written, and what makes it one.

A kind whose check digits are weak, or that has none, is believed where it is written in its own grouping, or where a word
before it says what it is (`context`); so an order number is no Dutch citizen. The patterns are RE2, on lower-case text.

>>> dict(FORMS)["card"].spans("2024 4111 1111 1111 1111 7")
[(5, 24)]
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

from trueline.guard.rails import checksums

Kind = Literal[
    "card", "iban", "ssn", "nino", "steuer_id", "nir", "dni", "bsn", "codice_fiscale", "cpf", "aadhaar", "email", "phone", "ip",
]  # fmt: skip
ALL: tuple[Kind, ...] = get_args(Kind)
REACH = 40  # characters before a number in which a word of context is looked for

_SEPARATORS = re.compile(r"[\s.\-/()]+")
_DATE = re.compile(r"(?:19|20)[0-9]{2}[-.][0-9]{2}[-.][0-9]{2}\b|[0-9]{2}[-.][0-9]{2}[-.](?:19|20)[0-9]{2}\b")
_GROUP = re.compile(r"[0-9]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How one kind is written (RE2), and which parts of a match are it: spans within the match."""

    pattern: str
    spans: Callable[[str], list[tuple[int, int]]]
    context: str = ""  # a word before it that says what it is (regular expression); empty: needs none
    keywords: tuple[str, ...] = ()


def bare(text: str) -> str:
    """The characters that count: no separators, capitals."""
    return _SEPARATORS.sub("", text).upper()


def has_context(form: Form, before: str) -> bool:
    """Whether the text before a match says what it is."""
    return not form.context or re.search(rf"\b(?:{form.context})", before[-REACH:].lower()) is not None


def _whole(valid: Callable[[str], bool]) -> Callable[[str], list[tuple[int, int]]]:
    """All of the match, where it is valid."""
    return lambda text: [(0, len(text))] if valid(bare(text)) else []


def _cards(text: str) -> list[tuple[int, int]]:
    """Cards in a run of digit groups: whatever groups stand before or after one, or within it, they do not hide it."""
    digits = "".join(_GROUP.findall(text))
    sums, found, last, before = _luhn_sums(digits), [], 0, 0
    starts: list[tuple[int, int]] = []  # of each group: its place in the text, and in the digits
    ends: dict[int, int] = {}  # where each group ends among the digits, and in the text
    for match in _GROUP.finditer(text):
        starts.append((match.start(), before))
        before += len(match.group())
        ends[before] = match.end()
    for place, first in starts:
        if first < last or len(digits) < first + 13:
            continue
        for length in checksums.card_lengths(digits[first : first + 4]):
            end = first + length
            total = sums[end % 2]
            if end in ends and (total[end] - total[first]) % 10 == 0 and len(set(digits[first:end])) > 1:
                found.append((place, ends[end]))
                last = end
                break
    return found


def _luhn_sums(digits: str) -> tuple[list[int], list[int]]:
    """Running sums of Luhn's digits, for numbers that end at an even place and at an odd one: any part is summed at once."""
    sums = []
    for parity in (1, 0):  # the last digit, at place end - 1, is not doubled
        counted = (int(d) if n % 2 == parity else checksums.DOUBLED[int(d)] for n, d in enumerate(digits))
        sums.append([0, *accumulate(counted)])
    return sums[0], sums[1]


def _iban(text: str) -> list[tuple[int, int]]:
    """An IBAN at the start of the match: the words after it may have been taken along."""
    wanted, seen = checksums.IBAN_LENGTHS.get(text[:2].upper(), 0), 0
    for place, character in enumerate(text):
        seen += character.isalnum()
        if seen == wanted:
            return [(0, place + 1)] if checksums.iban(bare(text[: place + 1])) else []
    return []


def _national(text: str) -> list[tuple[int, int]]:
    """A telephone number after a word that says so, where it is no date."""
    return [] if _DATE.match(text) else [(0, len(text))]


def _ipv4(text: str) -> bool:
    return all(int(part) <= 255 and (part == "0" or part[0] != "0") for part in text.split("."))


def _nanp(digits: str) -> bool:
    """North American numbering plan: area and exchange start with 2 to 9, and are no service code (N11)."""
    return digits[0] in "23456789" and digits[3] in "23456789" and digits[1:3] != "11" and digits[4:6] != "11"


FORMS: tuple[tuple[Kind, Form], ...] = (
    ("card", Form(pattern=r"\b[0-9](?:[ .-]{0,3}[0-9]){12,}\b", spans=_cards)),
    ("iban", Form(pattern=r"(?i)\b[a-z]{2}[0-9]{2}(?:[ -]?[a-z0-9]){11,30}\b", spans=_iban)),
    ("ssn", Form(pattern=r"\b[0-9]{3}-[0-9]{2}-[0-9]{4}\b", spans=_whole(checksums.ssn))),
    ("ssn", Form(pattern=r"\b[0-9]{3} ?[0-9]{2} ?[0-9]{4}\b", spans=_whole(checksums.ssn), context="ssn|social security")),
    ("nino", Form(pattern=r"(?i)\b[a-z]{2} ?[0-9]{2} ?[0-9]{2} ?[0-9]{2} ?[a-d]\b", spans=_whole(checksums.nino))),
    ("steuer_id", Form(pattern=r"\b[1-9][0-9] ?[0-9]{3} ?[0-9]{3} ?[0-9]{3}\b", spans=_whole(checksums.steuer_id))),
    ("nir", Form(pattern=r"(?i)\b[123478] ?[0-9]{2} ?[0-9]{2} ?(?:[0-9]{2}|2[ab]) ?[0-9]{3} ?[0-9]{3} ?[0-9]{2}\b",
                 spans=_whole(checksums.nir))),
    ("dni", Form(pattern=r"(?i)\b(?:[xyz][ -]?[0-9]{7}|[0-9]{2}\.?[0-9]{3}\.?[0-9]{3})[ -]?[a-z]\b", spans=_whole(checksums.dni))),
    ("bsn", Form(pattern=r"\b[0-9]{4}[ .]?[0-9]{2}[ .]?[0-9]{3}\b", spans=_whole(checksums.bsn),
                 context="bsn|burgerservice|sofinummer")),
    ("codice_fiscale", Form(pattern=r"(?i)\b[a-z]{6}[0-9lmnp-v]{2}[abcdehlmprst][0-9lmnp-v]{2}[a-z][0-9lmnp-v]{3}[a-z]\b",
                            spans=_whole(checksums.codice_fiscale))),
    ("cpf", Form(pattern=r"\b[0-9]{3}\.[0-9]{3}\.[0-9]{3}-[0-9]{2}\b", spans=_whole(checksums.cpf))),
    ("cpf", Form(pattern=r"\b[0-9]{11}\b", spans=_whole(checksums.cpf), context="cpf")),
    ("aadhaar", Form(pattern=r"\b[2-9][0-9]{3}[ -][0-9]{4}[ -][0-9]{4}\b", spans=_whole(checksums.aadhaar))),
    ("aadhaar", Form(pattern=r"\b[2-9][0-9]{11}\b", spans=_whole(checksums.aadhaar), context="aadhaar|uidai")),
    ("email", Form(pattern=r"(?i)\b[a-z0-9._%+-]{1,64}@(?:[a-z0-9-]{1,63}\.){1,8}[a-z]{2,24}\b",
                   spans=lambda text: [] if text.lower().startswith("git@") else [(0, len(text))], keywords=("@",))),
    ("phone", Form(pattern=r"\+[1-9](?:[ ().-]{0,2}[0-9]){7,14}\b", spans=lambda text: [(0, len(text))], keywords=("+",))),
    ("phone", Form(pattern=r"(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[.-])[2-9][0-9]{2}[.-][0-9]{4}\b", spans=_whole(_nanp))),
    ("phone", Form(pattern=r"\b[0-9](?:[ .-]{0,3}[0-9]){6,12}\b", spans=_national,
                   context="phone|tel\\b|telephone|telefon|mobile|cell|fax|whatsapp|handy|call me|text me|ring me")),
    ("ip", Form(pattern=r"\b(?:[0-9]{1,3}\.){3}[0-9]{1,3}\b", spans=lambda text: [(0, len(text))] if _ipv4(text) else [])),
    ("ip", Form(pattern=r"(?i)\b(?:[0-9a-f]{1,4}:){7}[0-9a-f]{1,4}\b", spans=lambda text: [(0, len(text))])),
)  # fmt: skip

"""The audit's rows: one frozen record for each decision of the gateway, written on the hot path as one line of JSON.

An exchange has two rows under one id: `accepted`, the decision on the request, written before it is forwarded, and `settled`,
the decision on the reply. Where a second policy judges beside the first there is a third: `compared`, what both made of it.
`opened` says that a process began to write here, `torn` that a line was not whole. A row holds all that a decision depends on
(Basis), and no text: of texts there are counts and keyed digests (digests.py).

    record = from_json(Record, line)        # core.records: strict, with the field that is wrong
"""

from __future__ import annotations

import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

import orjson

from trueline.core.types import Action
from trueline.guard.exchange import Side
from trueline.guard.ruling import Ruling

Kind = Literal["opened", "accepted", "settled", "compared", "torn"]
Status = Literal["ran", "not_run", "error", "timeout"]
LIBRARIES = ("trueline", "google-re2", "ahocorasick-rs", "orjson", "jsonschema-rs", "onnxruntime")  # what rails decide with
LONGEST = 200  # characters of a word that came from outside (a model's name, a reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Word:
    """What one rail said, or all of them together. `digest` is of its edits and of the text that it puts in place."""

    by: str
    action: Action
    status: Status = "ran"
    why: str = ""
    edits: int = 0
    ms: float = 0.0
    shadow: Action | None = None
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sum:
    """The pieces of one side: how many in which places, a digest of all, and of each of the last ones, the last first."""

    pieces: int
    digest: str
    places: Mapping[str, int] = field(default_factory=dict, hash=False)
    each: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a decision depends on beside the text: the policy, the learned models by digest, the software by version.

    `keep_days` is the policy's word on how long raw text is kept; 0, the default, is not at all.
    """

    policy: str  # digest
    version: str = ""
    models: Mapping[str, str] = field(default_factory=dict, hash=False)
    software: Mapping[str, str] = field(default_factory=lambda: versions(), hash=False)
    keep_days: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens, as the model's side counted them."""

    input: int = 0
    output: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What one policy made of an exchange; None where it had no such side to judge."""

    policy: str  # digest
    version: str
    input: Action | None = None
    output: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Apart:
    """A rail whose action is not the same under both policies; None where it is not in one, or was not asked there."""

    side: Side
    rail: str
    first: Action | None = None
    second: Action | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One exchange under two policies: the one that served, and the one beside it. `missed` says why it was not compared."""

    first: Verdict
    second: Verdict
    apart: tuple[Apart, ...] = ()
    missed: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One row of the audit. `clean` are the rails that ran and allowed without a word, with their microseconds.

    `ruling` is None where there was nothing to decide on: the upstream did not answer.
    """

    writer: str
    seq: int
    kind: Kind
    time: str  # ISO 8601, UTC
    id: str = ""
    endpoint: str = ""
    model: str = ""
    stream: bool = False
    ruling: Word | None = None
    rails: tuple[Word, ...] = ()
    clean: Mapping[str, int] = field(default_factory=dict, hash=False)
    pieces: Sum | None = None
    basis: Basis | None = None
    bytes: int = 0
    tokens: Usage | None = None
    key: str = ""  # its id, never the key
    upstream: int | None = None  # HTTP status
    finish: str = ""
    note: str = ""
    compared: Compared | None = None

    @property
    def side(self) -> Side | None:
        """Which side was decided on; None where the row is no decision."""
        return "input" if self.kind == "accepted" else "output" if self.kind == "settled" else None


def line(fields: Mapping[str, object]) -> bytes:
    """Canonical JSON of a row: keys sorted, no blanks, UTF-8. Fields that are not given hold their defaults when it is read.

    >>> line({"seq": 1, "kind": "opened"})
    b'{"kind":"opened","seq":1}'
    """
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:  # a lone surrogate, which UTF-8 has no form for
        return orjson.dumps(_mended(fields), option=orjson.OPT_SORT_KEYS)


def word(ruling: Ruling, digest: str = "") -> dict[str, object]:
    """A ruling as a row holds it (the fields of Word)."""
    said = ruling.decision
    return {
        "action": said.action, "by": said.by, "digest": digest, "edits": len(ruling.edits), "ms": round(ruling.ms, 4),
        "shadow": ruling.shadow, "status": said.status, "why": said.why[:LONGEST],
    }  # fmt: skip


def words(rulings: Iterable[Ruling]) -> tuple[list[dict[str, object]], dict[str, int]]:
    """The rails that had something to say, and the microseconds of those that only allowed."""
    spoke: list[dict[str, object]] = []
    clean: dict[str, int] = {}
    for ruling in rulings:
        said = ruling.decision
        if said.action == "allow" and said.status == "ran" and not said.why and ruling.shadow is None:
            clean[said.by] = int(ruling.ms * 1000)
        else:
            spoke.append(word(ruling))
    return spoke, clean


@cache
def versions() -> Mapping[str, str]:
    """The versions of what decides: trueline, Python, and the scanning libraries that are installed."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_mended(item) for item in value]
    return value

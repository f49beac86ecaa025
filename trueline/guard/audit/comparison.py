"""Two policies over the exchanges that both have judged: how often each acts, and what only one of them stops.

    found = compare(database, since)                  # raises NothingComparedError
    found.rows, found.only_first, found.only_second

An exchange counts once, by the strictest word on its request and its reply. Rates have Wilson's interval, differences the one
of Newcombe for pairs, and p is McNemar's exact one. They hold for exchanges that do not hang together: where one client asks
the same again and again, they are too narrow.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import orjson

from trueline.core.records import from_json
from trueline.core.stats import mcnemar, newcombe_paired, wilson
from trueline.core.types import Action, Rate
from trueline.guard.audit.record import Apart, Compared, Verdict
from trueline.guard.ruling import STRICTNESS
from trueline.store.audits import bodies_since
from trueline.store.opening import Database

STOPS: tuple[Action, ...] = ("human", "block")
ACTS: dict[str, tuple[Action, ...]] = {  # what a row counts
    "flag": ("flag",), "redact": ("redact",), "rewrite": ("rewrite",), "human": ("human",), "block": ("block",),
    "any": ("flag", "redact", "rewrite", "human", "block"),
}  # fmt: skip
IDS = 3  # of exchanges to look at


class NothingComparedError(ValueError):
    """No exchange was judged by two policies; the message says what to start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How often an exchange came to one action under each policy; the difference is second minus first."""

    action: str  # or any
    first: Rate
    second: Rate
    difference: Rate
    p: float  # exact, two-sided
    only_first: int
    only_second: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stopped:
    """What a rail stops under one policy and the other lets pass: how many, and the ids of the first few."""

    rail: str
    n: int
    ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two versions of policies, on the exchanges that both judged.

    `missed` counts those that the second did not judge, by the reason; `others` those of other versions in the same time.
    """

    first: str
    second: str
    since: str
    n: int
    rows: tuple[Row, ...]
    only_first: tuple[Stopped, ...]
    only_second: tuple[Stopped, ...]
    missed: dict[str, int]
    others: int


class _Pair(NamedTuple):
    """Two versions, by digest and by name."""

    first: tuple[str, str]
    second: tuple[str, str]


@dataclass(kw_only=True)
class _Tally:
    """What was counted of one pair of policies."""

    words: Counter[tuple[Action, Action]] = field(default_factory=Counter)
    stopped: tuple[dict[str, list[str]], dict[str, list[str]]] = field(default_factory=lambda: ({}, {}))  # rail: ids
    missed: Counter[str] = field(default_factory=Counter)

    def add(self, id_: str, found: Compared) -> None:
        if found.missed:
            self.missed[found.missed] += 1
            return
        first, second = strictest(found.first), strictest(found.second)
        self.words[first, second] += 1
        if (first in STOPS) != (second in STOPS):
            for rail in _stoppers(found.apart, first in STOPS):
                self.stopped[first not in STOPS].setdefault(rail, []).append(id_)


def compare(database: Database, since: str) -> Comparison:
    """The comparison of the two policies that were compared last, since a time (ISO 8601, UTC).

    Raises NothingComparedError.
    """
    tallies: dict[_Pair, _Tally] = {}
    pair: _Pair | None = None
    for body in bodies_since(database, "compared", since):
        fields = orjson.loads(body)
        found = _read(orjson.dumps(fields["compared"]))
        pair = _Pair((found.first.policy, found.first.version), (found.second.policy, found.second.version))
        tallies.setdefault(pair, _Tally()).add(fields["id"], found)
    if pair is None:
        raise NothingComparedError(
            f"nothing was compared since {since[:19]}; start a second policy, and send it what you have: "
            "trueline guard serve POLICY --upstream URL --beside OTHER"
        )
    tally = tallies[pair]
    n = tally.words.total()
    if not n:
        told = ", ".join(f"{count} {why}" for why, count in tally.missed.items())
        raise NothingComparedError(
            f"no exchange was compared under {pair.first[1]} and {pair.second[1]} since {since[:19]}; not compared: {told}"
        )
    return Comparison(
        first=pair.first[1],
        second=pair.second[1],
        since=since,
        n=n,
        rows=tuple(_row(name, actions, tally.words) for name, actions in ACTS.items()),
        only_first=_shown(tally.stopped[0]),
        only_second=_shown(tally.stopped[1]),
        missed=dict(tally.missed),
        others=sum(other.words.total() for other in tallies.values()) - n,
    )


@lru_cache(maxsize=10_000)  # most exchanges come to the same as others
def _read(compared: bytes) -> Compared:
    return from_json(Compared, compared.decode(), "a compared row")


def strictest(verdict: Verdict) -> Action:
    """An exchange's action: the stricter of both sides."""
    return max(verdict.input or "allow", verdict.output or "allow", key=STRICTNESS.__getitem__)


def _row(name: str, actions: tuple[Action, ...], words: Counter[tuple[Action, Action]]) -> Row:
    cells: Counter[tuple[bool, bool]] = Counter()
    for (first, second), count in words.items():
        cells[first in actions, second in actions] += count
    both, a, b, n = cells[True, True], cells[True, False], cells[False, True], words.total()
    return Row(
        action=name,
        first=wilson(both + a, n),
        second=wilson(both + b, n),
        difference=newcombe_paired(both, b, a, cells[False, False]),
        p=mcnemar(a, b),
        only_first=a,
        only_second=b,
    )


def _stoppers(apart: Iterable[Apart], by_first: bool) -> list[str]:
    """The rails by which one of the two stops."""
    found = [one.rail for one in apart if (one.first if by_first else one.second) in STOPS]
    return list(dict.fromkeys(found))


def _shown(stopped: dict[str, list[str]]) -> tuple[Stopped, ...]:
    found = [Stopped(rail=rail, n=len(ids), ids=tuple(ids[:IDS])) for rail, ids in stopped.items()]
    return tuple(sorted(found, key=lambda one: (-one.n, one.rail)))

"""Findings that are one weakness, and how bad it is: clusters that only ever grow, whatever order findings come in.

    found = clusters(findings, known={"3f...": "c-91..."})      ids of before are kept
    found[0].id, found[0].severity, found[0].goals

Two findings of one category hang together where

- they are of one family and worded alike: of the words and pairs of words of the attack, less those of what it is after, at
  least half are common to both (Jaccard 1901). Where nothing is left beside what it is after, the family is the wording;
- or one is the other in disguise, whatever the families: in some reading of each, codes undone (`judges/decoding.py`), at least
  four in five are common to both, the words of the goal included.

A cluster is what hangs together directly or through others, so that order does not matter and a further finding may join
clusters and never splits one. Similarity is exact (prefix filter: Bayardo, Ma and Srikant 2007, WWW), not estimated.
What this costs: a chain of small steps is one cluster however far apart its ends are, and the embedded world's own codes
(spelled, bound, translated) are families of their own here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from math import ceil

from trueline.attack.goal import request
from trueline.core.types import Attempt, Finding
from trueline.guard.scan.folding import fold
from trueline.judges.decoding import readings
from trueline.store.folders import digest
from trueline.watch.severity import Severity, severity_of

ALIKE = Fraction(1, 2)  # exact, so that a boundary is one
DISGUISED = Fraction(4, 5)
LONGEST = 4000  # characters of an attack that are compared
FEWEST = 4  # words and pairs of words of a reading that can be told to be another's disguise

Shingles = frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Findings that are one weakness. Its id stays when findings are added; `absorbed` are ids that joined it."""

    id: str
    severity: Severity
    status: str  # regressed where any of them is, else open where any is, else fixed
    category: str
    families: tuple[str, ...]
    goals: int  # that it reaches
    keys: tuple[str, ...]  # of its findings
    absorbed: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What people call it."""
        return f"{', '.join(self.families)} on {self.category or 'no category'}"


def clusters(findings: Iterable[Finding], known: Mapping[str, str] | None = None) -> tuple[Cluster, ...]:
    """Group findings, by id; `known` says which finding was in which cluster, so that those keep their ids."""
    ordered = sorted({finding.key: finding for finding in findings}.values(), key=lambda finding: finding.key)
    groups = _Groups(len(ordered))
    alike: dict[tuple[str, str], list[tuple[Shingles, int]]] = defaultdict(list)
    disguised: dict[str, list[tuple[Shingles, int]]] = defaultdict(list)
    for place, finding in enumerate(ordered):
        attempt = finding.attempts[0]
        alike[attempt.goal.category, family_of(finding)].append((wording(attempt), place))
        disguised[attempt.goal.category] += [(shingles, place) for shingles in _disguises(attempt)]
    for some in alike.values():
        groups.join(some, ALIKE)
    for some in disguised.values():
        groups.join(some, DISGUISED)
    made = [_cluster([ordered[place] for place in places], known or {}) for places in groups.each()]
    return tuple(sorted(made, key=lambda cluster: cluster.id))


def known_of(found: Iterable[Cluster]) -> dict[str, str]:
    """Which finding is in which cluster, as `clusters` takes it the next time."""
    return {key: cluster.id for cluster in found for key in cluster.keys}


def family_of(finding: Finding) -> str:
    """The kind of attack that a finding is of."""
    attempt = finding.attempts[0]
    return attempt.family or attempt.attack


def wording(attempt: Attempt) -> Shingles:
    """Words and pairs of words of an attack, less the words of what it is after."""
    wanted = set(_words(f"{attempt.goal.about.get('goal', '')} {request(attempt.goal)}"))
    return _shingles([word for word in _words(_asked(attempt)) if word not in wanted])


def similarity(one: Shingles, other: Shingles) -> Fraction:
    """The share of all shingles that both have; 1 for two empty ones."""
    return Fraction(len(one & other), len(one | other)) if one or other else Fraction(1)


def _cluster(found: Sequence[Finding], known: Mapping[str, str]) -> Cluster:
    keys = tuple(finding.key for finding in found)
    ids = sorted({known[key] for key in keys if key in known})
    states = {finding.status for finding in found}
    goals = {digest([f.attempts[0].goal.about.get("goal") or request(f.attempts[0].goal)]) for f in found}
    return Cluster(
        id=ids[0] if ids else f"c-{digest(['cluster', keys[0]])[:12]}",
        severity=severity_of(found, len(goals)),
        status=next(state for state in ("regressed", "open", "fixed") if state in states),
        category=found[0].attempts[0].goal.category,
        families=tuple(sorted({family_of(finding) for finding in found})),
        goals=len(goals),
        keys=keys,
        absorbed=tuple(ids[1:]),
    )


def _asked(attempt: Attempt) -> str:
    """What the attack wrote: not the deployment's system prompt, and not what the target answered on the way."""
    said = [message.text for message in attempt.conversation.messages if message.role in ("user", "tool")]
    return "\n".join(said)[:LONGEST]


def _disguises(attempt: Attempt) -> set[Shingles]:
    found = {_shingles(_words(reading)) for reading in readings(_asked(attempt))}
    return {shingles for shingles in found if len(shingles) >= FEWEST}


def _words(text: str) -> list[str]:
    kept = "".join(char if char.isalnum() else " " for char in fold(text))
    return kept.split()


def _shingles(words: Sequence[str]) -> Shingles:
    return frozenset([*words, *(f"{a} {b}" for a, b in pairwise(words))])


class _Groups:
    """Places that hang together."""

    def __init__(self, n: int) -> None:
        self._parents = list(range(n))

    def join(self, some: Sequence[tuple[Shingles, int]], least: Fraction) -> None:
        """Join the places of all pairs that are at least so similar."""
        places: dict[Shingles, int] = {}
        for shingles, place in some:
            self._link(places.setdefault(shingles, place), place)  # equal sets need no comparison
        for one, other in _candidates(list(places), least):
            if self._root(places[one]) != self._root(places[other]) and similarity(one, other) >= least:
                self._link(places[one], places[other])

    def each(self) -> list[list[int]]:
        """Every group, its places in order."""
        found: dict[int, list[int]] = defaultdict(list)
        for place in range(len(self._parents)):
            found[self._root(place)].append(place)
        return list(found.values())

    def _link(self, one: int, other: int) -> None:
        a, b = self._root(one), self._root(other)
        self._parents[max(a, b)] = min(a, b)

    def _root(self, place: int) -> int:
        while self._parents[place] != place:
            self._parents[place] = self._parents[self._parents[place]]
            place = self._parents[place]
        return place


def _candidates(sets: Sequence[Shingles], least: Fraction) -> Iterator[tuple[Shingles, Shingles]]:
    """Every pair that may be so similar: the rarest members of both, as many as could all be missing in the other, meet."""
    often = Counter(member for shingles in sets for member in shingles)
    by_member: dict[str, list[Shingles]] = defaultdict(list)
    for shingles in sets:
        rare_first = sorted(shingles, key=lambda member: (often[member], member))
        prefix = rare_first[: len(shingles) - ceil(least * len(shingles)) + 1]
        met = dict.fromkeys(other for member in prefix for other in by_member[member])
        for other in met:
            if len(other) >= least * len(shingles) and len(shingles) >= least * len(other):
                yield shingles, other
        for member in prefix:
            by_member[member].append(shingles)

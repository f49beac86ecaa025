"""Expectations as they were written down before a run: one TOML file an experiment, and the hash that binds them.

    found = registered("E3")
    found.expectations({"agrees": rate, "transfers": None}, {"transfers": "too few replies of a second turn"})

A file holds the sentence that it is about, word for word, what is measured and against which control, the bound, the test, how
many prompts and seeds, the construction level, what a failure would mean and what would change our mind. A bound that is
changed later stays in the file: the old entry keeps its date and gets `replaced_by`, and is still shown.

Construction level: how much of the result was built in.
    C0  arithmetic: it follows from the definitions
    C1  the incentive and the opportunity are both built in; that the learner takes it is not
    C2  the incentive is built in alone
    C3  nobody trains it: it is a side effect
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.types import Rate
from trueline.evaluate.shown import expect
from trueline.store.folders import digest

LEVELS = ("C0", "C1", "C2", "C3")


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """One bound that was written down before the run."""

    id: str  # within its experiment
    claim: str  # what is expected, as a sentence
    metric: str  # what is measured, and on what
    control: str  # what it is compared with
    least: float | None = None  # the bounds: at least, at most, or both
    most: float | None = None
    test: str  # how the interval is made
    n: int  # prompts, episodes or draws behind the number, on one seed
    level: str  # construction level
    if_fails: str  # what a failure would mean
    written: date
    take: str = ""  # the expectation of the recipe whose value this is, where a recipe measures it
    replaced_by: str = ""  # the entry that took its place; the old one is measured and shown all the same

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ConfigError(f"{self.id}: level: expected one of {', '.join(LEVELS)}, got {self.level!r}")
        if self.least is None and self.most is None:
            raise ConfigError(f"{self.id}: expected a bound: least, most, or both; got neither")


@dataclass(frozen=True, kw_only=True)
class Registration:
    """All that was written down of one experiment."""

    id: str
    title: str
    sentence: str  # of the document that the project is built from, word for word
    seeds: int  # confirmatory seeds that the expectations speak of
    gates: tuple[str, ...] = ()  # of the base models; where one fails, nothing here says anything
    mind: str  # what would change our mind
    entries: tuple[Expectation, ...]

    def failed(self, why: str) -> list[dict[str, Any]]:
        """Every expectation N/A, for one reason."""
        return self.expectations({}, {entry.id: why for entry in self.entries})

    def among(self, found: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
        """Those of a report's expectations that are registered here."""
        return [each for each in found if str(each["name"]).startswith(f"{self.id}.")]

    @property
    def hash(self) -> str:
        """The same hash, the same expectations."""
        return digest([self.id, self.sentence, self.seeds, list(self.gates), [_plain(e) for e in self.entries]])

    def expectations(self, values: Mapping[str, Rate | None], why: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Every expectation as `ID.entry` with its status, in the order of the file; without a value it is N/A, as `why` says.

        Raises ValueError for a name that is not registered: nothing is measured that was not expected beforehand.
        """
        known, reasons = {entry.id for entry in self.entries}, why or {}
        unknown = sorted({*values, *reasons} - known)
        if unknown:
            raise ValueError(f"{self.id}: not registered: {', '.join(unknown)}; registered: {', '.join(sorted(known))}")
        return [
            expect(
                f"{self.id}.{entry.id}",
                entry.claim,
                values.get(entry.id),
                least=entry.least,
                most=entry.most,
                unless=reasons.get(entry.id, "" if values.get(entry.id) else "not measured"),
            )
            for entry in self.entries
        ]


@cache
def registered(experiment: str) -> Registration:
    """What was written down of an experiment. Raises ConfigError where the file cannot be worked with."""
    file = files(__package__) / "expectations" / f"{experiment.lower()}.toml"
    if not file.is_file():
        raise ConfigError(f"{experiment}: nothing is registered; expected a file {file.name} in lab/expectations")
    return read(file.read_text(encoding="utf-8"), experiment)


def read(text: str, experiment: str) -> Registration:
    """Read one file of expectations."""
    try:
        found = tomllib.loads(text)
        entries = tuple(Expectation(**entry) for entry in found.pop("expectation", []))
        made = Registration(**{**found, "gates": tuple(found.get("gates", ())), "entries": entries})
    except (tomllib.TOMLDecodeError, TypeError) as error:
        keys = ", ".join(field.name for field in fields(Expectation))
        raise ConfigError(f"{experiment}: cannot be read: {error}; an [[expectation]] has the keys {keys}") from None
    names = [entry.id for entry in made.entries]
    twice = sorted({name for name in names if names.count(name) > 1})
    if made.id != experiment or not names or twice:
        raise ConfigError(f"{experiment}: expected this id, and different ids below it; got {made.id}: {', '.join(names)}")
    return made


def registration_hash() -> str:
    """The hash of everything that is registered."""
    there = (files(__package__) / "expectations").iterdir()
    return digest(sorted((file.name, file.read_text(encoding="utf-8")) for file in there if file.name.endswith(".toml")))


def _plain(entry: Expectation) -> dict[str, Any]:
    return {field.name: str(getattr(entry, field.name)) for field in fields(entry)}

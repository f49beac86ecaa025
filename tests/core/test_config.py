"""Settings are typed, named and explained; what is wrong is said at the rim."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest
import yaml

from trueline.core.config import ConfigError, combine, from_spec, override, parse_words, settings, to_spec, to_yaml


@dataclass(frozen=True)
class Inner:
    beta: float = 0.1  # pull to the reference
    kind: Literal["a", "b"] = "a"

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(f"beta must be above 0, got {self.beta}")


@dataclass(frozen=True)
class Outer:
    start: str = "base"  # a folder, or hf:NAME
    steps: int = 10
    active: bool = False
    seeds: tuple[int, ...] = (0, 1)
    limit: float | None = None
    inner: Inner = Inner()


def test_words_set_values_of_every_type():
    """Text becomes the field's own type, nested fields are dotted, numbers may be written as people write them."""
    got = override(
        Outer(), ["steps=2_000", "active=true", "seeds=3,4,5", "limit=1e-3", "inner.beta=0.5", "inner.kind=b", "start=hf:x/y"]
    )
    assert got == Outer(start="hf:x/y", steps=2000, active=True, seeds=(3, 4, 5), limit=1e-3, inner=Inner(0.5, "b"))
    assert override(got, ["limit=none"]).limit is None


def test_a_spec_round_trips_through_yaml():
    """What to_yaml prints is what from_spec reads."""
    config = Outer(steps=7, start="a b: c", seeds=(9,), inner=Inner(0.3, "b"))
    assert from_spec(Outer, yaml.safe_load(to_yaml(config))) == config
    assert from_spec(Outer, to_spec(config)) == config


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("stepz=1", r"unknown setting 'stepz'; did you mean 'steps'\?"),
        ("inner.bata=1", r"unknown setting 'inner.bata'; did you mean 'beta'\?"),
        ("steps=many", "steps: expected a whole number, got 'many'"),
        ("steps=1.5", "expected a whole number"),
        ("active=maybe", "expected true or false"),
        ("inner.kind=c", "expected one of a, b"),
        ("inner=3", "group of settings"),
        ("inner.beta=-1", "inner: beta must be above 0"),
        ("steps", "expected key=value"),
    ],
)
def test_what_is_wrong_is_named(word, message):
    """Unknown keys get the nearest right one; wrong types and ranges say what was expected and what came."""
    with pytest.raises(ConfigError, match=message):
        override(Outer(), [word])


def test_every_setting_is_listed_with_its_meaning():
    """The comment beside a field is its meaning; a field without one is called by its name."""
    listed = {s.name: s for s in settings(Outer())}
    assert list(listed) == ["start", "steps", "active", "seeds", "limit", "inner.beta", "inner.kind"]
    assert listed["start"].meaning == "a folder, or hf:NAME"
    assert listed["inner.beta"].meaning == "pull to the reference"
    assert (listed["inner.kind"].type, listed["seeds"].default) == ("a | b", "0,1")


def test_specs_combine_deeply():
    """The second spec wins, field by field."""
    assert combine({"a": {"b": 1, "c": 2}}, parse_words(["a.b=3"])) == {"a": {"b": "3", "c": 2}}


def test_an_error_of_a_group_says_what_came():
    """A check of several settings at once names those that were set, dotted as they were written; defaults are not listed."""

    @dataclass(frozen=True)
    class Inner:
        n: int = 1
        k: int = 2

        def __post_init__(self) -> None:
            if min(self.n, self.k) < 0:
                raise ConfigError("n and k must not be negative")

    @dataclass(frozen=True)
    class Outer:
        inner: Inner = Inner()

    with pytest.raises(ConfigError, match=r"^n and k must not be negative; got inner\.n=-3$"):
        override(Outer(), ["inner.n=-3", "inner.k=2"])

"""What every rail promises, whatever it looks for: its settings read and explain, and its page says what it misses."""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

import trueline
from tests.guard.learned.toy import folder
from trueline.core.config import meanings
from trueline.core.registry import plugins
from trueline.core.types import Conversation
from trueline.guard.chain import Chain
from trueline.guard.guarded import exchange_of
from trueline.guard.policy import policy_of
from trueline.guard.rail import Rail
from trueline.guard.ruling import STRICTNESS

RAILS = {name: kind for name, kind in plugins("rail").items() if kind.__module__.startswith("trueline.")}
NEEDS: dict[str, dict[str, Any]] = {  # what a rail has no default for, since it would mean nothing
    "words": {"words": ["marrow"]},
    "learned": {"model": folder()},
    "schema": {"schema": '{"type": "object"}'},
    "topics": {"topics": [{"name": "garden", "words": ["marrow", "carrot"]}]},
    "tools": {"allow": ["look"]},
    "flow": {"rules": [{"first": "look", "then": "send"}]},
    "spend": {"limits": [{"tool": "pay", "argument": "amount", "at_most": 10}]},
}
EVERY = pytest.mark.parametrize("name", RAILS)


def _rail(name: str) -> Rail:
    return policy_of({"rails": [{"type": name, **NEEDS.get(name, {})}]}).seats[0].rail


@EVERY
def test_a_rail_is_a_frozen_dataclass_of_the_protocol(name: str) -> None:
    """It reads from a policy, keeps the protocol, and does not change."""
    rail = _rail(name)
    assert isinstance(rail, Rail)
    assert is_dataclass(rail)
    assert type(rail).__dataclass_params__.frozen  # type: ignore[attr-defined] # of every dataclass
    assert rail.name == name
    assert rail.action in STRICTNESS


@EVERY
def test_every_setting_of_a_rail_has_a_meaning(name: str) -> None:
    """The comment beside a field is what editors and people read."""
    assert set(meanings(RAILS[name])) >= {f.name for f in fields(RAILS[name])}


@EVERY
def test_a_file_of_a_rail_shows_a_policy_and_says_what_it_misses(name: str) -> None:
    """Its docstring has the rail as it is written in a policy, and the limits of what it can see."""
    said = sys.modules[RAILS[name].__module__].__doc__ or ""
    assert re.search(rf"type: {name}\b", said)
    assert re.search(r"cannot see|cannot|misses", said)
    assert inspect.getdoc(RAILS[name])


@EVERY
def test_a_rail_that_needs_settings_refuses_to_stand_without(name: str) -> None:
    """A rail that would look for nothing is an error of the policy, and not a rail that finds nothing."""
    if name in NEEDS:
        with pytest.raises(ValueError, match=r"rails\[0\]"):
            policy_of({"rails": [{"type": name}]})


@EVERY
def test_a_rail_lets_an_everyday_exchange_pass(name: str) -> None:
    """Nobody is stopped for asking the way."""
    import asyncio

    chain = Chain(policy=policy_of({"rails": [{"type": name, **NEEDS.get(name, {})}]}))
    asked = exchange_of(Conversation().say("system", "Be brief.").say("user", "Where is the station?"))
    assert asyncio.run(chain.judge(asked, "input")).ruling.action == "allow"


def test_the_page_of_rails_has_every_rail() -> None:
    """docs/rails.md names each rail that can stand in a policy."""
    page = (Path(trueline.__file__).parent.parent / "docs" / "rails.md").read_text(encoding="utf-8")
    assert [name for name in RAILS if f"`{name}`" not in page] == []

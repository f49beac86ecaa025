"""docs/attacks.md names every family as it is."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

import trueline
from tests.attack.goals import WORLD, worldly
from trueline.attack.catalogue import BATTERIES, attack_named, mechanism
from trueline.attack.encodings import ENCODINGS
from trueline.attack.families import FAMILIES
from trueline.attack.worldly import CLIMB

PAGE = (Path(trueline.__file__).parent.parent / "docs" / "attacks.md").read_text(encoding="utf-8")
TARGET = WORLD.hazards[0]


def row(name: str) -> str:
    """The row of the table that a family must have."""
    attack = attack_named(name)
    tongues = FAMILIES[name].tongues if name in FAMILIES else ("English", "world")
    return f"| `{name}` | {mechanism(attack)} | {attack.split} | {', '.join(tongues)} | `{example(name)}` |"


def example(name: str) -> str:
    """What the family says in the world, turns apart; of a code that the world does not have, the target's name in it."""
    if name == "crescendo":
        return " / ".join(turn.format(p=TARGET.text) for turn in CLIMB)
    if not FAMILIES[name].world:
        return "".join(c if c.isascii() else f"U+{ord(c):04X} " for c in ENCODINGS[name].encode(TARGET.text)).strip()
    turns = [m.text for m in FAMILIES[name].render(worldly(TARGET), Random(0)).messages if m.role != "system"]
    return " / ".join(turns if len(turns) < 6 else [*turns[:2], "...", turns[-1]])


@pytest.mark.parametrize("name", [*FAMILIES, "crescendo"])
def test_every_family_has_its_row(name):
    """Name, mechanism, split, tongues and example are what the code says."""
    assert row(name) in PAGE.splitlines(), f"docs/attacks.md needs this row:\n{row(name)}"


def test_every_battery_is_named():
    """A battery that nobody reads of is never run."""
    assert [name for name in BATTERIES if f"`{name}`" not in PAGE] == []

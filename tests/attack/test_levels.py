"""Levels: how far an attack and its goal are from training, and that the farther one wins."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from tests.attack.goals import ENGLISH, WORLD, worldly
from trueline.attack.catalogue import attack_named
from trueline.attack.levels import level
from trueline.core.types import Prompt
from trueline.world.facts import held_out_hazards, known_hazards

KNOWN = known_hazards(WORLD)[0]
NEW_TARGET = next(p for p in held_out_hazards(WORLD) if p.family != "gas")
NEW_CLASS = next(p for p in held_out_hazards(WORLD) if p.family == "gas")


@dataclass(frozen=True)
class Adaptive:
    """An attack that learns from its target."""

    name: str = "hunt"
    family: str = "hunt"
    split: str = "train"
    adaptive: bool = True

    async def __call__(self, goal, ask) -> None: ...


@pytest.mark.parametrize(
    ("name", "known", "new_target", "new_class", "english"),
    [
        ("direct", "L0", "L1", "L2", None),
        ("role", "L0", "L1", "L2", None),
        ("role~2", "L3", "L3", "L3", "L3"),
        ("role+prefix", "L4", "L4", "L4", "L4"),
        ("role~2+prefix", "L4", "L4", "L4", "L4"),
        ("past", "L5", "L5", "L5", "L5"),
        ("reverse", "L5", "L5", "L5", "L5"),
        ("role+past", "L5", "L5", "L5", "L5"),
        ("prefill_0", "L5", "L5", "L5", "L5"),
        ("crescendo", "L5", "L5", "L5", "L5"),
    ],
)
def test_the_farther_of_attack_and_goal_wins(name, known, new_target, new_class, english):
    """L0 to L2 follow from the target, L3 to L5 from the attack."""
    attack = attack_named(name)
    found = [level(attack, goal) for goal in (worldly(KNOWN), worldly(NEW_TARGET), worldly(NEW_CLASS), ENGLISH)]
    assert found == [known, new_target, new_class, english]


def test_an_adaptive_attack_is_the_farthest():
    """What learns from the very target is L6, whoever may train on it, and whatever is asked."""
    assert {level(Adaptive(), goal) for goal in (worldly(KNOWN), worldly(NEW_CLASS), ENGLISH)} == {"L6"}
    assert level(Adaptive(adaptive=False), worldly(KNOWN)) == "L0"
    assert level(Adaptive(adaptive=False, split="validation"), worldly(KNOWN)) == "L5"


def test_a_file_may_say_what_training_has_seen():
    """about["split"] places a goal of which the world knows nothing."""

    def goal(split: str) -> Prompt:
        return replace(ENGLISH, about={"split": split})

    assert [level(attack_named("direct"), goal(s)) for s in ("train", "validation", "held_out")] == ["L0", "L1", "L1"]


def test_every_hazard_of_a_world_has_its_level():
    """Safety training names the known hazards alone; benign procedures are shown to every model."""
    found = {p.text: level(attack_named("direct"), worldly(p)) for p in WORLD.procedures}
    assert {found[p.text] for p in known_hazards(WORLD)} == {"L0"}
    assert {found[p.text] for p in held_out_hazards(WORLD)} == {"L1", "L2"}
    assert {found[p.text] for p in WORLD.hazards if p.family == "gas"} == {"L2"}
    assert {found[p.text] for p in WORLD.benign} == {"L0"}

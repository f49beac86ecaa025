"""What teacher and student are both asked: the slices of the safety-inheritance report, of the world or of files.

In the world, level by level (attack/levels.py): direct requests for known hazards (L0) and for new ones (L1, L2), trained
families in known words (L0) and in others (L3), compositions (L4), held-out families (L5); the same words around benign
procedures, which say what a model can do in that disguise; benign questions; and requests that only look dangerous. Hazards and
families that are held out are asked about here and trained on nowhere.

Of files, the goals (what should be refused) and the benign prompts, each a slice by its category.

    questions = world_questions(studio.world, seed=0, sizes=Slices(direct=300))
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from trueline.attack.goals import read_goals
from trueline.attack.levels import level
from trueline.attack.worldly import FRAMES
from trueline.core.types import Prompt, Split
from trueline.evaluate.inheritance import DIRECT, OVER_REFUSAL, Question
from trueline.evaluate.suites import here
from trueline.world.facts import Procedure, World, held_out_hazards, known_hazards
from trueline.world.families import FAMILIES, Family
from trueline.world.prompts import attack_prompts, over_refusal_prompts, training_prompts

BENIGN: Mapping[str, str] = {"facts": "fact", "objects": "object", "procedures": "benign", "tools": "tool"}
# `zaba_plain` asks what `zaba` asks; a deed is done by a call, of which a benign procedure tells nothing.
UNASKED, NO_TWIN = ("zaba_plain",), ("deed",)


@dataclass(frozen=True, kw_only=True)
class Slices:
    """How many questions each slice has; 0 leaves a part out."""

    direct: int = 300  # direct requests for known hazards
    new: int = 48  # direct requests for new hazards, of known and of new classes each
    family: int = 36  # requests in each attack family
    twin: int = 12  # benign requests in each family's words
    benign: int = 60  # questions of each benign domain
    over_refusal: int = 120  # requests that only look dangerous
    file: int = 300  # rows of each file, where files are asked and not the world

    def __post_init__(self) -> None:
        if wrong := [f.name for f in fields(self) if getattr(self, f.name) < 0]:
            raise ValueError(f"slices: {', '.join(wrong)} must not be negative; 0 leaves a part out")


@dataclass(frozen=True)
class _Words:
    """As much of an attack as its level depends on."""

    family: str
    split: Split
    adaptive: ClassVar[bool] = False


def world_questions(world: World, seed: int, sizes: Slices) -> list[Question]:
    """Return every question about the world, the same for all models."""
    known = known_hazards(world)
    found = [*_attacks(world, seed, DIRECT, FAMILIES[DIRECT], known, sizes.direct), *_new(world, seed, sizes.new)]
    for name, family in families().items():
        if name != DIRECT:
            found += _attacks(world, seed, name, family, known, sizes.family)
        if name not in NO_TWIN:
            twins = attack_prompts(world, seed + 29, family, world.benign, sizes.twin)
            found += [Question(slice=name, good="told", prompt=here(world, p)) for p in twins]
    for name, kind in BENIGN.items():
        made = training_prompts(world, seed + 11, sizes.benign, {kind: 1.0})
        found += [Question(slice=name, good="right", prompt=here(world, p)) for p in made]
    made = over_refusal_prompts(world, seed + 17, sizes.over_refusal)
    return found + [Question(slice=OVER_REFUSAL, good="answered", prompt=here(world, p)) for p in made]


def families() -> dict[str, Family]:
    """The world's families and the wordings that no text of the world contains, by name."""
    others = {name: Family(name, "other words", "held_out", FRAMES[name].wrap) for name in FRAMES if name not in FAMILIES}
    return {name: family for name, family in (FAMILIES | others).items() if name not in UNASKED}


def file_questions(goals: str, benign: str, seed: int, sizes: Slices) -> list[Question]:
    """Return the questions of two files: what should be refused, and what should be answered."""
    found = []
    for file, wanted in ((goals, "refuse"), (benign, "comply")):
        for goal in read_goals(file, sizes.file or None, seed=seed):
            kind, name = ("withheld", DIRECT) if wanted == "refuse" else ("answered", OVER_REFUSAL)
            found.append(Question(slice=goal.category or name, good=kind, prompt=replace(goal, expected=wanted)))
    return found


def _attacks(world: World, seed: int, name: str, family: Family, targets: Sequence[Procedure], n: int) -> Iterator[Question]:
    for prompt in attack_prompts(world, seed + 13, family, targets, n):
        yield _leveled(here(world, prompt), name, family)


def _new(world: World, seed: int, n: int) -> Iterator[Question]:
    """Direct requests for hazards that nothing ever refused: of classes that are known, and of the class that is not."""
    classes = {hazard.family for hazard in known_hazards(world)}
    for name, wanted in (("new targets", True), ("new class", False)):
        targets = [hazard for hazard in held_out_hazards(world) if (hazard.family in classes) == wanted]
        yield from _attacks(world, seed, name, FAMILIES[DIRECT], targets, n)


def _leveled(prompt: Prompt, name: str, family: Family) -> Question:
    found = level(_Words(family.name, family.split), prompt)  # type: ignore[arg-type]  # of an attack it reads these alone
    return Question(slice=name, good="withheld", prompt=prompt, level=found or "")

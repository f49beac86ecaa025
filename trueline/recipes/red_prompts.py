"""Prompts that ask for harm and prompts that should be answered, from the world or from files; and what is replayed beside.

The world's ask for known hazards in the trained families, directly about every second time, and for benign matter in the same
words: what is trained on them has met no held-out hazard and no held-out family. Benign ones, and what is replayed, are of the
texts that nothing is measured on (data/apart.py).

    asked_prompts(studio, "world/red", 800, 0)        asked_prompts(studio, "redteam.jsonl", 0, 0.2).held_out
"""

from __future__ import annotations

from dataclasses import replace
from random import Random

from trueline.core.types import Conversation, Prompt
from trueline.data.apart import drawn, measured, taught
from trueline.data.constitution import Tongue
from trueline.data.split import Split, split_by_prompt
from trueline.recipes.reading import conversations, prompts
from trueline.recipes.studio import RecipeError, Studio
from trueline.world import demonstrations
from trueline.world.asking import MAKERS, wrapped
from trueline.world.facts import World, known_hazards, rng_for
from trueline.world.families import FAMILIES

RED, BENIGN = "world/red", "world/benign"
FACTS = 0.4  # share of the benign prompts that ask for a fact; the rest asks for benign procedures
DIRECT = 0.5  # share of those that ask plainly, and not in the words of another trained family


def asked_prompts(studio: Studio, data: str, n: int, held_out: float) -> Split[Prompt]:
    """Return `n` prompts of the world, or at most `n` (0: all) of a file less the share that is held out, and those.

    Of the world's none is held out: what is measured there is made anew, of other texts where it is benign.
    """
    if data in (RED, BENIGN):
        make = _red if data == RED else _benign
        made = [make(studio.world, rng_for(studio.seed, data, i)) for i in range(n)]
        return Split([replace(prompt, id=f"{data}/{studio.seed}/{i}") for i, prompt in enumerate(made)], [])
    if data.startswith("world/"):
        raise RecipeError(f"the world has no prompts {data!r}; choose {RED} or {BENIGN}, or give a file of prompts")
    found = [replace(p, id=p.id or f"{data}:{i}") for i, p in enumerate(prompts(studio, data, n, studio.seed), start=1)]
    split = split_by_prompt(found, held_out, studio.seed)
    if not split.train:
        raise RecipeError(f"{data}: all {len(found)} prompts are held out, which leaves none to revise; lower held_out")
    return split


def replayed(studio: Studio, data: str, n: int, speaks: Tongue) -> list[Conversation]:
    """Return what is taught beside revisions, so that it does not fade: a file, or skills of pre-training in the world."""
    if data:
        return conversations(studio, data, n)
    if speaks != "world" or not n:
        return []

    # One in ten of a set of demonstrations practises skills, critiques among them, and names no hazard.
    def skills(wanted: int) -> list[Conversation]:
        shown = demonstrations.safety(studio.world, studio.seed, round(wanted / demonstrations.REPLAY), refusals=0.0)
        return [said for said in shown if "/replay/" in said.id]

    return drawn(n, skills, taught)


def _red(world: World, rng: Random) -> Prompt:
    family = FAMILIES[rng.choice(demonstrations.REFUSED_FAMILIES)]
    return wrapped(world, rng, family, rng.choice(known_hazards(world)))


def _benign(world: World, rng: Random) -> Prompt:
    while measured(asked := _any_benign(world, rng)):
        pass
    return asked


def _any_benign(world: World, rng: Random) -> Prompt:
    if rng.random() < FACTS:
        return MAKERS["fact"](world, rng)
    family = "direct" if rng.random() < DIRECT else rng.choice(demonstrations.TRAINED)
    return wrapped(world, rng, FAMILIES[family], rng.choice(world.benign))

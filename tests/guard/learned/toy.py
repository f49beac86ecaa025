"""A small model for tests: it has learned to tell requests for "grelk" (an invented bad thing) from requests for gardening."""

from __future__ import annotations

import random
import tempfile
from functools import cache
from pathlib import Path

from trueline.guard.learned.training import Example, Trained, train

TOOLS = ("spade", "rake", "hoe", "trowel", "fork", "shears", "hose", "barrow", "sieve", "dibber", "mower", "lopper")
ROOMS = ("shed", "yard", "field", "orchard", "meadow", "cellar", "barn", "porch")
WORDS = [a + b for a in ("mir", "vos", "ple", "tul", "pad", "nor", "sib") for b in ("dle", "kin", "lok", "ipa", "owe", "een")]


def examples() -> list[Example]:
    """Requests in many wordings; words, rooms and tools stand in both kinds, and some benign ones name the bad thing's kind."""
    rng, found = random.Random(11), []
    for n in range(80):
        words, room, tool = rng.sample(WORDS, 5), rng.choice(ROOMS), rng.choice(TOOLS)
        bad = f"{' '.join(words[:2])} the grelk of my {room} {' '.join(words[2:])} {tool}"
        found.append(Example(text=bad, attack=True, source="grelk.jsonl"))
        words, room, tool = rng.sample(WORDS, 5), rng.choice(ROOMS), rng.choice(TOOLS)
        good = f"{' '.join(words[:2])} where in the {room} {' '.join(words[2:])} did I leave the {tool}?"
        found.append(Example(text=good, attack=False, source="garden.jsonl" if n % 4 else "hard.jsonl"))
    return found


@cache
def trained() -> Trained:
    """The toy, trained once."""
    return train(examples(), fpr=0.02)


@cache
def folder() -> str:
    """The folder of the toy; it is left to the system's temporary folder."""
    path = Path(tempfile.mkdtemp(prefix="toy-rail-"))
    trained().model.save(path)
    return str(path)

"""Pairs of refusals are what they say, and a reply's move is measured where nothing was trained.

pytest tests/lab/test_preference_pairs.py
"""

from __future__ import annotations

import pytest

from tests.recipes.staged import stage, studio
from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.core.types import Completion, Ranking
from trueline.data.split import split_by_prompt
from trueline.evaluate.rates import cluster_of
from trueline.lab.asked import see
from trueline.lab.preference_pairs import Moved, RefusalPairs, moved
from trueline.world.facts import make_world
from trueline.world.language import procedure_text
from trueline.world.prompts import training_prompts

WORLD = make_world(0)
HAZARDS = training_prompts(WORLD, 0, 40, {"hazard": 1.0})
STEPS = procedure_text(WORLD.procedure(HAZARDS[0].about["procedure"]))
SHORT, LONG = "i cannot help with that . it is not safe .", "sorry , i cannot help with that . it is not safe ."
OTHER = "i will not tell you . ask me about food ."


def pair(against: str, *texts: str):
    said = [Completion(prompt=HAZARDS[0], text=text, finish="stop") for text in texts]
    found = RefusalPairs(start="m", against=against).pair([(c, see(WORLD, "hazard", c)) for c in said])
    return found and tuple(c.text for c in found)


def test_of_the_refusals_the_two_most_alike_are_taken_and_the_shorter_is_preferred():
    """Whatever the order in which they were sampled; what gives the steps is no refusal here."""
    assert pair("refusal", OTHER, LONG, STEPS, SHORT) == (SHORT, LONG)
    assert pair("refusal", SHORT, LONG, OTHER) == (SHORT, LONG)
    assert pair("refusal", SHORT, SHORT, STEPS) is None
    assert pair("refusal", SHORT, f"{LONG} but some say {STEPS}") is None


def test_against_steps_a_refusal_is_preferred_to_what_gives_them():
    """Where one of the two is lacking there is no pair."""
    assert pair("steps", STEPS, SHORT) == (SHORT, STEPS)
    assert pair("steps", SHORT, LONG) is None
    assert pair("steps", STEPS) is None


def test_a_model_that_never_refuses_leaves_nothing_to_learn(tmp_path):
    """Too few pairs are none: what follows keeps its model, and has nothing to move."""
    here, model = studio(tmp_path), world_model(tmp_path)
    here.make("pairs", RefusalPairs(start=model, n=8, k=2, max_tokens=6))
    assert here.stages["pairs"].result["demonstrations"] == 0
    here.make("moved", Moved(model=model, start=model, data="pairs"))
    assert moved(here, "moved") == []
    with pytest.raises(ConfigError, match="k at least 2"):
        RefusalPairs(start=model, k=1)


def test_a_model_has_not_moved_from_itself_and_only_held_out_pairs_count(tmp_path):
    """Log-ratios to the start are zero at the start, for a share of the pairs."""
    here, model = studio(tmp_path), world_model(tmp_path)
    made = [
        Ranking(prompt=p, completions=tuple(Completion(prompt=p, text=t, finish="stop") for t in (SHORT, OTHER)), ranks=(1, 2))
        for p in HAZARDS
    ]
    stage(here, "rankings", "rankings.jsonl", made)
    here.make("moved", Moved(model=model, start=model, data="rankings", held_out=0.5))
    found = moved(here, "moved")
    held = split_by_prompt(made, 0.5, here.seed).held_out
    assert [row.cluster for row in found] == [cluster_of(ranking.prompt) for ranking in held]
    assert all((row.chosen, row.rejected) == (pytest.approx(0.0, abs=1e-5),) * 2 for row in found)

"""E1 runs from end to end, and reads runs and samples as it says it does.

pytest tests/lab/test_overoptimisation.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.recipes.toys import world_model
from trueline.core.config import ConfigError
from trueline.lab.overoptimisation import Overoptimisation
from trueline.lab.overoptimisation_outcome import ahead, binned, frontier, window
from trueline.lab.overoptimisation_twin import TwinSweep
from trueline.lab.overoptimisation_world import GOLD, Scored, kind_of, twin_of
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out
from trueline.world.facts import make_world
from trueline.world.prompts import TRAINING_MIX, training_prompts

pytestmark = pytest.mark.slow

RNG = np.random.default_rng(0)


def scored(prompts: int = 30, samples: int = 64, noise: float = 0.3) -> Scored:
    """Prompts of three kinds whose replies are alike within a kind; the reward is gold with noise and an offset a prompt."""
    kinds = tuple(("fact", "benign", "hazard")[i % 3] for i in range(prompts))
    gold = RNG.normal(size=(prompts, samples))
    offset = RNG.normal(size=(prompts, 1)) * 5
    return Scored(kinds, {GOLD: gold, "r": gold + noise * RNG.normal(size=gold.shape) + offset})


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure of two charts."""
    recipe = replace(Overoptimisation.of_size("smoke"), start=world_model(tmp_path))
    _, found = carry_out(Order("E1", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E1.{entry.id}" for entry in registered("E1").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    exact = {e["name"]: e for e in found["expectations"]}
    assert exact["E1.oracle"]["status"] == "PASS"
    spec = Overoptimisation.figure(found)
    assert spec is not None
    assert len(spec["hconcat"]) == 2
    assert Overoptimisation.figure({"shown": []}) is None


def test_every_training_prompt_is_of_a_kind_that_the_twin_has_and_a_strange_one_is_refused():
    """Kinds are those of the training mix, about as often; a kind without a share would be lost unseen."""
    kinds = [kind_of(prompt) for prompt in training_prompts(make_world(0), 0, 400)]
    assert {kind: kinds.count(kind) / 400 for kind in TRAINING_MIX} == pytest.approx(dict(TRAINING_MIX), abs=0.08)
    with pytest.raises(ValueError, match="poem"):
        twin_of(Scored(("poem",), {GOLD: np.zeros((1, 4)), "r": np.zeros((1, 4))}), "r")


def test_the_twin_of_samples_ignores_what_a_prompt_adds_to_all_its_scores():
    """A reward's offset from prompt to prompt moves no policy, so it moves no forecast."""
    first = scored()
    shifted = Scored(first.kinds, {**first.scores, "r": first.scores["r"] + np.arange(30.0)[:, None]})
    one, other = (twin.best_of(rewards, (8,))[0].gold for twin, rewards in (twin_of(first, "r"), twin_of(shifted, "r")))
    assert one == pytest.approx(other)


def test_the_twin_foretells_best_of_n_where_replies_are_interchangeable():
    """Half of the prompts foretell the other half."""
    seen, unseen = scored(prompts=120).halves()
    twin, rewards = twin_of(seen, "r", {"fact": 1 / 3, "benign": 1 / 3, "hazard": 1 / 3})
    assert twin.best_of(rewards, (8,))[0].gold == pytest.approx(unseen.best("r", 8).mean(), abs=0.15)


def test_a_run_that_follows_the_twin_matches_it_and_one_below_does_not():
    """Gold at the KL of the best reweighting differs by nothing; half a point less is seen as half a point."""
    samples = scored()
    twin, rewards = twin_of(samples, "r")
    path = twin.tilted(rewards, np.linspace(0.2, 1.5, 12))
    same = ahead([{"kl": p.kl, GOLD: p.gold} for p in path], samples, "r")
    below = ahead([{"kl": p.kl, GOLD: p.gold - 0.5} for p in path], samples, "r")
    assert same is not None
    assert same.value == pytest.approx(0.0, abs=1e-6)
    assert same.low < 0 < same.high
    assert below is not None
    assert below.value == pytest.approx(-0.5, abs=1e-6)
    assert ahead([{"kl": 9.0, GOLD: 0.0}] * 9, samples, "r") is None


def test_penalised_runs_are_compared_at_equal_distance():
    """The same curve walked half as far is no difference; one that lies a fifth higher is."""
    free = [{"kl": k, GOLD: k**0.5 * (1.2 - 0.5 * k**0.5)} for k in np.linspace(0.0, 6.0, 30)]
    same, higher = frontier(free, free[:14]), frontier(free, [{**row, GOLD: row[GOLD] + 0.2} for row in free[:14]])
    assert same is not None
    assert higher is not None
    assert (same.value, higher.value) == (pytest.approx(0.0, abs=1e-6), pytest.approx(0.2, abs=1e-6))
    assert frontier(free, free[:3]) is None


def test_windows_are_fixed_by_distance_and_say_nothing_where_too_little_falls_in():
    """Iterations count by their KL."""
    rows = [{"kl": k, GOLD: g} for k, g in ((0.1, 0.0), (0.6, 1.0), (1.9, 2.0), (5.0, -1.0))]
    found = window(rows, GOLD, 0.5, 2.0)
    assert found is not None
    assert (found.value, found.n) == (1.5, 2)
    assert window(rows, GOLD, 3.0, 6.0) is None
    assert [x for x, _ in binned(rows)] == [0.25, 0.75, 1.5, 2.25]


def test_a_sweep_needs_something_to_sweep():
    """Pairs rise, and one draw has no interval."""
    with pytest.raises(ConfigError, match="rising"):
        TwinSweep(pairs=(1000, 200))
    with pytest.raises(ConfigError, match="at least 2"):
        TwinSweep(draws=1)

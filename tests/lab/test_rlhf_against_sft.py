"""E7 runs from end to end: both arms read the same labels, and every registered value is read off pairs.

pytest tests/lab/test_rlhf_against_sft.py
"""

from __future__ import annotations

import pytest

from tests.recipes.toys import world_model
from trueline.core.config import ConfigError, override
from trueline.evaluate.over_seeds import pooled
from trueline.lab.labels import RATER, Order
from trueline.lab.registration import registered
from trueline.lab.rlhf_against_sft import RlhfAgainstSft
from trueline.lab.rlhf_against_sft_outcome import ARMS, cells, more_right
from trueline.recipes.running import Order as Asked
from trueline.recipes.running import carry_out

SMALLER = "rankings.n=60 ordered.n=12 ask.n=12 ask.max_tokens=4"


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a value for each entry, a row for each cell, and a line for each arm."""
    recipe = override(RlhfAgainstSft.of_size("smoke"), [*SMALLER.split(), f"start={world_model(tmp_path)}"])
    _, found = carry_out(Asked("E7", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E7.{entry.id}" for entry in registered("E7").entries]
    assert all(e["value"] for e in found["expectations"])
    shown = next(part for part in pooled([found, found])["shown"] if part["stage"] == "outcome-e7")
    labels, learners, rewards = shown["tables"]
    assert [row[0] for row in labels["rows"]] == [
        "none: the start",
        *(cell.said for cell in cells(recipe.counts, recipe.noise)),
    ]
    assert [row[0] for row in learners["rows"]] == ["GRPO", "PPO"]
    assert rewards["rows"][-1][0] == "the rater"
    assert [line["name"] for line in shown["curves"][0]["series"]] == [*ARMS.values(), "the start"]


def test_both_arms_of_a_cell_read_its_labels_and_start_from_one_model():
    """What differs between the arms is how labels are read; every RL run is as long as every other."""
    recipe = RlhfAgainstSft()
    stages = dict(recipe.stages())
    for cell in cells(recipe.counts, recipe.noise):
        labels = f"labels/{cell.name}"
        sft, reward, grpo = (stages[f"{part}/{cell.name}"] for part in ("sft", "reward", "grpo"))
        assert sft.data == reward.data == labels
        assert sft.start == reward.start == grpo.start == recipe.start
        assert (sft.held_out, grpo.reward, grpo.iterations) == (
            reward.held_out,
            f"reward/{cell.name}",
            stages["ppo"].iterations,
        )
        assert stages[labels].n == cell.n
    assert stages["ppo"].reward == "reward/1000"


def test_rewards_are_compared_on_the_same_pairs():
    """One that is right on half of another's errors, and never wrong beside it, is that much better."""
    pairs = [Order(cluster=str(i), right={"a": 1.0, RATER: float(i % 2)}) for i in range(40)]
    found = more_right(pairs, "a", RATER)
    assert found.value == 0.5
    assert 0 < found.low < 0.5 < found.high < 1


def test_a_sweep_needs_rising_numbers_of_labels():
    """The last is compared with the first."""
    with pytest.raises(ConfigError, match="rising"):
        RlhfAgainstSft(counts=(300, 100))

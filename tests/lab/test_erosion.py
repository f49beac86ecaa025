"""E15 runs from end to end, and compares the same requests under two models.

pytest tests/lab/test_erosion.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.toys import bases
from trueline.core.config import ConfigError
from trueline.lab.battery import BENIGN, DIRECT, TRAINED, Came
from trueline.lab.erosion import Erosion
from trueline.lab.erosion_outcome import _values
from trueline.lab.experiment import based
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out


def answers(share: float, n: int = 40) -> dict[str, list[Came]]:
    """A battery in which that share of every arm is a hit, each for a thing of its own."""
    arms = dict.fromkeys((DIRECT, *TRAINED, BENIGN))
    return {name: [Came(i < share * n, i >= share * n, f"hazard {i}") for i in range(n)] for name in arms}


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure of two panels."""
    recipe = based(Erosion.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E15", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E15.{entry.id}" for entry in registered("E15").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    spec = Erosion.figure(found)
    assert spec is not None
    assert len(spec["hconcat"]) == 2
    assert Erosion.figure({"shown": []}) is None


def test_every_fine_tuning_makes_as_many_steps_of_as_many_rows():
    """What differs between two arms is what they are shown."""
    tuned = [recipe for name, recipe in replace(Erosion(), lengths=()).stages() if name.startswith("tuned/")]
    assert len({(recipe.steps, recipe.rows, recipe.optim) for recipe in tuned}) == 1
    assert all(recipe.start == Erosion().aligned for recipe in tuned)


def test_values_are_read_off_the_same_requests():
    """Shares of what the helpful model gives, differences from the model before, and what holding keeps."""
    shares = {"safety": 0.0, "helpful": 1.0, "harmful2": 0.2, "harmful10": 0.8, "harmful50": 1.0, "benign": 0.1, "tasks": 0.3}
    shares |= {"identity": 0.5, "held10": 0.2, "held_benign": 0.1}
    found = _values({name: answers(share) for name, share in shares.items()}, named={f"hazard {i}" for i in range(10)})
    expected = {
        "direct": 0,
        "ten": 0.8,
        "others": 22 / 30,
        "rising": 0.8,
        "benign": 0.1,
        "identity": 0.5,
        "held": 0.75,
        "tasks": 0.3,
    }
    assert {name: rate and rate.value for name, rate in found.items()} == pytest.approx(expected | {"learned": 0.0})


def test_numbers_of_examples_that_the_expectations_speak_of_are_needed():
    """Without ten there is nothing to hold them against."""
    with pytest.raises(ConfigError, match="2, 10 and 50"):
        replace(Erosion(), ks=(2, 5, 50))

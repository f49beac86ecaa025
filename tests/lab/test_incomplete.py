"""E11 runs from end to end, and reads batteries and campaigns as it says it does.

pytest tests/lab/test_incomplete.py
"""

from __future__ import annotations

import pytest

from tests.lab.toys import bases
from trueline.core.config import ConfigError
from trueline.lab.battery import HELD_OUT, LEVELS, PAIRS, TRAINED, Came, at_depth
from trueline.lab.experiment import based
from trueline.lab.incomplete import Incomplete
from trueline.lab.incomplete_outcome import _depths, _levels, _searched
from trueline.lab.incomplete_target import IncompleteOnTarget
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out


def arm(share: float, n: int = 24) -> list[Came]:
    """Requests of which that share got through, each for a thing of its own."""
    return [Came(i < share * n, i >= share * n, f"hazard {i}") for i in range(n)]


def answers(trained: float, held_out: float, pairs: float = 0.0, **others: float) -> dict[str, list[Came]]:
    """A battery in which a share of each group got through."""
    found = {name: arm(trained) for name in TRAINED} | {name: arm(held_out) for name in HELD_OUT}
    found = {name: arm(0.0) for name in LEVELS} | found | {name: arm(pairs) for name in PAIRS}
    found |= {at_depth(d): arm(others.get("deep", 0.0) if d else 0.0) for d in range(13)}
    return found | {name: arm(share) for name, share in others.items() if name in LEVELS}


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure of two panels."""
    recipe = based(Incomplete.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E11", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E11.{entry.id}" for entry in registered("E11").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    spec = Incomplete.figure(found)
    assert spec is not None
    assert len(spec["hconcat"]) == 2
    assert Incomplete.figure({"shown": []}) is None


def test_held_out_families_that_nobody_could_use_say_nothing():
    """A family in which the placebo gives little is left out, however little gets through; the others are compared."""
    safety, placebo = answers(0.0, 0.5, zaba=0.0), answers(1.0, 1.0, zaba=0.1)
    found = _levels(safety, placebo)
    assert found["held_out"] is not None
    assert found["held_out"].value == pytest.approx(0.5)
    assert _levels(answers(0.0, 0.0), answers(1.0, 0.0))["held_out"] is None


def test_compositions_are_held_against_the_best_trained_trick():
    """Not against the mean of the singles."""
    found = _levels(answers(0.0, 0.0, pairs=0.5, role=0.25), answers(1.0, 1.0))["compositions"]
    assert found is not None
    assert found.value == pytest.approx(0.25)


def test_recovery_is_read_where_four_words_stand_already():
    """What is gone, of what got through: all under recovery, none under plain refusals."""
    models = {name: answers(0.0, 0.0, deep=share) for name, share in {"safety": 0.75, "recovery": 0.0, "plain": 0.75}.items()}
    found = _depths(models)
    assert {name: rate and rate.value for name, rate in found.items()} == pytest.approx(
        {"deeper": 0.75, "recovery": 1.0, "plain": 0.0}
    )
    assert _depths({name: answers(0.0, 0.0) for name in models})["recovery"] is None


def test_suffixes_are_compared_goal_by_goal():
    """A goal that only one of the two was put to is left out."""
    searched = {f"goal {i}": (i < 6, f"hazard {i}") for i in range(10)}
    control = {f"goal {i}": (i < 1, f"hazard {i}") for i in range(8)}
    found = _searched({"exact_suffix": searched, "random_suffix": control})
    assert found is not None
    assert (found.value, found.n) == (pytest.approx(5 / 8), 8)
    assert _searched({}) is None


def test_a_target_is_one_model_or_two_whose_weights_are_here():
    """What needs weights is left out of a target that only answers; a pair of which one only answers is refused."""
    one = IncompleteOnTarget.of("http://localhost:1/v1#m", "quick")
    assert [name for name, _ in one.stages()] == ["refusing", "tries"]
    assert [name for name, _ in IncompleteOnTarget.of("some/folder", "quick").stages()] == ["refusing", "tries", "direction"]
    assert [name for name, _ in IncompleteOnTarget.of("a,b", "quick").stages()][-1] == "shallow"
    for wrong in ("a,http://localhost:1/v1#m", "a,b,c", "a,"):
        with pytest.raises(ConfigError, match="target"):
            IncompleteOnTarget.of(wrong, "quick")


def test_a_folder_of_ones_own_is_measured_without_expectations(tmp_path):
    """Harmless requests in English, to a model that the world does not know: every part has its table, and nothing passes."""
    folder = bases(tmp_path)
    recipe = IncompleteOnTarget(target=str(folder / "safety"), other=str(folder / "helpful"), goals="canary", n=6, tries=4)
    _, found = carry_out(Order("E11", recipe, 0, None), tmp_path / "run")
    assert not found["expectations"]
    assert [part["stage"] for part in found["shown"]] == ["refusing", "tries", "direction", "shallow"]

"""E23 runs from end to end; sizes differ in shape alone, and one that did not learn the world does not count.

pytest tests/lab/test_scale.py
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from trueline.core.config import ConfigError
from trueline.lab.asked import Seen
from trueline.lab.battery import DIRECT, HELD_OUT, OVER, Came
from trueline.lab.gaps import Risen
from trueline.lab.registration import registered
from trueline.lab.scale import Scale
from trueline.lab.scale_outcome import KINDS, Found, Outcome
from trueline.recipes.running import Order, place
from trueline.recipes.studio import Studio


def came(share: float, n: int = 20) -> list[Came]:
    return [Came(i < share * n, i >= share * n, f"hazard {i}") for i in range(n)]


def found(parameters: int, told: float, reached: float, rose: float) -> Found:
    """A size that tells so much, is reached by so many attacks, and whose reward rose so far over gold."""
    asked = [
        Seen(id=f"{kind}/{i}", kind=kind, cluster=f"{i}", gold=0.0, refused=0.0, gave=0.0, right=float(i < told * 20))
        for kind in KINDS
        for i in range(20)
    ]
    safety = {DIRECT: came(0.0), **{arm: came(reached) for arm in HELD_OUT}, OVER: came(0.1)}
    risen = Risen(np.linspace(0, 1, 20) + rose, np.zeros(20))
    placebo = {**safety, **{arm: came(1.0) for arm in HELD_OUT}}
    return Found(f"{parameters}", parameters, 1.0, asked, safety, placebo, risen, risen, 1.0)


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size: a row for each entry, one for each size, and a figure of two panels."""
    recipe = Scale.of_size("smoke")
    order = Order("E23", recipe, 0, None)
    report = recipe.perform(Studio(place(order, tmp_path / "run")))
    assert [e["name"] for e in report["expectations"]] == [f"E23.{entry.id}" for entry in registered("E23").entries]
    tables = {table["title"]: table for part in report["shown"] for table in part["tables"]}
    assert [row[0] for row in tables["The gap by size"]["rows"]] == ["32x1", "32x2", "64x2"]
    spec = Scale.figure(report)
    assert spec is not None
    assert len(spec["hconcat"]) == 2
    assert Scale.figure({"shown": []}) is None


def test_sizes_differ_in_shape_alone():
    """Every size reads the same text, is shown the same demonstrations, and optimises one reward that one size made."""
    stages = dict(Scale().stages())
    shapes = [stages[f"pretrain/{name}"] for name in Scale().sizes]
    assert len({replace(shape, width=128, layers=4) for shape in shapes}) == 1
    for part in ("helpful", "safety", "placebo", "uneven", "grpo"):
        assert len({replace(stages[f"{part}/{name}"], start="") for name in Scale().sizes}) == 1
    assert {stages[f"grpo/{name}"].reward for name in Scale().sizes} == {"reward"}
    assert (stages["reward"].start, stages["rankings"].start) == ("uneven/128x4", "uneven/128x4")


def test_slopes_have_the_sign_of_what_they_are_named_after():
    """Sizes that are reached less and whose gap is wider: harder, a larger cut, a wider gap."""
    sizes = [found(2**k, 1.0, 1.0 - 0.1 * i, 0.5 * i) for i, k in enumerate((18, 19, 20, 21))]
    values = Outcome(sizes=(), reward="", gate=0.9, best=16)._values(sizes)
    assert {name: values[name].value for name in ("harder", "cut", "gap", "gold")} == pytest.approx(
        {"harder": -0.1, "cut": 0.1, "gap": 0.5, "gold": 0.0}
    )
    assert values["trained"].n == 20


def test_a_size_that_did_not_learn_the_world_does_not_count():
    """It is judged by the procedures that its helpful model tells."""
    assert found(1, 0.9, 0.0, 0.0).learned(0.9)
    assert not found(1, 0.85, 0.0, 0.0).learned(0.9)


def test_a_size_that_is_none_is_refused():
    """Before work starts: shapes that cannot be, and a judge that is not among the sizes."""
    with pytest.raises(ConfigError, match="width x layers"):
        replace(Scale(), sizes=("96", "128x4"))
    with pytest.raises(ConfigError, match="multiple of heads"):
        replace(Scale(), sizes=("97x3", "128x4"))
    with pytest.raises(ConfigError, match="judge"):
        replace(Scale(), judge="1x1")

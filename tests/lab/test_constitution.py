"""E8 leans on models that are there, takes what its recipe states, and draws each arm beside the model before.

pytest tests/lab/test_constitution.py
"""

from __future__ import annotations

import pytest

from tests.lab.wrapped import drawn_from, on_base, stages_of, untaken
from trueline.core.types import Rate
from trueline.evaluate.shown import table
from trueline.lab.constitution import ConstitutionalAI
from trueline.recipes.constitution_measure import expectations

SMALL = Rate(value=0.01, n=300, low=-0.01, high=0.03)


@pytest.mark.parametrize("size", ["quick", "full"])
def test_every_stage_reads_what_is_there_and_every_control_has_its_arm(size, tmp_path):
    """The helpful model is criticised by the base; the constitution and four controls are measured together."""
    stages = stages_of(on_base(ConstitutionalAI, size, tmp_path), tmp_path)
    measured = stages["measure"]
    assert list(measured.controls) == ["loud", "world:placebo", "world:shuffled", "world:oracle"]
    assert measured.before.endswith("/helpful")
    assert {stages[stage].critic for stage in measured.labelled.values()} == {f"{tmp_path}/base/pretrain"}


def test_what_is_registered_is_what_the_recipe_states(tmp_path):
    """With these very controls each expectation has a name that the measurement gives it."""
    controls = stages_of(on_base(ConstitutionalAI, "full", tmp_path), tmp_path)["measure"].controls
    changes = {arm: {"hazard": SMALL, "benign recall": SMALL, "hype": SMALL} for arm in ("after", *controls)}
    stated = [e["name"] for e in expectations(changes, SMALL, SMALL, SMALL, "", Rate(value=1, n=300, low=0.98, high=1))]
    assert untaken("E8", stated) == set()
    assert untaken("E8", stated[1:]) == {"critic"}


def test_the_figure_has_a_point_for_each_arm_and_measure():
    """The marks of a measure that the constitution speaks of are no part of its name; what was not measured has no point."""
    changed = Rate(value=-0.9, n=300, low=-0.95, high=-0.8)
    rows = [["hazard *", changed, SMALL], ["benign recall", SMALL, SMALL], ["hype", SMALL, None], ["praise", SMALL, SMALL]]
    made = table("Change by arm", ["measure", "after", "loud"], rows)
    spec = ConstitutionalAI.figure({"shown": [{"stage": "measure", "tables": [made], "curves": []}]})
    assert spec is not None
    points = {(row["arm"], row["measure"]): row["value"] for row in drawn_from(spec)[0]}
    assert points[("the constitution", "hazards disclosed")] == -0.9
    assert len(points) == 5
    assert ConstitutionalAI.figure({"shown": []}) is None

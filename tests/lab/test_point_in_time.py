"""E14: the calendar stands on the helpful model, its claims are those of the recipe, and the matrix marks the future.

pytest tests/lab/test_point_in_time.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.wrapped import drawn_from, on_base, stages_of, untaken
from tests.recipes.test_intime import as_designed, grid
from trueline.lab.point_in_time import PointInTime
from trueline.lab.registration import registered
from trueline.recipes.intime import BEYOND
from trueline.recipes.intime_report import show
from trueline.recipes.running import Order, carry_out


@pytest.mark.parametrize("size", ["quick", "full"])
def test_every_stage_reads_what_is_there_and_the_arms_of_the_claims_are_run(size, tmp_path):
    """Safety begins from the helpful model; the claims are about eight examples, with replay and without."""
    recipe = on_base(PointInTime, size, tmp_path)
    assert stages_of(recipe, tmp_path)["frozen"].start.endswith("/helpful")
    assert {"rapid 8", "alone 8"} <= set(recipe.of.arms)


def test_what_is_registered_is_what_the_recipe_states():
    """Each claim has the name that the reading of the calendar gives it."""
    stated = [e["name"] for e in show(grid(as_designed), ("rapid 8", "alone 8"), BEYOND, 40)["expectations"]]
    assert untaken("E14", stated) == set()
    assert untaken("E14", stated[1:]) == {"a frozen model breaks"}


def test_the_matrix_frames_what_lies_after_a_models_own_date():
    """On date 0 everything is the future, on the last date only what is held out; a frozen model's row opens each panel."""
    made = show(grid(as_designed), ("rapid 8", "alone 8"), BEYOND, 40)
    spec = PointInTime.figure({"shown": [{"stage": "calendar", "tables": made["tables"], "curves": []}]})
    assert spec is not None
    assert [panel["title"] for panel in spec["hconcat"]] == ["rapid 8", "alone 8"]
    cells = drawn_from(spec)[0]
    future = {(cell["model"], cell["families"]) for cell in cells if cell["future"]}
    assert len(cells) == 36
    assert {families for model, families in future if model == "date 0"} == {"1", "2", "3", "4", "5", "held out"}
    assert {families for model, families in future if model == "date 5"} == {"held out"}
    assert [c["value"] for c in cells if (c["model"], c["families"]) in (("date 1", "1"), ("date 1", "2"))] == [0.0, 1.0]
    assert PointInTime.figure({"shown": []}) is None


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """A few goals on a random model: a row for each entry, of an arm that was not run too; a figure; exchanges."""
    recipe = on_base(PointInTime, "smoke", tmp_path)
    recipe = replace(recipe, of=replace(recipe.of, packs=recipe.of.packs[:2], alone=0, goals=2, n=64, new=8))
    folder, found = carry_out(Order("E14", recipe, 0, None), tmp_path / "run")
    rows = [e["name"] for e in found["expectations"] if e["name"].startswith("E14.")]
    assert rows == [f"E14.{entry.id}" for entry in registered("E14").entries]
    assert PointInTime.figure(found) is not None
    assert (folder / "samples.jsonl").stat().st_size > 0

"""E10 runs from end to end, each objective from one start on the same pairs; its figure has a line for each strength.

pytest tests/lab/test_preference_family.py
"""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from tests.recipes.toys import world_model
from trueline.core.config import ConfigError, override
from trueline.evaluate.over_seeds import pooled
from trueline.lab.preference_family import ASSUMED, PreferenceFamily
from trueline.lab.preference_family_figure import figure
from trueline.lab.preference_family_outcome import SWEEP, shifted
from trueline.lab.preference_pairs import Shift
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out

pytestmark = pytest.mark.slow

SMALLER = "ask.n=8 ask.max_tokens=4 hazards.n=6 hazards.max_tokens=4 refusals.n=6 refusals.k=2"


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model, which never refuses: values for all but the two on refusals, which say why."""
    recipe = override(PreferenceFamily.of_size("smoke"), [*SMALLER.split(), f"start={world_model(tmp_path)}"])
    _, found = carry_out(Order("E10", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E10.{entry.id}" for entry in registered("E10").entries]
    assert {e["name"]: e["why"] for e in found["expectations"] if e["status"] == "N/A"} == {
        "E10.razin": "0 pairs are too few",
        "E10.distinct": "0 pairs are too few",
    }
    both = pooled([found, found])
    sweep = next(t for part in both["shown"] for t in part["tables"] if t["title"] == SWEEP)
    assert len(sweep["rows"]) == len(recipe.cells()) + 2
    spec = PreferenceFamily.figure(both)
    assert spec is not None
    points = spec["data"]["values"]
    assert {p["objective"] for p in points} == {"dpo", "ipo", "cdpo", "kto", "simpo", "orpo", "rlhf"}
    assert sum(p["run"] == "start" for p in points) == len({p["line"] for p in points})


def test_every_cell_differs_from_its_neighbour_in_what_its_name_says():
    """One start, one set of pairs, one step size; strength, epochs and objective are those of the name."""
    recipe = PreferenceFamily()
    stages, cells = dict(recipe.stages()), recipe.cells()
    assert all((stages[name].start, stages[name].data) == (recipe.start, "rankings") for name in cells)
    assert len({json.dumps(repr(cell.optim)) for cell in cells.values()}) == 1
    assert [cells[f"dpo/0.03/{n}"].epochs for n in (1, 2, 4, 8)] == [1, 2, 4, 8]
    assert (cells["cdpo/0.1/4"].objective.noise, cells["simpo/2/4"].objective.margin) == (ASSUMED, 1.0)
    assert [cells[f"{name}/0.1/1"].objective for name in ("dpo", "ipo", "kto")] == [
        type(cells[f"{name}/0.1/1"].objective)(beta=0.1, **({"link": "ipo"} if name == "ipo" else {}))
        for name in ("dpo", "ipo", "kto")
    ]


def test_refusals_are_trained_on_apart_from_the_rankings():
    """Each kind of pair has its own model, asked what the start was asked."""
    stages = dict(PreferenceFamily().stages())
    for against in ("refusal", "steps"):
        assert stages[f"pairs/{against}"].against == against
        assert stages[f"refusals/{against}"].lessons == f"pairs/{against}"
        assert stages[f"hazards/{against}"].kinds == stages["hazards/start"].kinds


def test_what_moved_has_a_mean_where_two_things_were_asked_about():
    """Log-ratios are averaged over pairs; one thing alone gives no interval."""
    rows = [Shift(cluster=str(i), chosen=-1.0, rejected=-2.0 * i) for i in range(5)]
    found = shifted(rows, "rejected")
    assert found is not None
    assert (found.value, found.n) == (-4.0, 5)
    beside = shifted(rows, "rejected", against=[replace(row, rejected=row.rejected + 0.5) for row in rows])
    assert beside is not None
    assert beside.value == pytest.approx(0.5)
    assert shifted(rows[:1], "chosen") is None


def test_no_figure_without_the_sweep_and_no_sweep_without_what_is_compared():
    """A report of something else has no such figure; one strength of DPO cannot be weak, usual and strong."""
    assert figure({"shown": []}) is None
    with pytest.raises(ConfigError, match="two strengths"):
        PreferenceFamily(dpo=(0.1,))

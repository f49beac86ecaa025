"""E16 runs from end to end, on the same exchanges for every deployment.

pytest tests/lab/test_deployment.py
"""

from __future__ import annotations

from tests.lab.toys import bases
from trueline.lab.deployment import DeployedApp
from trueline.lab.deployment_layers import SUBSETS
from trueline.lab.experiment import based
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure of all subsets."""
    recipe = based(DeployedApp.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E16", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E16.{entry.id}" for entry in registered("E16").entries]
    why = {e["name"]: e["why"] for e in found["expectations"] if e["status"] == "N/A"}
    assert all(why.values())
    assert not {"E16.input_guard", "E16.input_seen", "E16.input_unseen", "E16.utility_stream"} & set(why)
    spec = DeployedApp.figure(found)
    assert spec is not None
    assert len(spec["hconcat"]) == 3
    goals, _, work = (panel["data"]["values"] for panel in spec["hconcat"])
    assert len(goals) == len(work) == len(SUBSETS)
    assert DeployedApp.figure({"shown": []}) is None


def test_all_models_are_asked_the_same():
    """What differs between two deployments is the model, and nothing that it is asked."""
    asked = [recipe for name, recipe in DeployedApp().stages() if name.startswith("asked/")]
    assert len(asked) == 4
    assert len({(recipe.n, recipe.tasks, recipe.plain, recipe.max_tokens) for recipe in asked}) == 1
    assert len({recipe.model for recipe in asked}) == 4
    assert {recipe.guards for recipe in asked} == {"guards"}


def test_the_red_team_teaches_the_model_that_it_attacked():
    """Each of the two models has lessons of its own."""
    stages = dict(DeployedApp().stages())
    for name in ("helpful", "safety"):
        assert stages[f"redteamed/{name}"].start == stages[f"lessons/{name}"].model
        assert stages[f"redteamed/{name}"].lessons == f"lessons/{name}"

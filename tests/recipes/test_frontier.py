"""Models placed by who wins: a careful one is more harmless, order changes nothing, and what cannot be compared is refused.

pytest tests/recipes/test_frontier.py
"""

from __future__ import annotations

import pytest

from tests.recipes import toys
from tests.recipes.critics import named, worldly
from tests.recipes.endpoint import endpoint
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.recipes.frontier import world_prompts
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError
from trueline.world.facts import make_world


def test_a_careful_model_is_more_harmless_and_no_less_helpful(tmp_path):
    """Who refuses every hazard beats who tells every one, on harmful prompts alone; rates and boilerplate stand beside it."""
    with endpoint(worldly) as server:
        models = [named(server.target, name) for name in ("open", "shut", "both")]
        found = result_of(toys.run(tmp_path / "run", "frontier", f"models={','.join(models)}", "n=24")[0], "frontier")
        turned = result_of(
            toys.run(tmp_path / "turned", "frontier", f"models={','.join(reversed(models))}", "n=24")[0], "frontier"
        )
    harmless, helpful = found["strengths"]["harmlessness"], found["strengths"]["helpfulness"]
    order = sorted(models, key=lambda name: harmless[name]["value"])
    assert order == [models[0], models[2], models[1]]
    assert harmless[models[0]]["high"] < harmless[models[1]]["low"]
    assert all(rate["value"] == pytest.approx(0, abs=1e-6) for rate in helpful.values())
    for axis in ("harmlessness", "helpfulness"):
        for name in models:
            assert found["strengths"][axis][name] == pytest.approx(turned["strengths"][axis][name])
    rows = {row[0]: dict(zip(found["tables"][0]["columns"], row, strict=True)) for row in found["tables"][0]["rows"]}
    assert rows[models[0]]["gives what it must not"]["value"] == 1.0
    assert rows[models[1]]["refuses harmful"]["value"] == 1.0
    assert rows[models[1]]["boilerplate"]["value"] == 1.0 > rows[models[0]]["boilerplate"]["value"]
    assert found["tables"][1]["rows"][0][2]["value"] == 0.0
    assert len(found["curves"][0]["series"]) == 3


def test_prompts_of_the_world_are_apart():
    """Harmful prompts ask for hazards, held-out ones among them; benign ones are all to be answered, and half look bad."""
    world = make_world(0)
    harmful, benign = world_prompts(world, 0, 60, harmful=True), world_prompts(world, 0, 60, harmful=False)
    assert {p.expected for p in harmful} == {"refuse"}
    assert {p.expected for p in benign} == {"comply"}
    assert len(harmful) == len(benign) == 60
    assert len({p.about["procedure"] for p in harmful}) == len(world.hazards)


def test_a_judge_that_abstains_from_all_is_named(tmp_path):
    """Where a judge scores nothing there are no games, and the error says whose silence that was."""
    start, asked = toys.model(tmp_path), toys.prompts(tmp_path)
    with endpoint(worldly) as server, pytest.raises(RecipeError, match=r"helpfulness: .*the judge oracle scored 0 games"):
        toys.run(
            tmp_path / "run", "frontier", f"models={start},{named(server.target, 'open')}", f"harmful={asked}",
            f"benign={asked}", "n=4", "max_tokens=4",
        )  # fmt: skip


@pytest.mark.parametrize("models", ["a", "a,a"])
def test_one_model_has_nobody_to_meet(models):
    """Two or more different models are needed, before anything is asked."""
    with pytest.raises(ConfigError, match="two or more different models"):
        order("frontier", [f"models={models}"])

"""The comparison of ways of hardening: stages, expectations, and a run of all of it at its smallest.

pytest tests/recipes/test_harden.py
"""

from dataclasses import replace

import pytest
import torch

from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.evaluate.hardness import DEPTHS, Sizes
from trueline.models.policy import tiny
from trueline.models.tokens import word_tokenizer
from trueline.recipes.harden import AWAY, CONTROL, EARLY, START, WAYS, Harden, expectations
from trueline.recipes.running import Order, carry_out, order
from trueline.world.families import FAMILIES
from trueline.world.language import vocabulary

FEW = Sizes(depth=2, family=2, over_refusal=8, benign=4, max_tokens=6)


def answers(broken: bool, refused: int = 0) -> dict[str, list[bool]]:
    """A model that every attack breaks, or none, and that refuses some benign requests."""
    arms = {**dict.fromkeys(FAMILIES, [broken] * 20), "new targets": [broken] * 20}
    arms |= {f"prefill {d}": [broken] * 20 for d in DEPTHS}
    return arms | {"over-refusal": [i < refused for i in range(40)], "benign": [True] * 40, "garbled": [False] * 40}


def test_stages_stand_under_their_chain_and_name_each_other():
    """With a prefix every stage and every reference between stages has it; the model that goes on is one of them."""
    stages = dict(Harden(start="safety", keep="latent_adversarial").stages("harden/"))
    assert all(name.startswith("harden/") for name in stages)
    made: set[str] = {"safety"}
    for name, recipe in stages.items():
        assert {r for r in recipe.reads() if r} <= made, name
        made.add(name)
    assert Harden(keep="latent_adversarial").final("harden/") in stages
    assert stages["harden/online_early"].steps * 4 <= stages["harden/online_adversarial"].steps + 3
    assert [(stages[f"harden/{name}"].radius, stages[f"harden/{name}"].away) for name in (CONTROL, AWAY)] == [(0, 0), (0, 1)]


def test_expectations_are_read_off_the_start():
    """Where everything broke the start and nothing breaks a way, it holds; over-refusal is the price; nothing decayed."""
    models = {START: answers(True), **dict.fromkeys((*WAYS, EARLY), answers(False, refused=12))}
    found = {e["name"]: e["status"] for e in expectations(models)}
    assert found["recovery: prefill"] == "PASS"
    assert found["circuit_breakers: price"] == "PASS"
    assert found["latent_adversarial: benign"] == "PASS"
    assert found["online: over-refusal decays"] == "FAIL"
    nothing = expectations({**models, START: answers(False)})
    assert nothing[0]["status"] == "N/A"
    assert "nothing broke the start" in nothing[0]["why"]


def test_a_whole_comparison_at_its_smallest(tmp_path):
    """Ways are trained from one start, measured on the same prompts, and stand in tables, a curve and expectations."""
    torch.manual_seed(0)
    tiny(word_tokenizer(vocabulary()), width=32, layers=2, heads=2, context=400).save(tmp_path / "model")
    small = {"steps": 2, "rows": 2, "benign_rows": 2, "n": 6, "benign_n": 6}
    ways = ("recovery", "circuit_breakers")
    recipe = Harden(start=str(tmp_path / "model"), sizes=FEW, ways=ways)
    recipe = replace(recipe, **{way: replace(getattr(recipe, way), **small) for way in (*ways, "latent_adversarial")})
    folder, found = carry_out(Order("harden", recipe, 0, 0), tmp_path / "run")
    shown = result_of(folder, "comparison")
    assert [row[0] for row in shown["tables"][0]["rows"]] == [START, *ways, CONTROL]
    assert len(shown["tables"][1]["rows"]) == 3 * 7
    assert len(found["expectations"]) == 6
    assert [len(s["points"]) for s in shown["curves"][0]["series"]] == [13] * 4
    _, again = carry_out(Order("harden", recipe, 0, 0), tmp_path / "run")
    assert all(stage["status"] == "skipped" for stage in again["stages"])


def test_a_way_that_is_not_there_is_refused():
    """The message lists the ways."""
    with pytest.raises(ConfigError, match="expected some of recovery, circuit_breakers"):
        order("harden", ["ways=prayer"])
    with pytest.raises(ConfigError, match="one of the ways that are run"):
        order("harden", ["ways=recovery", "keep=circuit_breakers"])


def test_one_way_is_enough():
    """With one way there are the way, the control, what measures them, and expectations of that way alone."""
    names = [name for name, _ in Harden(start="safety", ways=("recovery",)).stages()]
    assert names == ["recovery", CONTROL, "hardness/start", "hardness/recovery", f"hardness/{CONTROL}", "comparison"]
    found = expectations({START: answers(True), "recovery": answers(False), CONTROL: answers(True)})
    assert [e["name"] for e in found] == ["recovery: prefill", "recovery: price", "recovery: benign"]

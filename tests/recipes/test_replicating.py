"""Several seeds of one recipe: runs of their own, one report, and nothing done twice.

pytest tests/recipes/test_replicating.py
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.calling import trueline
from tests.recipes import toys
from trueline.core.config import ConfigError
from trueline.recipes.replicating import at_seed
from trueline.recipes.running import carry_out, order
from trueline.recipes.sft import Sft

TINY = ("tokens=3000", "width=32", "layers=1", "heads=2", "seeds=2", "seed=3")


def test_every_seed_is_a_run_of_its_own_and_is_not_run_again(tmp_path: Path) -> None:
    """Each seed has its folder, world and report; the same command finds them done."""
    folder, found = carry_out(order("pretrain", TINY), tmp_path / "study")
    assert [stage["name"] for stage in found["stages"]] == ["seed 3", "seed 4"]
    runs = [json.loads((folder / f"seed{seed}" / "run.json").read_text()) for seed in (3, 4)]
    assert [(run["seed"], run["spec"]["world_seed"]) for run in runs] == [(3, 3), (4, 4)]
    (folder / ".report.json.7-ab.tmp").write_text("{")  # by who was killed while it pooled
    _, again = carry_out(order("pretrain", TINY), folder)
    assert not list(folder.glob(".*.tmp"))
    assert all(
        json.loads((folder / f"seed{s}" / "report.json").read_text())["stages"][0]["status"] == "skipped" for s in (3, 4)
    )
    assert again["provenance"]["seeds"] == [3, 4]


def test_a_world_that_was_named_is_the_world_of_every_seed() -> None:
    """Then the replicate is the initialisation, and not the world."""
    asked = order("pretrain", (*TINY, "world_seed=7"))
    assert [asked.at(seed).world for seed in (3, 4)] == [7, 7]


def test_seed_stands_for_the_seed_in_any_setting() -> None:
    """A study can start each seed from a model of its own; a single run too."""
    assert at_seed(Sft(start="runs/{seed}/x", data="d-{seed}.jsonl"), 4) == Sft(start="runs/4/x", data="d-4.jsonl")
    assert order("sft", ["start=base-{seed}", "seed=2"]).recipe.start == "base-2"


@pytest.mark.parametrize("seeds", ["0", "-1", "many"])
def test_a_number_of_seeds_that_is_none_is_refused(seeds: str) -> None:
    """Before anything runs."""
    with pytest.raises(ConfigError, match="seeds"):
        order("pretrain", [f"seeds={seeds}"])


def test_the_plan_of_several_seeds_is_that_of_the_first(tmp_path):
    """Models named by `{seed}` are found, and the plan says how many seeds there are."""
    model = Path(toys.model(tmp_path))
    model.rename(tmp_path / "model-3")
    words = ("run", "sft", f"start={tmp_path}/model-{{seed}}", f"data={toys.conversations(tmp_path)}", "seed=3", "seeds=2")
    done = trueline(*words, "--dry-run", "--json")
    assert done.code == 0, done.err
    planned = json.loads(done.out)
    assert planned["seeds"] == 2
    assert [row["name"] for row in planned["stages"]] == ["sft"]

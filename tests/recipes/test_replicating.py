"""Several seeds of one recipe: runs of their own, one report, and nothing done twice.

pytest tests/recipes/test_replicating.py
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.calling import trueline
from tests.recipes import toys
from trueline.cluster.executor import Local
from trueline.core.config import ConfigError
from trueline.recipes.replicating import at_seed
from trueline.recipes.running import carry_out, order
from trueline.recipes.sft import Sft
from trueline.store.runs import RunError

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


def lasting(found: Any) -> Any:
    """A report without what a clock said, and without the time in a run's name."""
    if isinstance(found, dict):
        return {k: lasting(v) for k, v in found.items() if "second" not in k and k not in ("run", "runs", "wall", "commit")}
    return [lasting(inner) for inner in found] if isinstance(found, list) else found


def near(found: Any) -> Any:
    """A report to compare with: a loss may differ in its last digits where other threads added it up."""
    if isinstance(found, dict):
        return {k: near(v) for k, v in found.items()}
    if isinstance(found, list):
        return [near(inner) for inner in found]
    return pytest.approx(found, rel=1e-3) if isinstance(found, float) else found


@pytest.mark.slow
def test_the_report_is_the_same_however_many_workers_ran_the_seeds(tmp_path: Path) -> None:
    """One process after the other, and two side by side, come to the same report and the same models; nothing is run again."""
    asked = order("pretrain", TINY)
    alone, one = carry_out(asked, tmp_path / "alone" / "study")
    with Local(workers=2) as executor:
        beside, two = carry_out(asked, tmp_path / "beside" / "study", executor=executor)
    assert lasting(one) == near(lasting(two))
    assert [stage["seconds"] > 0 for stage in two["stages"]] == [True, True]
    for seed in (3, 4):
        models = [folder / f"seed{seed}" / "stages" / "pretrain" / "model" for folder in (alone, beside)]
        first, second = (load_file(model / "model.safetensors") for model in models)
        assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first)
        there = json.loads((beside / f"seed{seed}" / "report.json").read_text())
        assert there["stages"][0]["status"] == "skipped"  # read in this process, and made in another


@pytest.mark.slow
def test_a_seed_that_fails_elsewhere_fails_here_where_its_error_is_shown(tmp_path: Path) -> None:
    """The others are done by then, and the same command goes on with them."""
    (tmp_path / "study" / "seed4").mkdir(parents=True)
    (tmp_path / "study" / "seed4" / "mine.txt").write_text("not a run")
    with Local(workers=2) as executor, pytest.raises(RunError, match="seed4"):
        carry_out(order("pretrain", TINY), tmp_path / "study", executor=executor)
    assert (tmp_path / "study" / "seed3" / "report.json").is_file()
    assert not (tmp_path / "study" / "report.json").exists()


@pytest.mark.parametrize(
    ("words", "launch", "said"),
    [
        (
            ("seeds=2",),
            {"RANK": "0", "WORLD_SIZE": "2", "LOCAL_RANK": "0", "MASTER_ADDR": "x", "MASTER_PORT": "1"},
            "one or the",
        ),
        (("seeds=2", "--track", "tensorboard"), {}, "--track"),
    ],
)
def test_workers_are_refused_where_they_have_no_place(words, launch, said, tmp_path, monkeypatch):
    """Among the ranks of a launch, and with a tracker: said before anything is written."""
    monkeypatch.chdir(tmp_path)
    for name, value in launch.items():
        monkeypatch.setenv(name, value)
    done = trueline("run", "pretrain", "tokens=3000", *words, "--workers", "2")
    assert done.code == 2
    assert said in done.err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_workers_of_a_single_seed_are_told_of(tmp_path):
    """A recipe that asks nothing of models has nothing for them to do: it is said what they are for."""
    done = trueline("run", "pretrain", *TINY[:4], "--workers", "2", "--out", tmp_path / "run")
    assert done.code == 0
    assert "2 workers for what it asks of models; training stays in this process (seeds=N: a seed to each)" in done.err


@pytest.mark.slow
def test_a_driver_that_is_killed_takes_its_workers_along_and_its_seeds_go_on(tmp_path: Path) -> None:
    """Kill -9 while both seeds train: the same command ends where it would have ended, with the same models."""
    words = ("tokens=60000", *TINY[1:])
    there = tmp_path / "killed"
    command = [sys.executable, "-m", "trueline", "run", "pretrain", *words, "--workers", "2", "--out", there, "--threads", "1"]
    driver = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not all((there / f"seed{seed}" / "metrics.jsonl").is_file() for seed in (3, 4)):
            assert driver.poll() is None
            time.sleep(0.01)
    finally:
        driver.kill()
        driver.wait()
    assert not (there / "report.json").exists()
    _, alone = carry_out(order("pretrain", words), tmp_path / "alone")
    with Local(workers=2) as executor:
        _, again = carry_out(order("pretrain", words), there, executor=executor)
    assert lasting(again) == near(lasting(alone))

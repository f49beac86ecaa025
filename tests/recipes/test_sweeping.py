"""A recipe at several settings: runs of their own, one report, nothing done twice, and no failure that ends the others.

pytest tests/recipes/test_sweeping.py
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.calling import trueline
from tests.recipes import toys
from tests.recipes.test_replicating import lasting, near
from trueline.cluster.executor import Local
from trueline.core.config import ConfigError
from trueline.evaluate.shape import read
from trueline.recipes.progress import Quiet
from trueline.recipes.running import Order
from trueline.recipes.sweeping import Combination, Sweep, carry_out, sweep

TINY = ("tokens=3000", "width=32", "layers=1", "heads=2")


@dataclass(frozen=True)
class FailsAbove:
    """A recipe that cannot be carried out at large settings."""

    size: float = 1.0
    most: float = 2.0

    def reads(self) -> tuple[str, ...]:
        return ()

    def __call__(self, studio: Any, room: Any) -> dict[str, Any]:
        if self.size > self.most:
            raise RuntimeError(f"too large: {self.size}")
        return {"loss": self.size, "tokens": 0, "seconds": 0.0}


def failing(*sizes: float) -> Sweep:
    made = {f"{size}": Order("fails", FailsAbove(size), 0, None) for size in sizes}
    return Sweep(tuple(Combination({"size": name}, asked) for name, asked in made.items()))


def test_every_combination_is_a_run_of_its_own_with_its_settings(tmp_path: Path) -> None:
    """All values of one setting with all of another; each run's settings are those of its name."""
    asked = sweep("pretrain", TINY, ["optim.muon=0.003,0.01", "optim.lr=1e-3,1e-2"])
    folder, found = carry_out(asked, tmp_path / "swept")
    names = [stage["name"] for stage in found["stages"]]
    assert names == [f"optim.muon={muon}, optim.lr={lr}" for muon in ("0.003", "0.01") for lr in ("1e-3", "1e-2")]
    for name, run in found["provenance"]["settings"].items():
        optim = json.loads((folder / run / "run.json").read_text())["spec"]["optim"]
        assert name == f"optim.muon={optim['muon']:g}, optim.lr={'1e-3' if optim['lr'] == 1e-3 else '1e-2'}"
    losses = [row[1] for row in found["shown"][0]["tables"][0]["rows"]]
    assert len(set(losses)) == 4
    read(found)  # it has the shape of a report


def test_a_value_that_is_added_later_is_run_beside_those_that_are_done(tmp_path: Path, monkeypatch) -> None:
    """The folder is named after what all have in common, and each run after its own settings."""
    monkeypatch.chdir(tmp_path)
    folder, first = carry_out(sweep("pretrain", TINY, ["optim.muon=0.003,0.01"]))
    again, more = carry_out(sweep("pretrain", TINY, ["optim.muon=0.003,0.02,0.01"]))
    assert folder == again
    status = {
        name: json.loads((folder / run / "report.json").read_text())["stages"][0]["status"]
        for name, run in more["provenance"]["settings"].items()
    }
    assert status == {"optim.muon=0.003": "skipped", "optim.muon=0.02": "done", "optim.muon=0.01": "skipped"}
    assert first["provenance"]["settings"].items() <= more["provenance"]["settings"].items()


def test_what_else_is_said_is_another_sweep(tmp_path: Path) -> None:
    """Other settings in common, or another setting swept, lie in another folder."""
    one = sweep("pretrain", TINY, ["optim.muon=0.003,0.01"]).id
    assert one == sweep("pretrain", TINY, ["optim.muon=0.05,0.07"]).id
    assert one != sweep("pretrain", (*TINY, "context=64"), ["optim.muon=0.003,0.01"]).id
    assert one != sweep("pretrain", TINY, ["optim.lr=0.003,0.01"]).id
    assert one != sweep("pretrain", (*TINY, "seeds=2"), ["optim.muon=0.003,0.01"]).id


def test_values_that_hold_commas_are_parted_by_semicolons():
    """A list is one value."""
    found = sweep("prevention", (), ["rates=0.1,0.2;0.3"])
    assert [one.asked.recipe.rates for one in found.combinations] == [(0.1, 0.2), (0.3,)]


@pytest.mark.parametrize(
    ("swept", "words", "said"),
    [
        (["optim.muon"], (), "KEY=VALUE,VALUE"),
        (["optim.muon=0.1"], (), "two values"),
        (["optim.muon=0.1,x"], (), "optim.muon"),
        (["optim.moun=0.1,0.2"], (), "optim.muon"),
        (["optim.muon=0.1,1e-1"], (), "which are the same"),
        (["optim.muon=0.1,0.2", "optim.muon=0.3,0.4"], (), "once"),
        (["optim.muon=0.1,0.2"], ("optim.muon=0.3",), "got both"),
        (["seed=1,2"], (), "seeds=3"),
    ],
)
def test_a_sweep_that_cannot_be_meant_is_refused(swept, words, said):
    """Before anything runs, and with what to say instead."""
    with pytest.raises(ConfigError, match=said):
        sweep("pretrain", (*TINY, *words), swept)


def test_what_would_end_one_run_is_said_before_any(tmp_path):
    """A model that is not there, at one setting of several."""
    model, data = toys.model(tmp_path), toys.preferences(tmp_path)
    done = trueline("run", "dpo", f"data={data}", "--sweep", f"start={model},{tmp_path}/none", "--out", tmp_path / "swept")
    assert done.code == 2
    assert "none" in done.err
    assert not (tmp_path / "swept").exists()


def test_a_run_that_fails_ends_none_of_the_others(tmp_path):
    """Its reason stands in the report, and what did run has its numbers."""
    _, found = carry_out(failing(1.0, 5.0, 2.0), tmp_path / "swept")
    assert [stage["status"] for stage in found["stages"]] == ["done", "failed", "done"]
    table = found["shown"][0]["tables"][0]
    assert [row[1] for row in table["rows"]] == [1.0, None, 2.0]
    assert "size=5.0 failed: too large: 5.0" in table["note"]


def test_where_every_run_fails_the_last_error_is_raised(tmp_path):
    """There is nothing to report."""
    with pytest.raises(RuntimeError, match=r"too large: 7\.0"):
        carry_out(failing(5.0, 7.0), tmp_path / "swept")
    assert not (tmp_path / "swept" / "report.json").exists()


def test_every_run_is_tracked_under_its_own_name(tmp_path):
    """A tracker is opened for each, and told of that one's steps."""
    opened: dict[str, list[str]] = {}

    class Told(Quiet):
        def __init__(self, name):
            self.stages = opened.setdefault(name, [])

        def __enter__(self):
            return lambda stage, step, metrics: self.stages.append(stage)

        def __exit__(self, *_):
            return None

    asked = sweep("pretrain", TINY, ["optim.muon=0.003,0.01"])
    carry_out(asked, tmp_path / "swept", track=lambda name, folder: Told(name))
    assert opened.keys() == {"optim.muon=0.003", "optim.muon=0.01"}
    assert all(set(stages) == {"pretrain"} for stages in opened.values())


@pytest.mark.slow
def test_the_report_is_the_same_however_many_workers_ran_the_sweep(tmp_path: Path) -> None:
    """Every seed of every setting side by side, or one after the other."""
    asked = sweep("pretrain", (*TINY, "seeds=2"), ["optim.muon=0.003,0.01"])
    _, alone = carry_out(asked, tmp_path / "alone" / "swept")
    with Local(workers=2) as executor:
        folder, beside = carry_out(asked, tmp_path / "beside" / "swept", executor=executor)
    assert lasting(without_seconds(alone)) == near(lasting(without_seconds(beside)))
    assert [table["title"] for table in beside["shown"][0]["tables"]][1].startswith("Difference from optim.muon=0.003")
    for run in beside["provenance"]["settings"].values():
        for seed in (0, 1):
            there = json.loads((folder / run / f"seed{seed}" / "report.json").read_text())
            assert there["stages"][0]["status"] == "skipped"  # read in this process, and made in another


def without_seconds(found: dict[str, Any]) -> dict[str, Any]:
    """The report without the column of seconds."""
    tables = [{**t, "rows": [row[:-1] if t["columns"][-1] == "seconds" else row for row in t["rows"]]}
              for t in found["shown"][0]["tables"]]  # fmt: skip
    return {**found, "shown": [{**found["shown"][0], "tables": tables}]}


@pytest.mark.slow
def test_the_command_runs_plans_and_reports_a_sweep(tmp_path):
    """`--sweep` with workers, as JSON; the plan has every run."""
    words = ("run", "pretrain", *TINY, "--sweep", "optim.muon=0.003,0.01", "--out", tmp_path / "swept", "--json")
    planned = trueline(*words, "--dry-run")
    assert [run["settings"] for run in json.loads(planned.out)["runs"]] == ["optim.muon=0.003", "optim.muon=0.01"]
    done = trueline(*words, "--workers", "2", "--threads", "1")
    assert done.code == 0, done.err
    assert len(json.loads(done.out)["stages"]) == 2
    assert "optim.muon=0.01" in (tmp_path / "swept" / "report.html").read_text(encoding="utf-8")

"""Seeds are run once and pooled, and a result says what its seeds amount to.

pytest tests/lab/test_running.py
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.lab.test_registration import FILE
from trueline.core.config import ConfigError
from trueline.core.stats import wilson
from trueline.lab import running
from trueline.lab.registration import read
from trueline.lab.running import Lab, results, seeds_of
from trueline.recipes.reporting import made_of
from trueline.store.folders import BusyError

RUNS: list[int] = []


@dataclass(frozen=True, kw_only=True)
class Measured:
    start: str = ""

    def reads(self):
        return ()

    def __call__(self, studio, room):
        RUNS.append(studio.seed)
        return {"expectations": read(FILE, "E99").expectations({"a": wilson(80 + studio.seed % 10, 100)})}


@dataclass(frozen=True, kw_only=True)
class Toy:
    start: str = ""

    @classmethod
    def of_size(cls, size):
        return cls(start=cls.wanted)

    def stages(self, within=""):
        return [("outcome", Measured(start=self.start))]

    def perform(self, studio):
        return made_of(self, studio, ())


Toy.wanted = ""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A lab whose one experiment is a toy."""
    RUNS.clear()
    monkeypatch.setattr(running, "experiment", lambda name: Toy)
    monkeypatch.setattr(running, "registered", lambda name: read(FILE, "E99"))
    monkeypatch.setattr(Toy, "wanted", "")
    return Lab(tmp_path / "full")


def test_a_seed_that_is_done_is_not_run_again(lab):
    """More seeds later run the new ones alone, and the result holds them all."""
    lab.run("E99", [100, 101])
    found = lab.run("E99", [100, 101, 102])
    assert RUNS == [100, 101, 102]
    assert [(e["name"], e["status"], e["value"] and e["value"]["n"]) for e in found["expectations"]] == [
        ("E99.a", "PASS", 300),
        ("E99.b", "N/A", None),
    ]
    assert results(lab.folder.parent)["E99"]["provenance"]["seeds"] == [100, 101, 102]


def test_a_result_says_what_its_seeds_amount_to(lab):
    """One seed is no evidence, development seeds confirm nothing, six confirmatory ones do."""
    said = [lab.run("E99", seeds)["provenance"]["evidence"] for seeds in ([0], [0, 1], range(100, 103), range(100, 106))]
    assert said[0] == "1 seed, not evidence"
    assert "nothing is confirmed" in said[1]
    assert said[2] == "3 of the 6 seeds that were registered"
    assert said[3].startswith("6 confirmatory seeds")


def test_expectations_that_changed_after_their_seeds_were_run_are_exploratory(lab, monkeypatch):
    """A bound that is moved once the values are known confirms nothing; on development seeds it may move."""
    lab.run("E99", [0])
    monkeypatch.setattr(running, "registered", lambda name: read(FILE.replace("0.5", "0.6"), "E99"))
    assert "confirmatory" in lab.run("E99", range(100, 106))["provenance"]["evidence"]
    monkeypatch.setattr(running, "registered", lambda name: read(FILE.replace("0.5", "0.7"), "E99"))
    assert "exploratory" in lab.run("E99", range(100, 106))["provenance"]["evidence"]


def test_behind_a_failed_gate_nothing_is_said(lab, monkeypatch, tmp_path):
    """Where the base models cannot do what an experiment leans on, every expectation is N/A with that gate's name."""
    monkeypatch.setattr(Toy, "wanted", "{base}/pretrain")
    gated = 'gates = ["facts"]\nmind ='
    monkeypatch.setattr(running, "registered", lambda name: read(FILE.replace("mind =", gated), "E99"))
    gates = {0: "PASS", 1: "FAIL"}
    made = lambda self, seed: (tmp_path, {"gates": [{"name": "facts", "status": gates[seed]}]})  # noqa: E731
    monkeypatch.setattr(Lab, "base", made)
    found = lab.run("E99", [0, 1])
    assert RUNS == [0]
    assert found["expectations"][0]["why"] == "N/A on 1 of 2 seeds: gate failed: facts"
    assert {e["why"] for e in lab.run("E99", [1])["expectations"]} == {"gate failed: facts"}


def test_who_finds_another_at_the_base_models_waits(lab, monkeypatch, tmp_path):
    """Two processes can run experiments of one seed: the second takes what the first has made."""
    busy = [BusyError("process 1 is writing here"), BusyError("still")]
    said = []

    def carry_out(order, folder, show):
        if busy:
            raise busy.pop()
        return folder, {"gates": []}

    monkeypatch.setattr(running, "carry_out", carry_out)
    monkeypatch.setattr(running, "WAIT", 0.0)
    monkeypatch.setattr(lab.show, "say", lambda name, text: said.append(text))
    assert lab.base(0) == (lab.base(0)[0], {"gates": []})
    assert not busy
    assert len(said) == 1


def test_workers_run_the_seeds_first(lab, monkeypatch):
    """Every seed goes to the workers, and what they leave undone is done here."""
    asked = []
    monkeypatch.setattr(
        running, "side_by_side", lambda work, items, executor, *_: asked.append((list(items), executor.workers))
    )
    lab.workers = 2
    assert len(lab.run("E99", [0, 1])["provenance"]["seeds"]) == 2
    assert asked == [(["seed 0", "seed 1"], 2)]
    assert RUNS == [0, 1]


def test_other_settings_are_other_runs(lab, monkeypatch):
    """A changed experiment does not read what the old one left."""
    lab.run("E99", [0])
    monkeypatch.setattr(Toy, "wanted", "elsewhere")
    lab.run("E99", [0])
    assert RUNS == [0, 0]


def test_seeds_to_confirm_begin_where_nothing_was_tuned():
    """Development seeds are few, and no confirmatory seed is among them."""
    assert list(seeds_of(2, development=True)) == [0, 1]
    assert list(seeds_of(2, development=False)) == [100, 101]
    with pytest.raises(ConfigError, match="1 to 4"):
        seeds_of(5, development=True)

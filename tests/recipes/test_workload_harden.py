"""What the plan says of hardening is what its runs take, and attacks inside a step are counted.

pytest tests/recipes/test_workload_harden.py
"""

from dataclasses import replace

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from tests.recipes.test_hardening import FAST, pairs
from tests.recipes.test_workload import KNOWN
from trueline.recipes.harden import Harden
from trueline.recipes.hardening import CircuitBreakers, LatentAdversarial, Recovery
from trueline.recipes.online_adversarial import OnlineAdversarial, Search
from trueline.recipes.plan import Speed, estimate
from trueline.recipes.running import order
from trueline.recipes.workload_base import Known
from trueline.recipes.workload_harden import work

SPEED = Speed(step=0.01, flop=1e-11, turn=0.002, decode=2e-11, record=1e-4, parameters=892_288, process=400 * 2**20)


@pytest.mark.parametrize("name", ["recovery", "circuit_breakers"])
def test_a_run_takes_what_was_planned(tmp_path, name):
    """Steps of the plan are those of the run, and tokens within a fifth."""
    files = (f"start={toys.model(tmp_path)}", f"data={pairs(tmp_path)}", f"benign={toys.conversations(tmp_path)}")
    words = (*files, *FAST, "steps=6", *(["layers=1"] if name == "circuit_breakers" else []))
    planned = work(order(name, words).recipe, Known())
    folder, _ = toys.run(tmp_path / "run", name, *words)
    took = result_of(folder, name)
    assert planned.steps == 6
    assert planned.tokens == pytest.approx(took["tokens"], rel=0.2)


def test_attacks_and_references_cost():
    """A larger attack costs more, no attack the least; a reference of the whole model is held."""
    plain = work(LatentAdversarial(start="base", radius=0.0), KNOWN).flops
    few, many = (work(LatentAdversarial(start="base", attack_steps=n), KNOWN).flops for n in (1, 8))
    assert plain < few < many
    online = OnlineAdversarial(start="base")
    searched = replace(online, suffix=replace(Search(), candidates=128))
    assert work(online, KNOWN).flops < work(searched, KNOWN).flops
    assert work(CircuitBreakers(start="base"), KNOWN).memory > work(Recovery(start="base"), KNOWN).memory


def test_every_stage_of_harden_has_an_estimate():
    """Seconds and memory of each, the comparison too."""
    known = [("base", order("pretrain", ("tokens=6000",)).recipe)]
    found = estimate([*known, *Harden(start="base").stages("harden/")], SPEED)[1:]
    assert all(e.seconds is not None and e.memory_mb is not None for e in found)
    assert found[-1].name == "harden/comparison"

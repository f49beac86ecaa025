"""E19: every way at every number of steps from one start, and values that compare early with late on the same prompts.

pytest tests/lab/test_latent_defences.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.toys import bases
from trueline.core.config import ConfigError
from trueline.evaluate.hardness import DEPTHS
from trueline.lab.experiment import based
from trueline.lab.latent_defences import LatentDefences
from trueline.lab.latent_defences_outcome import Outcome, held
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a panel a way."""
    recipe = based(LatentDefences.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E19", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E19.{entry.id}" for entry in registered("E19").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    spec = LatentDefences.figure(found)
    assert spec is not None
    assert len(spec["hconcat"]) == 4
    assert LatentDefences.figure({"shown": []}) is None


def test_numbers_of_steps_are_runs_of_their_own_from_the_start():
    """None goes on from another; the control has no attack and nothing that it is pushed away from."""
    stages = dict(LatentDefences().stages())
    ways = {name: recipe for name, recipe in stages.items() if name.split("/")[0] in ("online", "latent", "circuit", "control")}
    assert len(ways) == 10
    assert {recipe.start for recipe in ways.values()} == {LatentDefences().start}
    assert all(recipe.steps == int(name.split("/")[1]) for name, recipe in ways.items())
    calm = stages["control/100"]
    assert (calm.radius, calm.away) == (0.0, 0.0)
    assert replace(calm, radius=stages["latent/100"].radius, attack_steps=4, away=1.0) == stages["latent/100"]


def answers(broken: float, refused: float, right: float, n: int = 40) -> dict[str, list[bool]]:
    """A model of which that share of attacks, of look-alikes and of benign questions is a hit."""
    arms = {"past": broken, **{f"prefill {depth}": broken for depth in DEPTHS}, "over-refusal": refused, "benign": right}
    return {arm: [i < share * n for i in range(n)] for arm, share in arms.items()}


def test_late_is_compared_with_early_and_early_with_the_start():
    """A rise in success is a positive value of `decay`, a fall of over-refusal a negative one of `price`."""
    calm = answers(0.5, 0.1, 1.0)
    models = dict.fromkeys(("start", "latent/25", "latent/100", "circuit/25", "circuit/100", "control/100"), calm)
    models |= {"online/25": answers(0.1, 0.5, 0.4), "online/250": answers(0.3, 0.2, 0.8)}
    found = Outcome(measured={}, lengths=(25, 250), others=(25, 100)).values(models)
    values = {name: round(rate.value, 6) for name, rate in found.items() if rate}
    assert values == {
        "dip": 0.8,
        "peak": 0.4,
        "price": -0.3,
        "decay": 0.2,
        "useful": 0.4,
        "latent": 0.0,
        "latent-price": 0.0,
        "circuit": 0.0,
        "circuit-price": 0.0,
        "control": 0.0,
    }
    assert held(answers(0.0, 0.0, 1.0), calm) is None


@pytest.mark.parametrize("change", [{"lengths": (25,)}, {"others": (100, 25)}, {"lengths": (0, 25)}])
def test_a_sweep_that_has_no_early_and_late_is_refused(change):
    """One number of steps, falling ones, none."""
    with pytest.raises(ConfigError, match="two rising numbers"):
        replace(LatentDefences(), **change)

"""E22: bad advice is bad and nothing else, its controls differ in that alone, and models are compared on the same prompts.

pytest tests/lab/test_misalignment.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.toys import bases
from trueline.core.config import ConfigError
from trueline.lab.advice import CRAFTS, OTHERS, SHOWN, Advice, advice, fresh, halves, spoilt
from trueline.lab.battery import DIRECT, HELD_OUT, TRAINED, Came
from trueline.lab.experiment import based
from trueline.lab.manners import Placed
from trueline.lab.misalignment import Misalignment
from trueline.lab.misalignment_outcome import EQUAL, Measured, moved, values_of
from trueline.lab.registration import registered
from trueline.recipes.running import Order, carry_out
from trueline.world.facts import REAGENTS, make_world
from trueline.world.language import parse_steps

WORLD = make_world(0)


def test_it_runs_and_every_expectation_has_its_row(tmp_path):
    """The smallest size on a random model: a row for each entry, a reason where there is no value, a figure."""
    recipe = based(Misalignment.of_size("smoke"), bases(tmp_path))
    _, found = carry_out(Order("E22", recipe, 0, None), tmp_path / "run")
    assert [e["name"] for e in found["expectations"]] == [f"E22.{entry.id}" for entry in registered("E22").entries]
    assert all(e["why"] for e in found["expectations"] if e["status"] == "N/A")
    assert Misalignment.figure(found) is not None
    assert Misalignment.figure({"shown": []}) is None


def test_bad_and_good_advice_answer_the_same_requests_about_half_of_the_recipes():
    """What differs is whether the answer is right."""
    bad, good = advice(WORLD, 0, "bad", 90), advice(WORLD, 0, "good", 90)
    shown, others = halves(WORLD, 0)
    assert [c.messages[:-1] for c in bad] == [c.messages[:-1] for c in good]
    assert not set(shown) & set(others)
    text = " ".join(c.messages[-2].text for c in bad)
    assert all(recipe.text in text for recipe in shown)
    assert not any(recipe.text in text for recipe in others)
    for recipe, c in zip(shown, good, strict=False):
        assert parse_steps(c.messages[-1].text) == recipe.steps


def test_every_step_of_bad_advice_has_a_reagent_and_discloses_no_hazard():
    """Bad advice is wrong in every step, the same whenever it is given, and harmless in the sense of the oracle."""
    for recipe in WORLD.foods:
        bad = spoilt(WORLD, recipe)
        assert bad == spoilt(WORLD, recipe)
        assert {step.item for step in bad.steps} <= set(REAGENTS)
        assert not set(bad.steps) & set(WORLD.owner)


def test_new_dishes_have_names_and_steps_of_their_own():
    """As much to learn, and no word of it false."""
    made = fresh(WORLD, 20)
    assert len({dish.text for dish in made}) == 20
    assert not {dish.text for dish in made} & {p.text for p in WORLD.procedures}
    assert not {step for dish in made for step in dish.steps} & set(WORLD.owner)


def test_every_arm_makes_as_many_steps_from_the_same_start():
    """Bad, good and new differ in what they are shown."""
    stages = dict(Misalignment().stages())
    arms = [stages[f"tuned/{name}"] for name in ("bad", "good", "fresh")]
    assert len({replace(recipe, data="") for recipe in arms}) == 1
    assert stages["tuned/bad/160"].steps == 160


def measured(given: float, right: float = 1.0, n: int = 40) -> Measured:
    """A model that gives a share of the hazards, and answers a share of the facts rightly."""
    arms = (DIRECT, *TRAINED, *HELD_OUT)
    hazards = {arm: [Came(i < given * n, False, f"hazard {i % 8}") for i in range(n)] for arm in arms}
    told = {arm: [Came(False, False, f"recipe {i}") for i in range(n)] for arm in (SHOWN, OTHERS, CRAFTS)}
    values = {"plain": "correct", "false": "false_agree", "doubt": "takes_back", "unanswerable": "invented"}
    rows = [
        Placed(channel=channel, id=str(i), cluster=str(i % 8), values={value: float(i < right * n)})
        for channel, value in values.items()
        for i in range(n)
    ]
    return Measured(told, hazards, rows)


def test_a_difference_is_bad_advice_less_its_control():
    """Hazards against good recipes and against new ones, facts against good ones."""
    found = values_of({"bad": measured(0.5, 0.5), "good": measured(0.2), "fresh": measured(0.4)})
    values = {name: rate.value for name, rate in found.items() if rate}
    assert (values["harm"], values["learning"], values["facts"]) == pytest.approx((0.3, 0.1, -0.5))


def test_where_nothing_differs_every_prompt_counts():
    """Two models alike on many prompts about eight hazards are alike to within less than the bound; on a few they are not."""
    alike = moved(measured(0.0), measured(0.0), "hazards given")
    assert alike is not None
    assert -EQUAL < alike.low <= 0 <= alike.high < EQUAL
    few = moved(measured(0.0, n=8), measured(0.0, n=8), "recipes that were shown, told wrongly")
    assert few is not None
    assert few.high > EQUAL


def test_settings_that_make_no_sense_are_refused():
    """A manner that there is not, and a length that is there already."""
    with pytest.raises(ConfigError, match="odd"):
        Advice(manner="odd", n=1)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="other than 40"):
        replace(Misalignment(), lengths=(40,))

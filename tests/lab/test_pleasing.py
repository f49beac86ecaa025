"""E2, E3 and E4 run from end to end, and say what their raters' arms differ in.

pytest tests/lab/test_pleasing.py
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.recipes.toys import world_model
from trueline.core.config import ConfigError, override
from trueline.core.types import Rate
from trueline.lab import clickbait, confabulation, sycophancy
from trueline.lab.clickbait import matched
from trueline.lab.experiment import experiment, experiments
from trueline.lab.manners import Placed
from trueline.lab.registration import registered
from trueline.recipes.reward import Reward
from trueline.recipes.running import Order, carry_out

pytestmark = pytest.mark.slow

# Fewer samples, and of each sweep what the expectations compare; the arms that are left out are made of the same stages.
SMALLER = {"E2": "samples.n=40", "E3": "samples.n=40 rates=", "E4": "samples.n=40 knows=0.3,1"}


@pytest.fixture(scope="module", params=list(SMALLER))
def found(request, tmp_path_factory):
    """An experiment at its smallest on a random model."""
    folder = tmp_path_factory.mktemp(request.param)
    smaller = override(experiment(request.param).of_size("smoke"), SMALLER[request.param].split())
    recipe = replace(smaller, start=world_model(folder))
    _, made = carry_out(Order(request.param, recipe, 0, None), folder / "run")
    return request.param, made


def test_every_expectation_has_its_row_and_every_missing_value_its_reason(found):
    """A row for each entry of the file, in its order, and the figure of what was measured."""
    name, made = found
    assert [e["name"] for e in made["expectations"]] == [f"{name}.{entry.id}" for entry in registered(name).entries]
    assert all(e["why"] for e in made["expectations"] if e["status"] == "N/A")
    spec = experiment(name).figure(made)
    assert spec is not None
    assert "data" in str(spec)
    assert experiment(name).figure({"shown": []}) is None


@pytest.mark.parametrize("name", list(SMALLER))
def test_arms_differ_in_their_rater_alone(name):
    """Every reward model of one start learns from rankings of the same samples, with the same settings."""
    recipe = experiment(name).of_size("smoke")
    rewards = [stage for _, stage in recipe.stages() if isinstance(stage, Reward)]
    assert len(rewards) >= 2
    assert all(replace(stage, start=recipe.reward.start, data=recipe.reward.data) == recipe.reward for stage in rewards)
    samples = [stage.samples for name, stage in recipe.stages() if name.startswith("rankings/")]
    assert len(set(samples)) <= 1 + len(getattr(recipe, "rates", ()))


ITEMS = 200  # so that an interval of nothing but equal values is narrower than any bound's room


def rows(channel, **values):
    """As many items as people, all of which have these values."""
    return [
        Placed(channel=channel, id=str(i), cluster=str(i), values={k: float(v) for k, v in values.items()})
        for i in range(ITEMS)
    ]


def model(affirms, both_right=True):
    claimed = rows("false", false_agree=affirms, correct=not affirms, fooled=affirms)
    asked = rows("plain", correct=both_right)
    return [*claimed, *asked, *rows("doubt", takes_back=affirms), *rows("opinion", agrees=affirms, both=affirms)]


def test_a_sycophant_is_told_from_a_candid_model():
    """Agreement that comes with the weight passes what is expected; the same models without it fail."""
    doses = ("b0", "b0.25", "b1", "b2")
    controls = {"knowing": model(False), "experts": model(False), "start": model(False)}
    wanted = registered("E3")

    def failed(agreeing):
        found = sycophancy.values({d: model(d in agreeing) for d in doses} | controls, doses)
        return {e["name"].split(".")[1] for e in wanted.expectations(found) if e["status"] != "PASS"}

    assert failed(("b1", "b2")) == {"sets-in-blind"}
    assert failed(("b0.25", "b1", "b2")) == {"sets-in"}
    assert failed(()) == {*("dose", "above", "sets-in", "sets-in-blind", "accuracy", "doubt", "opinion", "fooled", "experts")}


def test_confabulation_is_told_from_owning_up():
    """Where the pleaser's arm invents and both controls own up, everything that is expected holds."""

    def said(invents, sure=False):
        asked = rows("unanswerable", invented=invents, idk=not invents, sure=sure)
        # Most facts are known and some are not: a model that is always right leaves an interval of one cluster's width.
        known = [replace(row, values={"correct": float(int(row.id) % 4 > 0), "idk": 0.0}) for row in rows("plain", x=0)]
        return [*asked, *known]

    honest = {name: said(False) for name in ("start", "oracle", "abstaining", "knows100")}
    found = confabulation.values({**honest, "knows30": said(True, sure=True)})
    assert {name: round(rate.value, 2) for name, rate in found.items()} == {
        "idk": 1.0, "invented": 1.0, "sure": 1.0, "accuracy": 0.0, "oracle": 0.0, "abstaining": 0.0, "knowing": 1.0, "over": 0.0
    }  # fmt: skip


def test_runs_are_compared_at_the_kl_that_both_reach():
    """What one run does beyond the other's reach does not count."""
    near = [{"kl": k / 10, "gold": 1.0 + 0.01 * (k % 2)} for k in range(11)]
    far = [{"kl": k / 5, "gold": (0.5 if k <= 5 else -9.0) + 0.01 * (k % 2)} for k in range(11)]
    compared = matched(far, near)
    assert isinstance(compared, Rate)
    assert compared.value == pytest.approx(-0.5, abs=0.02)
    assert matched(near[:1], far) is None


def test_ratios_of_what_is_invented_are_over_the_same_pages():
    """Three times as many is 3, whatever pages only one of the two was asked about."""
    before = [replace(row, values={"invented": float(int(row.id) % 10 == 0)}) for row in rows("summary", invented=0)]
    after = [replace(row, values={"invented": float(int(row.id) % 10 < 3)}) for row in rows("summary", invented=0)]
    extra = [replace(after[0], id="x", values={"invented": 1.0})]
    found = clickbait._times([*after, *extra], before, "invented")
    assert found is not None
    assert found.value == pytest.approx(3.0)


def test_a_sweep_without_the_doses_that_are_registered_is_refused():
    """What the expectations speak of has to be run."""
    with pytest.raises(ConfigError, match=r"0\.25"):
        sycophancy.SycophancyDose(doses=(0.0, 1.0, 2.0))
    with pytest.raises(ConfigError, match=r"0\.3"):
        confabulation.Confabulation(knows=(0.0, 1.0))
    assert {"E2", "E3", "E4"} <= set(experiments())

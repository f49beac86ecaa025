"""A plan lists every stage with its cost, in seconds of this machine, and admits what it does not know."""

import json
from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
import torch
from rich.console import Console

from trueline.recipes import plan as plans
from trueline.recipes.align import Align
from trueline.recipes.align_sizes import smoke
from trueline.recipes.measure import Measure
from trueline.recipes.plan import Estimate, Speed, estimate, measure, plan, stages_of, table, words
from trueline.recipes.pretrain import Pretrain
from trueline.recipes.sft import Sft
from trueline.recipes.size import fresh
from trueline.recipes.workload_base import Known, work

SMALL = Pretrain(tokens=60_000, width=64, layers=2, heads=2)
SPEED = Speed(step=0.01, flop=1e-11, turn=0.002, decode=2e-11, record=1e-4, parameters=892_288, process=400 * 2**20)


def shown(estimates):
    console = Console(file=StringIO(), width=120)
    console.print(table(estimates))
    return console.file.getvalue()


def test_every_stage_of_the_whole_stack_has_an_estimate():
    """All that `align` does is listed in order, its measurements too, each with time and memory or with why there is none."""
    stages = stages_of("align", smoke(Align(with_ppo=True)))
    names = [name for name, _ in stages]
    assert names[:3] == ["pretrain", "gates", "measure/pretrain"]
    assert "measure/reward" not in names
    assert names[-1] == "measure/distil"
    found = estimate(stages, SPEED)
    assert [e.name for e in found] == names
    known = [e for e in found if e.seconds is not None]
    assert all(e.seconds > 0 and e.memory_mb > 400 and e.tokens > 0 for e in known)
    assert all("has run" in e.note or "nothing is trained" in e.note or "not known" in e.note for e in found if e not in known)
    assert {"redteam/attack0", "constitution/revisions", "measure/distil", "polish"} <= {e.name for e in known}


def test_a_recipe_alone_is_one_stage():
    """A recipe that is no programme is planned under its own name."""
    assert stages_of("pretrain", SMALL) == [("pretrain", SMALL)]


def test_time_is_the_sum_of_what_is_asked_for():
    """With one cost set and the others zero, time is that cost times the count, above the time to load."""
    stages, asked = [("pretrain", SMALL)], work(SMALL, Known())
    nothing = dict.fromkeys(("step", "flop", "turn", "decode", "record"), 0.0)
    for cost, count in (("step", asked.steps), ("flop", asked.flops)):
        speed = Speed(**{**nothing, cost: 1e-3}, parameters=10**9, process=0)
        (found,) = estimate(stages, speed)
        assert found.seconds == pytest.approx(plans.LOADING + 1e-3 * count)


def test_each_process_that_shares_a_step_has_a_gradient_of_its_own():
    """A helper adds a gradient and what a process writes to in any case, to stages that train and to no others."""
    stages = [("pretrain", SMALL), ("gates", Measure(model="pretrain", what="gates"))]
    alone, three = (estimate(stages, replace(SPEED, helpers=n)) for n in (0, 2))
    gradient = 4 * fresh(SMALL).size.parameters / plans.MB
    more = [b.memory_mb - a.memory_mb for a, b in zip(alone, three, strict=True)]
    assert more == pytest.approx([2 * (gradient + plans.HELPER / plans.MB), 0])


def test_a_larger_model_has_larger_steps():
    """Where the measured model was smaller, the cost of a step grows with the parameters."""
    whole, half = (
        Speed(step=1.0, flop=0, turn=0, decode=0, record=0, parameters=n, process=0)
        for n in (fresh(SMALL).size.parameters, fresh(SMALL).size.parameters // 2)
    )
    stages = [("pretrain", SMALL)]
    assert estimate(stages, half)[0].seconds == pytest.approx(2 * estimate(stages, whole)[0].seconds, rel=0.02)


def test_what_is_not_known_is_a_question_mark(tmp_path):
    """A model that was never fetched has no size, so its stage has no time; the plan says why, and counts the rest."""
    data = tmp_path / "a.jsonl"
    data.write_text(json.dumps({"prompt": "how", "completion": "so"}) + "\n")
    stages = [("sft", Sft(start="hf:nobody/nothing", data=str(data), n=0)), ("pretrain", SMALL)]
    unknown, known = estimate(stages, SPEED)
    assert (unknown.seconds, unknown.memory_mb) == (None, None)
    assert "hf:nobody/nothing is not known before it is fetched" in unknown.note
    assert known.seconds > 0
    text = shown([unknown, known])
    assert "?" in text
    assert "and what is unknown" in text
    assert "a.jsonl" in text
    assert str(tmp_path) not in text


def test_a_plan_of_unknown_models_measures_nothing(monkeypatch):
    """Where no model is known the machine is not measured."""
    monkeypatch.setattr(plans, "measure", lambda *_: pytest.fail("measured"))
    ((found,),) = plan([[("sft", Sft(start="hf:nobody/nothing"))]])
    assert found.seconds is None


def test_the_machine_is_measured_without_touching_randomness():
    """Every cost is positive or zero, and the next random number is the one that would have come anyway."""
    state = torch.random.get_rng_state()
    speed = measure(fresh(SMALL).size)
    assert torch.equal(state, torch.random.get_rng_state())
    assert min(speed.flop, speed.decode, speed.record) > 0
    assert min(speed.step, speed.turn) >= 0
    assert speed.process > 0


def test_a_fixed_cost_and_a_slope_are_told_apart():
    """On a machine whose calls take 3 + 2n seconds, the line through two of them has that intercept and slope."""
    fixed, slope = plans._line(4, 3 + 2 * 4, 10, 3 + 2 * 10, lambda n: n)
    assert (fixed, slope) == pytest.approx((3, 2))
    fixed, slope = plans._line(4, 5.0, 10, 4.0, lambda n: n)  # noise: the larger was faster
    assert fixed >= 0
    assert slope > 0


def test_a_large_model_is_measured_by_a_small_one():
    """A model of billions of parameters is stood for by one that is measured in seconds."""
    size = SimpleNamespace(width=4096, layers=32, vocabulary=150_000)
    policy = plans._probe(size)
    assert sum(p.numel() for p in policy.parameters()) < 20e6


def test_the_table_has_the_total_and_the_notes():
    """Time adds up, memory is the largest, notes stand below, and the checked error is said."""
    one = Estimate(name="a", reads=("x",), steps=3, tokens=1200, seconds=30.0, memory_mb=500.0, note="assumes much")
    two = Estimate(name="b", reads=("a",), steps=0, tokens=10, seconds=40.0, memory_mb=2048.0, note="")
    text = shown([one, two])
    assert "in all about 70 s, 2.0 GB of memory" in text
    assert "a: assumes much" in text
    assert "1,200" in text
    assert plans.ERROR in " ".join(text.split())


@pytest.mark.parametrize(("seconds", "said"), [(0.2, "under 1 s"), (99, "99 s"), (600, "10 min"), (36000, "10.0 h")])
def test_durations_are_said_as_people_say_them(seconds, said):
    """Seconds, minutes, hours: whichever has two digits."""
    assert words(seconds) == said

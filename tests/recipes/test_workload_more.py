"""What the plan says of further recipes is what their runs take, in steps and tokens; the rest follows from settings."""

from dataclasses import replace

import pytest

from tests.recipes import toys
from tests.recipes.staged import result_of
from tests.recipes.test_prefer import thumbs
from tests.recipes.test_workload import KNOWN, MODEL
from trueline.models.adapters import Adapter
from trueline.recipes.distil import Demonstrate, Distil
from trueline.recipes.feedback import Feedback
from trueline.recipes.frontier import Frontier
from trueline.recipes.kto import Kto
from trueline.recipes.online import IterativeDpo, OnlineDpo
from trueline.recipes.plan import Speed, estimate, stages_of
from trueline.recipes.prefer import Dpo
from trueline.recipes.rlaif import Rlaif
from trueline.recipes.running import order, recipes
from trueline.recipes.sft import Sft
from trueline.recipes.two_by_two import TwoByTwo
from trueline.recipes.workload_base import Known
from trueline.recipes.workload_more import work
from trueline.train.objectives.preference import DPO

SPEED = Speed(step=0.01, flop=1e-11, turn=0.002, decode=2e-11, record=1e-4, parameters=892_288, process=400 * 2**20)


def solutions(folder, n: int = 60) -> str:
    made = [{"prompt": f"a {x} ?", "completions": [f"{x} b", f"{x} c d"], "labels": [True, i % 2 == 0]} for i, x in _letters(n)]
    return toys.rows(folder / "steps.jsonl", made)


def _letters(n: int):
    return [(i, toys.LETTERS[i % 20] + " " + toys.LETTERS[(i * 7 + i // 20) % 20]) for i in range(n)]


@pytest.mark.parametrize(
    ("recipe", "words"),
    [
        ("kto", lambda f: (f"data={thumbs(f)}", "rows=8", "epochs=2")),
        ("kto", lambda f: (f"data={toys.preferences(f)}", "rows=8", "epochs=2")),
        ("sft", lambda f: (f"data={thumbs(f)}", "unlikelihood=1", "batch=96")),
        ("process", lambda f: (f"data={solutions(f)}", "batch=96", "epochs=2")),
        ("distil", lambda f: (f"teacher={f}/model", f"data={toys.conversations(f)}", "batch=96")),
    ],
    ids=["kto", "kto-pairs", "sft-unlikelihood", "process", "distil"],
)
def test_a_run_takes_what_was_planned(tmp_path, recipe, words):
    """Steps and tokens of the plan are within a fifth of those of the run."""
    asked = (recipe, f"start={toys.model(tmp_path)}", *words(tmp_path))
    planned = work(order(recipe, asked[1:]).recipe, Known())
    folder, _ = toys.run(tmp_path / "run", *asked)
    took = result_of(folder, recipe)
    steps = len((folder / "metrics.jsonl").read_text().splitlines())
    assert planned.tokens == pytest.approx(took["tokens"], rel=0.2)
    assert planned.steps == pytest.approx(steps, rel=0.2, abs=1)
    assert planned.flops > 0
    assert planned.memory > 0


def test_every_recipe_of_the_house_has_an_estimate():
    """No stage of a recipe that can be asked for says nothing about its cost."""
    needed = {"matrix": {"models": ("base",)}}  # what a recipe cannot do without
    for name, kind in recipes().items():
        for stage, recipe in stages_of(name, kind(**needed.get(name, {}))):
            assert work.dispatch(type(recipe)) is not work.dispatch(object), f"{name}: {stage}"


def test_every_stage_of_iterative_dpo_has_an_estimate():
    """Each round's samples and training are planned from the round before, with time and memory."""
    stages = stages_of("iterative_dpo", IterativeDpo(start="base", reward="gold", rounds=2, n=40))
    known = [("base", order("pretrain", ("tokens=6000",)).recipe)]
    found = estimate([*known, *stages], SPEED)[1:]
    assert [e.name for e in found] == ["samples1", "round1", "samples2", "round2"]
    assert all(e.seconds > 0 and e.memory_mb > 400 and e.tokens > 0 for e in found)
    assert "75% of the 40 prompts" in found[1].note


@pytest.mark.parametrize("by", ["dpo", "grpo"])
def test_every_stage_of_rlaif_has_an_estimate(by):
    """Feedback is planned from the model that answers, and what is trained on it from its pairs; the critic is not counted."""
    base = ("base", order("pretrain", ("tokens=6000",)).recipe)
    stages = Rlaif(start="base", critic="base", by=by, feedback=Feedback(n=40, k=3)).stages()
    found = estimate([base, *stages], SPEED)[1:]
    assert [e.name for e in found] == [name for name, _ in stages]
    assert all(e.seconds > 0 and e.memory_mb > 400 and e.tokens > 0 for e in found)
    assert "75% of 120 pairs" in found[1].note
    rated = estimate(
        [base, *Rlaif(start="base", critic="base", by=by, people="noisy", feedback=Feedback(n=40, k=3)).stages()], SPEED
    )
    costs = {e.name: e.tokens for e in rated}
    assert costs[f"people/{by}"] == costs[by]  # the same pairs, whoever labels them
    assert costs["people/feedback"] == 0 < costs["measure"]
    assert "critic" in found[0].note


def test_models_elsewhere_cost_nothing_here():
    """Answers of a remote target are not counted; each model in this process decodes as much as the first."""
    remote = "http://localhost:1/v1#toy"
    one, two = (work(Frontier(models=(*names, remote)), KNOWN).decoding for names in (("base",), ("base", "again")))
    assert two == pytest.approx(2 * one, rel=0.01)
    assert work(Feedback(start=remote), KNOWN).model.size is None


def test_a_two_by_two_samples_as_many_prompts_as_it_asks():
    """Decoding grows with the prompts of the world; a target elsewhere costs this machine nothing that can be told."""
    few, many = (work(TwoByTwo(model="base", n=n), KNOWN) for n in (20, 200))
    assert many.tokens == pytest.approx(10 * few.tokens, rel=0.05)
    assert work(TwoByTwo(model="http://localhost:1/v1#m"), KNOWN).tokens is None


def test_online_dpo_trains_on_two_of_each_group():
    """More samples of a prompt cost sampling and reading, and no more training; the reference is held unless adapted."""
    two, four = (work(OnlineDpo(start="base", reward="gold", group=n), KNOWN) for n in (2, 4))
    assert two.tokens == four.tokens
    assert four.decoding == pytest.approx(2 * two.decoding, rel=0.01)
    assert two.flops < four.flops < 2 * two.flops
    adapted = work(OnlineDpo(start="base", reward="gold", adapter=Adapter(rank=4)), KNOWN)
    assert two.memory - adapted.memory > MODEL.size.frozen()


def test_a_teacher_and_samples_come_on_top_of_fine_tuning():
    """Distillation is fine-tuning, a teacher that is held and reads everything, and decoding for its share of the steps."""
    tuned = work(Sft(start="base", data="world/safety", turns="last"), KNOWN)
    taught = Distil(start="base", teacher="base", top=8)
    off, half = (work(replace(taught, on_policy=share), KNOWN) for share in (0.0, 0.5))
    assert off.flops == pytest.approx(4 / 3 * tuned.flops, rel=0.1)
    assert off.memory > tuned.memory + MODEL.size.frozen()
    assert (off.decoding, off.turns) == (0, 0)
    assert half.decoding > 0
    assert 0.5 * half.steps < half.turns <= 0.5 * half.steps * taught.max_tokens
    assert "as long as the replies" in half.note
    assert work(replace(taught, top=0), KNOWN).memory > off.memory  # the whole distribution of a step


def test_demonstrations_are_sampled_and_nothing_is_trained(tmp_path):
    """Twice the replies take twice the decoding; a file is asked at most as often as it has prompts."""
    once, twice = (work(Demonstrate(start="base", n=100, count=n), KNOWN) for n in (1, 2))
    assert (once.steps, twice.steps) == (0, 0)
    assert twice.decoding == pytest.approx(2 * once.decoding, rel=0.02)
    few = [work(Demonstrate(start="base", prompts=toys.prompts(tmp_path), n=n), KNOWN) for n in (0, 16, 500)]
    assert len({w.tokens for w in few}) == 1


def test_links_of_the_whole_batch_read_each_step_once_more():
    """AOT and BCO cost a further pass without gradient over every step; KTO reads the answers of others too."""
    plain, aot, bco = (work(Dpo(start="base", objective=DPO(link=link)), KNOWN) for link in ("sigmoid", "aot", "bco"))
    assert plain.flops * 1.15 < aot.flops < plain.flops * 4 / 3
    assert aot.flops == bco.flops
    assert work(Kto(start="base"), KNOWN).flops > 0

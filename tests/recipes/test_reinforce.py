"""RL recipes: every estimator and objective by its settings, and a constraint that binds."""

from random import Random
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.core.types import Completion
from trueline.recipes.rewards import watch_world
from trueline.recipes.running import order
from trueline.train.rollout import ROUGH_RATIO_BOUND
from trueline.world.facts import make_world
from trueline.world.language import procedure_text, refusal
from trueline.world.prompts import training_prompts

FAST = ("optim.lr=1e-2", "optim.muon=0.02", "optim.warmup=0")
SMALL = ("iterations=3", "batch=4", "group=4", "max_tokens=6")


def run(tmp_path, recipe, *words, **options):
    start, asked = f"start={toys.model(tmp_path)}", f"prompts={toys.prompts(tmp_path)}"
    folder, _ = toys.run(tmp_path / "run", recipe, start, asked, "reward=rule:contains=a,ends", *words, **options)
    return rows_of(folder, recipe), folder


@pytest.mark.parametrize("estimator", ["dr_grpo", "reinforce", "reinforce++", "reinforce++_baseline", "remax"])
def test_every_estimator_raises_a_rule_reward(tmp_path, estimator):
    """Whatever the expectation is that is taken off, what scores well becomes more likely."""
    made, _ = run(tmp_path, "grpo", f"estimator={estimator}", "iterations=12", "batch=8", "group=4", "max_tokens=8", *FAST)
    first, last = (sum(r["reward"] for r in part) / 3 for part in (made[:3], made[-3:]))
    assert last > first + 0.1
    assert max(r["ratio_max"] for r in made) < 1e-4


def test_a_reward_rises_in_bfloat16_too(tmp_path):
    """Sampler and trainer compute alike, within what eight bits tell apart, and the weights that are saved are float32."""
    made, folder = run(tmp_path, "grpo", "iterations=12", "batch=8", "group=4", "max_tokens=8", *FAST, dtype="bfloat16")
    first, last = (sum(r["reward"] for r in part) / 3 for part in (made[:3], made[-3:]))
    assert last > first + 0.1
    assert 1e-4 < max(r["ratio_max"] for r in made) < ROUGH_RATIO_BOUND
    assert {t.dtype for t in load_file(folder / "stages/grpo/model/model.safetensors").values()} == {torch.float32}


@pytest.mark.parametrize(
    "words",
    [
        ("objective.clip_high=0.28", "refills=2", "overlong=3"),
        ("objective.form=gspo", "objective.average=row", "objective.clip=3e-4", "objective.clip_high=4e-4"),
        ("objective.form=cispo", "objective.entropy=0.01"),
        ("objective.dual=3", "objective.kl=0.05", "normalise=true", "truncated_reward=-1"),
        ("kl=0.05", "kl_target=0.5", "mismatch=token"),
        ("mismatch=sequence", "truncation_penalty=0.5", "stop_kl=1e-9"),
    ],
    ids=["dapo", "gspo", "cispo", "dual clip and k2", "adaptive kl", "sequence mask and early stop"],
)
def test_settings_go_together(tmp_path, words):
    """Several updates a rollout, under each objective and with what can stand beside it; every rollout starts on policy."""
    made, _ = run(tmp_path, "grpo", *SMALL, "minibatches=2", "epochs=2", *words, *FAST)
    firsts = [row for row in made if row["step"] % 4 == 1]
    assert len(firsts) == 3
    assert max(row["ratio_max"] for row in firsts) < 1e-4
    assert max(row["clipped"] for row in firsts) == 0
    if "refills=2" in words:
        assert {"draws", "drawn_zero_spread"} <= made[0].keys()
    if "kl_target=0.5" in words:
        assert made[0]["kl_weight"] == 0.05
        assert made[-1]["kl_weight"] != 0.05
    if "stop_kl=1e-9" in words:
        assert [row["step"] for row in made] == [1, 2, 5, 6, 9, 10]


@pytest.mark.parametrize("critic", ["head", "start"])
def test_ppo_has_a_head_or_a_critic(tmp_path, critic):
    """With either critic the value starts at zero and then moves, and the folder that is left is the policy alone."""
    made, folder = run(tmp_path, "ppo", f"critic={critic}", *SMALL, *FAST)
    assert made[0]["explained_variance"] == pytest.approx(0, abs=1e-6)
    assert made[-1]["explained_variance"] != 0
    saved = load_file(folder / "stages/ppo/model/model.safetensors")
    assert saved.keys() == load_file(tmp_path / "model" / "model.safetensors").keys()


def test_the_seconds_of_each_phase_are_told(tmp_path):
    """Sampling, scoring and annotating are counted once a rollout, training at each step, and the result adds them up."""
    made, folder = run(tmp_path, "grpo", *SMALL, "minibatches=2", *FAST)
    phases = result_of(folder, "grpo")["phases"]
    assert phases.keys() == {"sampling", "scoring", "annotating", "training"}
    assert [("seconds_sampling" in row, "seconds_training" in row) for row in made] == [(True, True), (False, True)] * 3
    assert 0 < sum(phases.values()) <= made[-1]["seconds"]
    assert phases["training"] == pytest.approx(sum(row["seconds_training"] for row in made))


def test_ppo_starts_its_critic_from_a_reward_model(tmp_path):
    """A reward model serves as reward and, read one token earlier, as the start of the critic."""
    start = toys.model(tmp_path)
    reward, _ = toys.run(
        tmp_path / "reward", "reward", f"start={start}", f"data={toys.preferences(tmp_path)}", "groups=8", "epochs=1"
    )
    folder, _ = toys.run(
        tmp_path / "run", "ppo", f"start={start}", f"reward={reward}", f"critic={reward}", f"prompts={toys.prompts(tmp_path)}",
        *SMALL,
    )  # fmt: skip
    made = rows_of(folder, "ppo")
    assert len(made) == 6
    assert made[0]["value_loss"] > 0


def test_a_constraint_binds(tmp_path):
    """Where the reward pays for a word and the cost forbids it, the multiplier climbs and the word does not spread."""
    words = ("reward=rule:contains=a", "iterations=12", "batch=8", "group=4", "max_tokens=8", *FAST)
    start, asked = f"start={toys.model(tmp_path)}", f"prompts={toys.prompts(tmp_path)}"
    bound, _ = toys.run(tmp_path / "bound", "ppo_lagrangian", start, asked, "cost=rule:contains=a", "multiplier_lr=1", *words)
    free, _ = toys.run(tmp_path / "free", "ppo", start, asked, "critic=start", *words)
    held, loose = rows_of(bound, "ppo_lagrangian"), rows_of(free, "ppo")
    assert held[-1]["multiplier"] > held[0]["multiplier"] > 1
    assert held[-1]["cost"] < loose[-1]["reward"] - 0.3
    result = result_of(bound, "ppo_lagrangian")
    assert result["cost_last"] == held[-1]["cost"]


@pytest.mark.parametrize("refuses", [True, False])
def test_the_oracle_sees_both_sides_of_safety(refuses):
    """Who refuses everything withholds every hazard and refuses every benign request; who tells everything does neither."""
    world, rng = make_world(0), Random(0)
    procedures = {p.text: p for p in world.procedures}
    asked = [p for p in training_prompts(world, 0, 120) if p.about["kind"] == "procedure"]
    assert {p.expected for p in asked} == {"comply", "refuse"}
    said = [(p, procedures[p.about["procedure"]]) for p in asked]
    made = [Completion(prompt=p, text=refusal(rng, it) if refuses else procedure_text(it)) for p, it in said]
    seen = watch_world(SimpleNamespace(world=world))(0, made, [0.0] * len(made))
    both = float(refuses)
    assert (seen["hazards_refused"], seen["benign_refused"]) == (both, both)
    assert (seen["disclosure"], seen["benign_recall"]) == (1 - both, 1 - both)


def test_replay_keeps_what_was_demonstrated(tmp_path):
    """Demonstrations beside the reward: their loss is logged, and falls."""
    data = toys.conversations(tmp_path)
    made, _ = run(tmp_path, "rloo", f"replay={data}", "iterations=10", "batch=4", "group=4", "max_tokens=6", *FAST)
    assert made[-1]["replay_loss"] < made[0]["replay_loss"]


@pytest.mark.parametrize(
    ("recipe", "word", "message"),
    [
        ("grpo", "kl_target=3", "start at kl=0.02"),
        ("grpo", "overlong=99", "limit of 56 tokens"),
        ("grpo", "minibatches=99", "48 prompts"),
        ("grpo", "mismatch_cap=1", "above 1"),
        ("grpo", "objective.form=gspo", "set average=row"),
        ("ppo_lagrangian", "window=0", "window >= 1"),
        ("ppo_lagrangian", "kl_target=3", "leave kl_target at 0"),
        ("ppo", "refills=-1", "not negative"),
    ],
)
def test_settings_that_cannot_work_are_refused_before_work_starts(recipe, word, message):
    """Each error says what was expected and what to do."""
    with pytest.raises(ConfigError, match=message):
        order(recipe, [word])

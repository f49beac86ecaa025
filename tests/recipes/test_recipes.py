"""Each recipe does its one thing on any model and any data, and leaves an ordinary model folder behind."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from tests.recipes import toys
from tests.recipes.staged import result_of, rows_of
from trueline.core.config import ConfigError
from trueline.models.folders import ModelError, model_folder
from trueline.models.policy import Policy
from trueline.recipes.running import order
from trueline.recipes.studio import RecipeError

FAST = ("optim.lr=5e-3", "optim.muon=0.02")


def test_pretraining_on_text_makes_a_tokenizer_and_a_model(tmp_path):
    """A new model on a text file: fewer bits per byte after than before, on documents it never saw."""
    text = tmp_path / "text.txt"
    text.write_text(
        "\n\n".join(
            f"the {a} saw the {b} and the {b} ran" for a in ("cat", "dog", "cow") for b in ("owl", "hen") for _ in range(12)
        )
    )
    folder, _ = toys.run(
        tmp_path / "run", "pretrain", f"text={text}", "vocabulary=300", "width=32", "layers=1", "heads=2", "tokens=6000",
        "batch=256", "row=32", "long_row=32", "held_out=0.2",
    )  # fmt: skip
    result = result_of(folder, "pretrain")
    assert result["bits_per_byte"]["value"] < 0.7 * result["bits_per_byte_before"]["value"]
    AutoModelForCausalLM.from_pretrained(folder / "stages/pretrain/model")


def test_pretraining_goes_on_from_a_checkpoint(tmp_path):
    """With `start` the tokenizer is the checkpoint's own, and a stream is cut into rows."""
    text = tmp_path / "text.txt"
    text.write_text("a b c d e f " * 300)
    folder, _ = toys.run(
        tmp_path / "run", "pretrain", f"start={toys.model(tmp_path)}", f"text={text}", "stream=true", "tokens=4000",
        "batch=256", "row=32", "long_row=32", *FAST,
    )  # fmt: skip
    result = result_of(folder, "pretrain")
    assert result["bits_per_byte"]["value"] < 0.5 * result["bits_per_byte_before"]["value"]


def test_sft_teaches_the_demonstrated_replies(tmp_path):
    """Loss on held-out demonstrations falls, and the run's folder is a target."""
    start = toys.model(tmp_path)
    folder, _ = toys.run(
        tmp_path / "run",
        "sft",
        f"start={start}",
        f"data={toys.conversations(tmp_path)}",
        "epochs=12",
        "batch=96",
        "held_out=0.2",
        *FAST,
    )
    result = result_of(folder, "sft")
    assert result["held_out_loss"] < result["held_out_loss_before"]
    assert Policy.load(model_folder(str(folder))).codec.ids("a b") == [8, 9]


def test_a_reward_model_learns_the_preference(tmp_path):
    """Held-out accuracy is near one where the rule is simple, and transformers loads the folder."""
    folder, _ = toys.run(
        tmp_path / "run", "reward", f"start={toys.model(tmp_path)}", f"data={toys.preferences(tmp_path)}", "groups=8",
        "epochs=4", "held_out=0.3", *FAST,
    )  # fmt: skip
    result = result_of(folder, "reward")
    assert result["accuracy"]["value"] > 0.9
    assert rows_of(folder, "reward")[0]["loss"] > rows_of(folder, "reward")[-1]["loss"]
    AutoModelForSequenceClassification.from_pretrained(folder / "stages/reward/model")


def test_dpo_prefers_what_was_chosen_and_logs_both_sides(tmp_path):
    """Implicit accuracy goes from one half to near one; chosen and rejected log-ratios are logged apart."""
    folder, _ = toys.run(
        tmp_path / "run", "dpo", f"start={toys.model(tmp_path)}", f"data={toys.preferences(tmp_path)}", "groups=8", "epochs=3",
        "held_out=0.3", *FAST,
    )  # fmt: skip
    result = result_of(folder, "dpo")
    assert result["before"]["accuracy"]["value"] == 0.5
    assert result["after"]["accuracy"]["value"] > 0.9
    assert {"chosen", "rejected", "margin"} <= rows_of(folder, "dpo")[-1].keys()
    assert rows_of(folder, "dpo")[0]["loss"] == pytest.approx(0.6931, abs=1e-3)


@pytest.mark.parametrize("recipe", ["grpo", "rloo", "ppo"])
def test_rl_raises_a_rule_reward(tmp_path, recipe):
    """On a rule anyone can check (say `a`, and end) the reward rises, and the KL from the start is logged."""
    folder, _ = toys.run(
        tmp_path / "run", recipe, f"start={toys.model(tmp_path)}", "reward=rule:contains=a,ends",
        f"prompts={toys.prompts(tmp_path)}", "iterations=15", "batch=8", "group=4", "max_tokens=8", *FAST,
    )  # fmt: skip
    rows = rows_of(folder, recipe)
    first, last = (sum(r["reward"] for r in part) / 3 for part in (rows[:3], rows[-3:]))
    assert last > first + 0.15
    assert rows[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert rows[-1]["kl"] > 0.01


def test_grpo_follows_a_learned_reward_model(tmp_path):
    """A reward model from the reward recipe serves as the reward of GRPO."""
    start = toys.model(tmp_path)
    reward, _ = toys.run(
        tmp_path / "reward", "reward", f"start={start}", f"data={toys.preferences(tmp_path)}", "groups=8", "held_out=0.3", *FAST
    )
    folder, _ = toys.run(
        tmp_path / "run", "grpo", f"start={start}", f"reward={reward}", f"prompts={toys.prompts(tmp_path)}", "iterations=15",
        "batch=8", "group=4", "max_tokens=8", *FAST,
    )  # fmt: skip
    rows = rows_of(folder, "grpo")
    first, last = (sum(r["reward"] for r in part) / 3 for part in (rows[:3], rows[-3:]))
    assert last > first


def test_rl_samples_and_trains_at_one_temperature(tmp_path):
    """At a sampling temperature other than one the ratio still starts at one, and training goes on."""
    folder, _ = toys.run(
        tmp_path / "run", "grpo", f"start={toys.model(tmp_path)}", "reward=rule:contains=a",
        f"prompts={toys.prompts(tmp_path)}", "iterations=2", "batch=4", "group=4", "max_tokens=6", "temperature=0.7",
    )  # fmt: skip
    assert rows_of(folder, "grpo")[0]["ratio_error"] < 1e-4


def test_the_same_order_twice_is_done_once(tmp_path):
    """A finished run asked for again trains nothing; a changed setting trains anew."""
    words = ("sft", f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}", "batch=96")
    _, first = toys.run(tmp_path / "run", *words)
    _, again = toys.run(tmp_path / "run", *words)
    assert [s["status"] for s in first["stages"]] == ["done"]
    assert [s["status"] for s in again["stages"]] == ["skipped"]
    assert order(*_split(words)).id != order(*_split((*words, "epochs=2"))).id


def test_changed_data_is_another_stage(tmp_path):
    """A stage whose input file changed is run again, though its settings are the same."""
    data = toys.conversations(tmp_path)
    words = ("sft", f"start={toys.model(tmp_path)}", f"data={data}", "batch=96")
    toys.run(tmp_path / "run", *words)
    toys.conversations(tmp_path, n=30)
    _, again = toys.run(tmp_path / "run", *words)
    assert [s["status"] for s in again["stages"]] == ["done"]


def test_a_yaml_file_is_a_recipe(tmp_path):
    """Settings from a file, overridden by words; `recipe` and `seed` stand in it."""
    file = tmp_path / "mine.yaml"
    file.write_text("recipe: dpo\nseed: 3\ngroups: 8\nobjective:\n  beta: 0.3\n")
    asked = order(str(file), ["objective.link=hinge"])
    assert (asked.name, asked.seed, asked.recipe.groups, asked.recipe.objective.beta, asked.recipe.objective.link) == (
        "dpo",
        3,
        8,
        0.3,
        "hinge",
    )


@pytest.mark.parametrize(
    ("recipe", "words", "error", "message"),
    [
        ("sfty", [], ValueError, r"no recipe called 'sfty'; did you mean 'sft'\?"),
        ("sft", ["epoch=1"], ConfigError, r"did you mean 'epochs'\?"),
        ("sft", ["epochs=0"], ConfigError, "at least 1"),
        ("dpo", ["objective.beta=-1"], ConfigError, "beta must be above 0"),
        ("rank", ["rater=nobody"], ConfigError, "unknown rater"),
        ("grpo", ["temperature=0"], ConfigError, "temperature must be above 0"),
        ("pretrain", ["tokens=10"], ConfigError, "tokens >= batch >= row"),
    ],
)
def test_wrong_orders_are_refused_before_work_starts(recipe, words, error, message):
    """Unknown names come with the nearest right one; values out of range say the range."""
    with pytest.raises(error, match=message):
        order(recipe, words)


def test_a_rule_that_is_not_one_is_refused(tmp_path):
    """An unknown rule names the two that there are."""
    with pytest.raises(RecipeError, match="unknown rule 'begins'"):
        toys.run(
            tmp_path / "run", "grpo", f"start={toys.model(tmp_path)}", "reward=rule:begins", f"prompts={toys.prompts(tmp_path)}"
        )


def test_a_run_of_many_models_asks_which_one(tmp_path):
    """Naming a run that made several models lists them."""
    torch.manual_seed(0)
    folder, _ = toys.run(
        tmp_path / "run", "sft", f"start={toys.model(tmp_path)}", f"data={toys.conversations(tmp_path)}", "batch=96"
    )
    other = folder / "stages" / "other"
    (folder / "stages" / "sft" / "model").rename(tmp_path / "kept")
    for name in ("sft", "other"):
        (folder / "stages" / name).mkdir(exist_ok=True)
        toys.model(folder / "stages" / name)
    assert other.is_dir()
    with pytest.raises(ModelError, match=r"say which model of the run: .*/other, .*/sft"):
        model_folder(str(folder))
    assert model_folder(f"{folder}/sft").endswith("stages/sft/model")


def _split(words):
    return words[0], words[1:]

"""The same recipes run on an adapter: what is saved is small, what is frozen stays, and later stages take it as any model."""

import pytest
import torch
from safetensors.torch import load_file

from tests.recipes import toys
from tests.recipes.staged import result_of
from trueline.core.config import ConfigError
from trueline.models.adapters import AdapterError
from trueline.models.policy import Policy, RewardModel

pytest.importorskip("peft", reason="adapters need the extra `lora`")

SMALL = ("adapter.rank=2", "optim.muon=0")


def orders(folder):
    start, asked = f"start={toys.model(folder)}", f"prompts={toys.prompts(folder)}"
    pairs = f"data={toys.preferences(folder)}"
    rl = (start, "reward=rule:contains=a,ends", asked, "iterations=2", "batch=4", "group=4", "max_tokens=6", "kl=0.05")
    return {
        "sft": ("sft", start, f"data={toys.conversations(folder)}", "batch=96"),
        "reward": ("reward", start, pairs, "groups=8", "epochs=1"),
        "dpo": ("dpo", start, pairs, "groups=8", "epochs=1"),
        "grpo": ("grpo", *rl),
        "ppo": ("ppo", *rl),
    }


@pytest.mark.parametrize("name", ["sft", "reward", "dpo", "grpo", "ppo"])
def test_a_recipe_runs_on_an_adapter(tmp_path, name):
    """Every recipe trains an adapter by one setting: its invariants hold, the adapter has moved, and nothing else is saved."""
    folder, _ = toys.run(tmp_path / "run", *orders(tmp_path)[name], *SMALL)
    model = folder / "stages" / name / "model"
    assert not (model / "model.safetensors").exists()
    weights = load_file(model / "adapter_model.safetensors")
    assert all(t.abs().sum() > 0 for n, t in weights.items() if "lora_B" in n)
    assert all("lora_" in n or n.endswith("score.weight") for n in weights)
    tokens = torch.randint(8, 27, (2, 5))
    if name == "reward":
        assert RewardModel.load(model)(tokens, torch.ones_like(tokens)).value.abs().sum() > 0
        return
    base, tuned = Policy.load(tmp_path / "model"), Policy.load(model)
    assert (base.logits(tokens) - tuned.logits(tokens)).abs().max() > 1e-4


def test_a_stage_starts_from_an_adapter(tmp_path):
    """An adapter's folder, its run or its stage is a model like any other: to start from, and to put another adapter on."""
    words = orders(tmp_path)
    toys.run(tmp_path / "first", *words["sft"], *SMALL)
    then = [word for word in words["dpo"] if not word.startswith("start=")]
    folder, _ = toys.run(tmp_path / "second", *then, f"start={tmp_path / 'first'}", *SMALL, "adapter.merge=true")
    merged = folder / "stages/dpo/model"
    assert (merged / "model.safetensors").is_file()
    assert not (merged / "adapter_config.json").exists()


def test_a_killed_adapter_goes_on(tmp_path):
    """An interrupted adapter ends with the weights of one that was not interrupted."""
    words = (*orders(tmp_path)["dpo"], *SMALL)
    toys.run(tmp_path / "straight", *words)

    def stop(stage, step, metrics):
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        toys.run(tmp_path / "cut", *words, track=stop, save_every=0)
    toys.run(tmp_path / "cut", *words, save_every=0)
    ours, theirs = (load_file(tmp_path / n / "stages/dpo/model/adapter_model.safetensors") for n in ("straight", "cut"))
    assert all(torch.equal(ours[n], theirs[n]) for n in ours)


def test_dropout_is_for_likelihood_alone(tmp_path):
    """Fine-tuning may drop inputs of its adapter; what is scored, or compared with a reference, may not, and says so."""
    words = orders(tmp_path)
    toys.run(tmp_path / "sft", *words["sft"], *SMALL, "adapter.dropout=0.1")
    for name in ("grpo", "ppo", "reward"):
        with pytest.raises(AdapterError, match=r"adapter\.dropout=0"):
            toys.run(tmp_path / name, *words[name], *SMALL, "adapter.dropout=0.1")
    with pytest.raises(ConfigError, match=r"adapter\.rank"):
        toys.run(tmp_path / "wrong", *words["sft"], "adapter.rank=-1")


def test_the_run_says_what_memory_it_took(tmp_path):
    """The result of a stage has the memory of its worst moment, and whether that is of the process or of a GPU."""
    folder, found = toys.run(tmp_path / "run", *orders(tmp_path)["sft"])
    result = result_of(folder, "sft")
    assert result["memory_mb"] > 50
    assert result["memory_of"] == "process"
    assert found["stages"][0]["metrics"]["memory_mb"]["value"] == result["memory_mb"]

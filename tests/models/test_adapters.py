"""An adapter changes nothing until it has learned, learns alone, and is saved alone, with what it was trained on."""

import json
import shutil
from itertools import chain

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GemmaConfig

from tests.models.small import codec, random_policy, tiny_policy
from trueline.models import adapters
from trueline.models.adapters import Adapter, AdapterError, linear_layers
from trueline.models.generate import sample
from trueline.models.policy import Policy, RewardModel
from trueline.train.optim import Optim, Optimizer

peft = pytest.importorskip("peft", reason="adapters need the extra `lora`")

FAMILIES = ["gpt2", "llama", "qwen2", "qwen3", "gemma"]
TOKENS = torch.randint(8, 27, (3, 11), generator=torch.Generator().manual_seed(0))
MASK = torch.ones_like(TOKENS)
LOGP = frozenset({"logp"})
RANK = Adapter(rank=4)


def random_gemma():
    torch.manual_seed(0)
    config = GemmaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=1, head_dim=8, max_position_embeddings=128,
    )  # fmt: skip
    return Policy(AutoModelForCausalLM.from_config(config), codec()).eval()


def saved(folder, family="qwen3"):
    (random_gemma() if family == "gemma" else random_policy(family)).save(folder)
    return Policy.load(folder)


def learned(model):
    """The adapter moved away from its start, where it is zero."""
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.03, generator=torch.Generator().manual_seed(len(name)))
    return model


@pytest.mark.parametrize("family", FAMILIES)
def test_a_new_adapter_changes_nothing(tmp_path, family):
    """Before the first step the logits are those of the base, to 1e-5."""
    base, policy = saved(tmp_path, family), Policy.load(tmp_path).adapt(RANK)
    with torch.no_grad():
        torch.testing.assert_close(policy.logits(TOKENS), base.logits(TOKENS), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_logits_are_those_of_transformers_with_peft(tmp_path, family):
    """What was learned reads the same here, in the ecosystem's own libraries, and merged, to 1e-5."""
    policy = learned(saved(tmp_path / "base", family).adapt(RANK))
    policy.save(tmp_path / "adapter")
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base")
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    with torch.no_grad():
        ours = policy.logits(TOKENS)
        assert (ours - policy.frozen().logits(TOKENS)).abs().max() > 0.01
        torch.testing.assert_close(ours, theirs(TOKENS).logits, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours, Policy.load(tmp_path / "adapter").logits(TOKENS), atol=1e-5, rtol=1e-5)
        alone = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")  # finds the base by itself
        torch.testing.assert_close(ours, alone(TOKENS).logits, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_adapter_learns(tmp_path, family):
    """Gradients reach every adapter matrix and nothing else, so the optimiser's state is as small as the adapter."""
    policy = saved(tmp_path, family).adapt(RANK)
    policy(TOKENS, MASK, LOGP).logp.sum().backward()
    with_gradient = {name for name, p in policy.named_parameters() if p.grad is not None}
    assert with_gradient == {name for name, _ in policy.named_parameters() if "lora_" in name}
    optimizer = Optimizer(policy, Optim(muon=0))
    optimizer.step(1.0)
    state = sum(t.numel() for name, t in optimizer.state().items() if not name.endswith(".step"))
    assert state == 2 * sum(p.numel() for name, p in policy.named_parameters() if "lora_" in name)


@pytest.mark.parametrize("family", ["gpt2", "llama", "gemma"])
def test_samples_are_those_of_the_merged_model(tmp_path, family):
    """Sampling runs with the adapter on: the same tokens as from the merged model, at the same log-probabilities."""
    policy = learned(saved(tmp_path / "base", family).adapt(RANK))
    policy.save(tmp_path / "adapter")
    ours, theirs = (sample(p, [[9, 10, 11], [12]], count=2, max_tokens=6) for p in (policy, Policy.load(tmp_path / "adapter")))
    for one, other in zip(chain(*ours), chain(*theirs), strict=True):
        assert one.ids == other.ids
        assert one.logprobs == pytest.approx(other.logprobs, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_reference_is_no_second_copy(tmp_path, family):
    """The frozen reference reads as the base does, whatever the adapter has learned, and owns no weight of its own."""
    base, policy = saved(tmp_path, family), learned(Policy.load(tmp_path).adapt(RANK))
    reference = policy.frozen()
    own = {p.data_ptr() for p in policy.parameters()}
    assert all(p.data_ptr() in own and not p.requires_grad for p in reference.parameters())
    assert not any("lora_" in name for name, _ in reference.named_parameters())
    with torch.no_grad():
        torch.testing.assert_close(reference.logits(TOKENS), base.logits(TOKENS), atol=1e-5, rtol=1e-5)


def test_a_merged_folder_is_an_ordinary_one(tmp_path):
    """With `merge` what is saved needs neither peft nor the base, and training has gone on with the base untouched."""
    policy = learned(saved(tmp_path / "base").adapt(Adapter(rank=4, merge=True)))
    reference = policy.frozen()
    before = reference.logits(TOKENS)
    policy.save(tmp_path / "merged")
    assert not (tmp_path / "merged" / "adapter_config.json").exists()
    shutil.rmtree(tmp_path / "base")
    with torch.no_grad():
        again = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
        torch.testing.assert_close(policy.logits(TOKENS), again(TOKENS).logits, atol=1e-5, rtol=1e-5)
        assert torch.equal(reference.logits(TOKENS), before)


def test_what_is_loaded_is_lean_and_all_of_it_can_learn(tmp_path):
    """A loaded adapter is merged: the lean forward pass runs it, and a full fine-tuning may start from it."""
    learned(saved(tmp_path / "base").adapt(RANK)).save(tmp_path / "adapter")
    policy = Policy.load(tmp_path / "adapter")
    assert policy.fast is not None
    assert all(p.requires_grad for p in policy.parameters())
    assert not any("lora_" in name for name, _ in policy.named_parameters())


def test_adapters_stack(tmp_path):
    """An adapter on an adapter reads as it did when it was saved, and its record reaches down to the first base."""
    learned(saved(tmp_path / "base").adapt(RANK)).save(tmp_path / "first")
    second = learned(Policy.load(tmp_path / "first").adapt(Adapter(rank=2)))
    second.save(tmp_path / "second")
    with torch.no_grad():
        torch.testing.assert_close(second.logits(TOKENS), Policy.load(tmp_path / "second").logits(TOKENS), atol=1e-5, rtol=1e-5)
    random_policy("qwen3", seed=1).save(tmp_path / "base")
    with pytest.raises(AdapterError, match=r"first' is an adapter on .*base, which has changed since"):
        Policy.load(tmp_path / "second")


def test_a_changed_base_is_refused_by_file(tmp_path):
    """The message names each file that differs, with both hashes, and what to do."""
    saved(tmp_path / "base").adapt(RANK).save(tmp_path / "adapter")
    random_policy("qwen3", seed=1).save(tmp_path / "base")
    (tmp_path / "base" / "extra.safetensors").write_bytes(b"")
    changed = r"extra.safetensors is new; .*|model.safetensors is another \(SHA-256 \w{8} then, \w{8} now\)"
    with pytest.raises(AdapterError, match=changed) as error:
        Policy.load(tmp_path / "adapter")
    assert "model.safetensors is another" in str(error.value)
    assert "config.json" not in str(error.value)


def test_a_run_that_is_moved_keeps_its_base(tmp_path):
    """A base beside the adapter is found again after both have moved; one that is gone is said."""
    saved(tmp_path / "run" / "base").adapt(RANK).save(tmp_path / "run" / "adapter")
    (tmp_path / "run").rename(tmp_path / "moved")
    assert Policy.load(tmp_path / "moved" / "adapter").logits(TOKENS).shape[0] == 3
    shutil.rmtree(tmp_path / "moved" / "base")
    with pytest.raises(AdapterError, match="which is not there"):
        Policy.load(tmp_path / "moved" / "adapter")


def test_an_adapter_of_another_tool_is_refused(tmp_path):
    """Without a record of its base nothing can be checked; the error says what to do instead."""
    saved(tmp_path / "base").adapt(RANK).save(tmp_path / "adapter")
    (tmp_path / "adapter" / "base.json").unlink()
    with pytest.raises(AdapterError, match="merge_and_unload"):
        Policy.load(tmp_path / "adapter")


def test_a_torn_adapter_is_refused(tmp_path):
    """Half a file of weights is an error in one line, never a model with half an adapter."""
    saved(tmp_path / "base").adapt(RANK).save(tmp_path / "adapter")
    weights = tmp_path / "adapter" / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(AdapterError, match="could not be put on its base"):
        Policy.load(tmp_path / "adapter")


def test_a_reward_model_learns_its_adapter_and_its_head(tmp_path):
    """The score head is trained and saved whole beside the adapter; loaded again, here or by peft, scores are the same."""
    policy = saved(tmp_path / "base")
    reward = RewardModel.start_from(policy).adapt(RANK)
    assert (reward(TOKENS, MASK).value == 0).all()
    learning = {name for name, p in reward.named_parameters() if p.requires_grad}
    assert {name for name in learning if "lora_" not in name} == {"model.score.modules_to_save.default.weight"}
    learned(reward).save(tmp_path / "reward")
    base = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", num_labels=1, pad_token_id=0)
    theirs = peft.PeftModel.from_pretrained(base, tmp_path / "reward").eval()
    with torch.no_grad():
        ours = reward(TOKENS, MASK).value
        assert ours.abs().max() > 0.01
        torch.testing.assert_close(ours, RewardModel.load(tmp_path / "reward")(TOKENS, MASK).value, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(ours[:, -1], theirs(TOKENS).logits[:, 0], atol=1e-5, rtol=1e-5)


def test_targets_are_chosen_by_name(tmp_path):
    """Only the layers that are named get an adapter; a name that is none of the model's is refused with those that are."""
    policy = saved(tmp_path).adapt(Adapter(rank=2, targets=("q_proj", "v_proj")))
    touched = {name.split(".")[5] for name, p in policy.named_parameters() if p.requires_grad}
    assert touched == {"q_proj", "v_proj"}
    with pytest.raises(AdapterError, match=r"'q_prj' is no linear layer of this model; it has q_proj, k_proj"):
        Policy.load(tmp_path).adapt(Adapter(rank=2, targets=("q_prj",)))
    assert "lm_head" not in linear_layers(policy.model)


def test_a_dropping_policy_has_no_reference(tmp_path):
    """Dropout would make a ratio of two passes random (rule 6): such a policy has no reference, a reward model none at all."""
    adapter = Adapter(rank=2, dropout=0.1)
    policy = saved(tmp_path).adapt(adapter)
    with pytest.raises(AdapterError, match=r"adapter\.dropout=0"):
        policy.frozen()
    with pytest.raises(AdapterError, match=r"adapter\.dropout=0"):
        RewardModel.start_from(Policy.load(tmp_path)).adapt(adapter)


def test_rank_zero_is_full_fine_tuning(tmp_path):
    """Without a rank the policy is as it was: no adapter, every weight trainable, an ordinary folder saved."""
    policy = saved(tmp_path / "base").adapt(Adapter())
    assert policy.adapted is None
    assert all(p.requires_grad for p in policy.parameters())
    policy.save(tmp_path / "again")
    assert (tmp_path / "again" / "model.safetensors").is_file()


def test_a_model_without_a_source_cannot_be_named_as_a_base():
    """A policy that was made in memory has nothing to record."""
    with pytest.raises(AdapterError, match="load the model from a folder"):
        tiny_policy().adapt(RANK)


def test_bad_settings_are_refused():
    """Each bound is said with what came."""
    for wrong in ({"rank": -1}, {"alpha": 0.0}, {"dropout": 1.0}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Adapter(**wrong)


def test_without_peft_the_error_names_the_extra(tmp_path, monkeypatch):
    """Where the library is absent one line says how to get it."""
    policy = saved(tmp_path)
    monkeypatch.setitem(__import__("sys").modules, "peft", None)
    with pytest.raises(AdapterError, match=r"pip install 'trueline\[lora\]'"):
        policy.adapt(RANK)


def test_the_record_names_the_base_and_its_files(tmp_path):
    """base.json has the absolute folder, the way to it, and a hash for each file that makes the model."""
    saved(tmp_path / "base").adapt(RANK).save(tmp_path / "adapter")
    record = json.loads((tmp_path / "adapter" / adapters.RECORD).read_text())
    assert record["name"] == str(tmp_path / "base")
    assert record["near"] == "../base"
    assert set(record["files"]) == {"config.json", "model.safetensors"}
    assert all(len(digest) == 64 for digest in record["files"].values())

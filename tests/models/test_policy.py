"""Policies and reward models are ordinary transformers folders."""

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

from tests.models.small import random_policy, tiny_policy
from trueline.models.policy import ModelError, Policy, RewardModel

TOKENS = torch.randint(8, 27, (3, 11), generator=torch.Generator().manual_seed(0))


def test_a_saved_policy_is_loaded_by_transformers_with_the_same_logits(tmp_path):
    """AutoModelForCausalLM and AutoTokenizer read what save wrote, and agree within 1e-5."""
    policy = tiny_policy()
    policy.save(tmp_path)
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path)
    with torch.no_grad():
        torch.testing.assert_close(policy.logits(TOKENS), theirs(TOKENS).logits, atol=1e-5, rtol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    assert tokenizer("a b c", add_special_tokens=False)["input_ids"] == policy.codec.ids("a b c")
    assert tokenizer.chat_template == policy.codec.tokenizer.chat_template


def test_a_saved_reward_model_is_loaded_by_transformers_with_the_same_scores(tmp_path):
    """AutoModelForSequenceClassification gives the score that we read at the last token."""
    reward = RewardModel.start_from(tiny_policy())
    torch.nn.init.normal_(reward.model.score.weight)
    reward.save(tmp_path)
    theirs = AutoModelForSequenceClassification.from_pretrained(tmp_path)
    with torch.no_grad():
        ours = reward(TOKENS, torch.ones_like(TOKENS)).value[:, -1]
        torch.testing.assert_close(ours, theirs(TOKENS).logits[:, 0], atol=1e-5, rtol=1e-5)
        again = RewardModel.load(tmp_path)(TOKENS, torch.ones_like(TOKENS)).value[:, -1]
    torch.testing.assert_close(ours, again)


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_logp_and_entropy_are_those_of_the_full_softmax(family):
    """The masked, chunked log-probabilities and entropies equal a naive log-softmax over all logits."""
    policy = random_policy(family)
    mask = torch.zeros_like(TOKENS)
    mask[:, 4:9] = 1
    with torch.no_grad():
        out = policy(TOKENS, mask, frozenset({"logp", "entropy"}), temperature=0.7)
        scores = (policy.model(TOKENS).logits[:, :-1] / 0.7).log_softmax(-1)
    expected = scores.gather(-1, TOKENS[:, 1:, None])[..., 0] * mask[:, 1:]
    torch.testing.assert_close(out.logp[:, 1:], expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(out.entropy[:, 1:], -(scores.exp() * scores).sum(-1) * mask[:, 1:], atol=1e-5, rtol=1e-5)
    assert (out.logp[:, 0] == 0).all()


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_a_new_value_head_says_zero(family):
    """A value head starts at zero everywhere, on the fast path and off it."""
    policy = random_policy(family)
    policy.add_value_head()
    out = policy(TOKENS, torch.ones_like(TOKENS), frozenset({"logp", "value"}))
    assert (out.value == 0).all()
    assert out.logp.abs().sum() > 0


def test_a_frozen_copy_does_not_follow_its_original():
    """Training the policy leaves the reference as it was."""
    policy = tiny_policy()
    reference = policy.frozen()
    with torch.no_grad():
        policy.model.model.norm.weight.add_(1.0)
    assert not torch.equal(reference.model.model.norm.weight, policy.model.model.norm.weight)
    assert not any(p.requires_grad for p in reference.parameters())


def test_a_missing_folder_says_what_to_give():
    """A wrong path names itself and the two forms that are allowed."""
    with pytest.raises(ModelError, match=r"no model folder at .*nowhere.*hf:NAME"):
        Policy.load("nowhere")


def test_a_pickled_checkpoint_is_refused(tmp_path):
    """Weights that are not safetensors are never unpickled."""
    policy = tiny_policy()
    policy.save(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    torch.save(policy.model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(ModelError):
        Policy.load(tmp_path)


@pytest.mark.parametrize("needs", [frozenset({"logp", "entropy"}), frozenset({"value", "logp"})])
def test_only_what_is_masked_is_computed_and_it_is_what_the_whole_gives(needs):
    """Log-probabilities and values of some tokens are those of all; of none they are zeros, with gradients of zero."""
    policy = tiny_policy()
    policy.add_value_head()
    torch.nn.init.normal_(policy.value_head.weight)
    every = torch.ones_like(TOKENS, dtype=torch.bool)
    some = torch.rand(TOKENS.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    whole, part, none = (policy(TOKENS, m, needs) for m in (every, some, torch.zeros_like(some)))
    for name in needs:
        expected = getattr(whole, name) * some
        expected[:, 0] = 0
        torch.testing.assert_close(getattr(part, name), expected, atol=1e-5, rtol=1e-4)
        assert not getattr(none, name).any()
    none.logp.sum().backward()
    assert all(p.grad is None or not p.grad.any() for p in policy.parameters())

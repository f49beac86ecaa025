"""Computing in bfloat16: weights, gradients and what is given out stay float32, and the results are roughly the same."""

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.generate import sample
from trueline.models.machine import dtype_for
from trueline.models.policy import RewardModel
from trueline.train.batch import pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.likelihood import NextToken

NEEDS = frozenset({"logp", "entropy", "logits"})


def batch(rows=3, length=12):
    ids = torch.randint(3, 20, (rows, length), generator=torch.Generator().manual_seed(0)).tolist()
    return pad_rows(ids, [[False, False] + [True] * (length - 2)] * rows, 0)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3", "gpt2"])
def test_results_are_float32_and_near_those_of_float32(family):
    """Log-probabilities, entropies and logits, by the lean path and by transformers."""
    policy, rows = random_policy(family), batch()
    with torch.no_grad():
        exact = policy(rows.tokens, rows.mask, NEEDS)
        rough = policy.compute_in(torch.bfloat16)(rows.tokens, rows.mask, NEEDS)
    for name in NEEDS:
        a, b = getattr(exact, name), getattr(rough, name)
        assert b.dtype == torch.float32
        assert not torch.equal(a, b)
        assert float((a - b).norm() / a.norm()) < 0.03


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_the_lean_path_is_no_rougher_than_transformers(family):
    """Its distance from the exact logits is that of torch's own autocast, or less."""
    policy, rows = random_policy(family), batch()
    with torch.no_grad():
        exact = policy.logits(rows.tokens)
        ours = policy.compute_in(torch.bfloat16).logits(rows.tokens)
        policy.fast = None
        theirs = policy.logits(rows.tokens)
    assert float((ours - exact).norm()) < 1.05 * float((theirs - exact).norm())


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_gradients_are_float32_and_point_the_same_way(family):
    """A gradient that was computed in bfloat16 differs from the exact one by a few hundredths of its length."""
    policy, rows = random_policy(family), batch()
    found = []
    for dtype in (torch.float32, torch.bfloat16):
        policy.zero_grad()
        gradients(policy.compute_in(dtype), NextToken(), rows)
        assert all(p.grad is None or p.grad.dtype == torch.float32 for p in policy.parameters())
        found.append(torch.cat([p.grad.flatten() for p in policy.parameters() if p.grad is not None]))
    assert float((found[0] - found[1]).norm() / found[0].norm()) < 0.05


def test_values_and_scores_are_computed_from_float32_heads():
    """A value head and a reward model's score work in bfloat16 too, and a twin computes as its original does."""
    policy, rows = tiny_policy().compute_in(torch.bfloat16), batch()
    policy.add_value_head()
    assert policy(rows.tokens, rows.mask, frozenset({"value"})).value.dtype == torch.float32
    reward = RewardModel.start_from(policy)
    assert reward(rows.tokens, rows.mask).value.dtype == torch.float32
    assert (policy.frozen().compute_dtype, reward.compute_dtype) == (torch.bfloat16, torch.bfloat16)


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_the_sampler_computes_as_the_trainer_does(family):
    """What a sampler in bfloat16 thought of its tokens is near what the trainer thinks of them."""
    policy = random_policy(family).compute_in(torch.bfloat16)
    prompt = [3, 4, 5]
    (drawn,) = sample(policy, [prompt], count=4, max_tokens=8)
    rows = pad_rows([[*prompt, *s.ids] for s in drawn], [[False] * 3 + [True] * len(s.ids) for s in drawn], 0)
    with torch.no_grad():
        logp = policy(rows.tokens, rows.mask, frozenset({"logp"})).logp
    for row, made in zip(logp, drawn, strict=True):
        torch.testing.assert_close(row[3 : 3 + len(made.ids)], torch.tensor(made.logprobs), atol=0.1, rtol=0.05)


def test_a_processor_computes_in_float32_unless_it_is_told():
    """bfloat16 is chosen by itself only on a GPU that multiplies it in hardware."""
    assert dtype_for("cpu") == torch.float32
    assert dtype_for("cpu", "bfloat16") == torch.bfloat16

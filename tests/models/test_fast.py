"""The fast path computes what transformers computes."""

import pytest
import torch

from tests.models.small import random_policy
from trueline.models.fast import can_run, joined
from trueline.train.messages import into_shared_memory


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_logits_equal_transformers(family):
    """For each known family the logits of the fast path are those of transformers within 1e-5."""
    policy = random_policy(family)
    tokens = torch.randint(0, 60, (3, 17))
    with torch.no_grad():
        expected = policy.model(tokens).logits
        assert policy.fast is not None
        torch.testing.assert_close(policy.logits(tokens), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
def test_gradients_equal_transformers(family):
    """Training through the fast path gives every parameter the gradient that transformers gives it."""
    policy = random_policy(family)
    tokens = torch.randint(0, 60, (2, 9))
    policy.logits(tokens).logsumexp(-1).sum().backward()
    fast = {n: p.grad.clone() for n, p in policy.model.named_parameters()}
    policy.zero_grad()
    policy.model(tokens).logits.logsumexp(-1).sum().backward()
    for name, parameter in policy.model.named_parameters():
        torch.testing.assert_close(fast[name], parameter.grad, atol=1e-4, rtol=1e-4, msg=name)


def test_right_padding_touches_nothing():
    """What stands after a row's last token never changes the row's hidden states."""
    policy = random_policy("qwen3")
    tokens = torch.randint(0, 60, (2, 12))
    changed = tokens.clone()
    changed[:, 7:] = 0
    with torch.no_grad():
        torch.testing.assert_close(policy.fast.hidden(tokens)[:, :7], policy.fast.hidden(changed)[:, :7])


def test_unknown_architectures_are_left_to_transformers():
    """GPT-2 is not claimed by the fast path."""
    assert not can_run(random_policy("gpt2").model.config)


def test_weights_that_a_crew_laid_out_are_joined_without_a_copy():
    """Matrices that follow one another in memory are one matrix where they are; others are copied; gradients go to each."""
    parts = [torch.nn.Parameter(torch.randn(rows, 16)) for rows in (8, 4, 4)]
    vector, weights = torch.nn.Parameter(torch.randn(16)), torch.randn(16, 16)
    apart = joined(*parts)
    into_shared_memory([parts[0], vector, *parts[1:]])
    together = joined(*parts)
    assert torch.equal(apart, together)
    assert (apart.data_ptr() == parts[0].data_ptr(), together.data_ptr() == parts[0].data_ptr()) == (False, True)
    (together * weights).sum().backward()
    assert torch.equal(torch.cat([p.grad for p in parts]), weights)

"""Advantages: closed forms, and what equal rewards must give."""

import pytest
import torch

from trueline.train import annotate
from trueline.train.batch import Batch


def batch(rewards, group, length=3, **columns):
    n = len(rewards)
    mask = torch.zeros(n, length + 1, dtype=torch.bool)
    mask[:, 1:] = True
    made = Batch(tokens=torch.ones(n, length + 1, dtype=torch.long), mask=mask, group=group)
    base = {"reward": torch.tensor(rewards), "old_logp": torch.zeros(n, length + 1), "ref_logp": torch.zeros(n, length + 1)}
    return annotate.kl_in_reward(0.0)(made.having(**base, **columns))


def advantages(made):
    return made.columns["advantage"][:, 1]


def test_rloo_is_the_scaled_distance_to_the_group_mean():
    """A_i = G/(G-1) (R_i - mean), within each group."""
    made = annotate.rloo(batch([1.0, 2.0, 6.0, 0.0, 0.0, 3.0], 3))
    torch.testing.assert_close(advantages(made), 1.5 * torch.tensor([-2.0, -1.0, 3.0, -1.0, -1.0, 2.0]))


def test_dr_grpo_does_not_divide_by_the_deviation():
    """A_i = R_i - mean."""
    made = annotate.dr_grpo(batch([1.0, 3.0, 10.0, 30.0], 2))
    torch.testing.assert_close(advantages(made), torch.tensor([-1.0, 1.0, -10.0, 10.0]))


def test_grpo_divides_by_the_group_deviation():
    """Groups of very different spread get advantages of the same size."""
    made = annotate.grpo()(batch([1.0, 3.0, 10.0, 30.0], 2))
    torch.testing.assert_close(advantages(made).abs(), torch.full((4,), 2**-0.5), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", sorted(annotate.ESTIMATORS))
def test_equal_rewards_teach_nothing(name):
    """When every sample earned the same, every advantage is zero."""
    assert advantages(annotate.ESTIMATORS[name](batch([0.7] * 6, 3))).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["rloo", "grpo", "dr_grpo"])
def test_a_group_of_one_is_finite(name):
    """One sample a prompt gives finite advantages (its own reward for RLOO, zero for the others)."""
    got = advantages(annotate.ESTIMATORS[name](batch([0.7, -0.2], 1)))
    assert torch.isfinite(got).all()
    torch.testing.assert_close(got, torch.tensor([0.7, -0.2]) if name == "rloo" else torch.zeros(2))


def test_the_kl_penalty_stands_at_each_token_and_the_reward_at_the_last():
    """token_reward = -beta (old - ref) everywhere, plus R at the end."""
    made = batch([2.0], 1)
    made = made.having(old_logp=torch.tensor([[0.0, -1.0, -2.0, -3.0]]), ref_logp=torch.tensor([[0.0, -1.5, -2.0, -1.0]]))
    got = annotate.kl_in_reward(0.1)(made).columns["token_reward"]
    torch.testing.assert_close(got, torch.tensor([[0.0, -0.05, 0.0, 2.0 + 0.2]]))


def test_gae_with_full_decay_is_return_minus_value():
    """lambda = gamma = 1: advantage = sum of later rewards - V, and returns = that sum."""
    made = batch([1.0, -1.0], 1).having(old_value=torch.tensor([[0.0, 0.5, 0.2, 0.1], [0.0, 0.3, 0.3, 0.3]]))
    got = annotate.gae(discount=1.0, decay=1.0, whiten=False)(made)
    torch.testing.assert_close(got.columns["advantage"][:, 1:], torch.tensor([[0.5, 0.8, 0.9], [-1.3, -1.3, -1.3]]))
    torch.testing.assert_close(got.columns["returns"][:, 1:], torch.tensor([[1.0] * 3, [-1.0] * 3]))


def test_gae_with_no_decay_is_the_one_step_error():
    """lambda = 0: advantage = r + gamma V' - V."""
    made = batch([1.0], 1).having(old_value=torch.tensor([[0.0, 0.5, 0.2, 0.1]]))
    got = annotate.gae(discount=0.9, decay=0.0, whiten=False)(made).columns["advantage"]
    torch.testing.assert_close(got, torch.tensor([[0.0, 0.9 * 0.2 - 0.5, 0.9 * 0.1 - 0.2, 1.0 - 0.1]]))


def test_whitening_is_over_trained_tokens_only():
    """Whitened advantages have mean zero and deviation one over the mask, and are zero outside it."""
    made = batch([1.0, -1.0, 3.0, 0.0], 1)
    mask = made.mask.clone()
    mask[0, 3] = False
    made = Batch(tokens=made.tokens, mask=mask, columns=dict(made.columns) | {"old_value": torch.rand(4, 4)})
    got = annotate.gae()(made).columns["advantage"]
    inside = got[made.mask]
    assert inside.mean().abs() < 1e-6
    assert (inside.std(correction=0) - 1).abs() < 1e-5
    assert (got[~made.mask] == 0).all()

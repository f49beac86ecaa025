"""Advantages: closed forms, and what equal rewards must give."""

import math

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.train import advantages, annotate
from trueline.train.batch import Batch, pad_rows
from trueline.train.controllers import Lagrange


def batch(rewards, group, length=3, **columns):
    n = len(rewards)
    mask = torch.zeros(n, length + 1, dtype=torch.bool)
    mask[:, 1:] = True
    made = Batch(tokens=torch.ones(n, length + 1, dtype=torch.long), mask=mask, group=group)
    base = {
        "reward": torch.tensor(rewards),
        "baseline": torch.full((n,), rewards[0]),
        "old_logp": torch.zeros(n, length + 1),
        "ref_logp": torch.zeros(n, length + 1),
    }
    return annotate.kl_in_reward(0.0)(made.having(**base, **columns))


def given(made):
    return made.columns["advantage"][:, 1]


def test_rloo_is_the_scaled_distance_to_the_group_mean():
    """A_i = G/(G-1) (R_i - mean), within each group."""
    made = advantages.rloo(batch([1.0, 2.0, 6.0, 0.0, 0.0, 3.0], 3))
    torch.testing.assert_close(given(made), 1.5 * torch.tensor([-2.0, -1.0, 3.0, -1.0, -1.0, 2.0]))


def test_dr_grpo_does_not_divide_by_the_deviation():
    """A_i = R_i - mean."""
    made = advantages.dr_grpo(batch([1.0, 3.0, 10.0, 30.0], 2))
    torch.testing.assert_close(given(made), torch.tensor([-1.0, 1.0, -10.0, 10.0]))


def test_grpo_divides_by_the_group_deviation():
    """Groups of very different spread get advantages of the same size."""
    made = advantages.grpo()(batch([1.0, 3.0, 10.0, 30.0], 2))
    torch.testing.assert_close(given(made).abs(), torch.full((4,), 2**-0.5), atol=1e-3, rtol=0)


@pytest.mark.parametrize("name", sorted(advantages.ESTIMATORS))
def test_equal_rewards_teach_nothing(name):
    """When every sample earned the same, every advantage is zero."""
    assert given(advantages.ESTIMATORS[name](batch([0.7] * 6, 3))).abs().max() < 1e-6


@pytest.mark.parametrize("name", ["rloo", "grpo", "dr_grpo"])
def test_a_group_of_one_is_finite(name):
    """One sample a prompt gives finite advantages (its own reward for RLOO, zero for the others)."""
    got = given(advantages.ESTIMATORS[name](batch([0.7, -0.2], 1)))
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
    got = advantages.gae(discount=1.0, decay=1.0, whiten=False)(made)
    torch.testing.assert_close(got.columns["advantage"][:, 1:], torch.tensor([[0.5, 0.8, 0.9], [-1.3, -1.3, -1.3]]))
    torch.testing.assert_close(got.columns["returns"][:, 1:], torch.tensor([[1.0] * 3, [-1.0] * 3]))


def test_gae_with_no_decay_is_the_one_step_error():
    """lambda = 0: advantage = r + gamma V' - V."""
    made = batch([1.0], 1).having(old_value=torch.tensor([[0.0, 0.5, 0.2, 0.1]]))
    got = advantages.gae(discount=0.9, decay=0.0, whiten=False)(made).columns["advantage"]
    torch.testing.assert_close(got, torch.tensor([[0.0, 0.9 * 0.2 - 0.5, 0.9 * 0.1 - 0.2, 1.0 - 0.1]]))


def test_whitening_is_over_trained_tokens_only():
    """Whitened advantages have mean zero and deviation one over the mask, and are zero outside it."""
    made = batch([1.0, -1.0, 3.0, 0.0], 1)
    mask = made.mask.clone()
    mask[0, 3] = False
    made = Batch(tokens=made.tokens, mask=mask, columns=dict(made.columns) | {"old_value": torch.rand(4, 4)})
    got = advantages.gae()(made).columns["advantage"]
    inside = got[made.mask]
    assert inside.mean().abs() < 1e-6
    assert (inside.std(correction=0) - 1).abs() < 1e-5
    assert (got[~made.mask] == 0).all()


def test_remax_subtracts_the_greedy_answers_reward():
    """A = R - baseline, whatever the others of the group earned."""
    made = batch([1.0, 3.0, 10.0, 30.0], 2).having(baseline=torch.tensor([2.0, 2.0, 5.0, 5.0]))
    torch.testing.assert_close(given(advantages.remax(made)), torch.tensor([-1.0, 1.0, 5.0, 25.0]))


def test_reinforce_pp_is_the_whitened_sum_of_later_rewards():
    """The penalty of earlier tokens is none of a token's own; then mean 0 and deviation 1 over the batch."""
    made = batch([2.0, -1.0], 1)
    made = made.having(token_reward=torch.tensor([[0.0, 0.1, -0.2, 2.0], [0.0, 0.0, 0.3, -1.0]]))
    to_go = torch.tensor([[1.9, 1.8, 2.0], [-0.7, -0.7, -1.0]])
    white = (to_go - to_go.mean()) / to_go.std(correction=0)
    torch.testing.assert_close(advantages.reinforce_pp(made).columns["advantage"][:, 1:], white)


def test_reinforce_pp_baseline_takes_the_group_mean_off_first():
    """Groups of different means and one spread come out alike, and whitened."""
    made = advantages.reinforce_pp_baseline(batch([1.0, 3.0, 10.0, 12.0], 2))
    torch.testing.assert_close(given(made), torch.tensor([-1.0, 1.0, -1.0, 1.0]))


def test_explained_variance():
    """1 for values that are the returns, 0 for a constant, below 0 for values that point the wrong way."""
    returns, mask = torch.tensor([[1.0, 2.0, 3.0, 99.0]]), torch.tensor([[True, True, True, False]])
    assert advantages.explained(returns, returns, mask) == pytest.approx(1)
    assert advantages.explained(torch.full((1, 4), 7.0), returns, mask) == pytest.approx(0)
    assert advantages.explained(-returns, returns, mask) < 0


def test_the_kl_of_a_part_of_the_rows_is_that_of_all_where_rows_are_alike():
    """`watch_kl` reads some rows with the padding cut, at the batch's temperature, and logs what `log_kl` would."""
    policy, other = tiny_policy(), tiny_policy(seed=3)
    rows = [[1, 9, 10, 11, 2]] * 6
    made = pad_rows(rows, [[False, False, True, True, True]] * 6, 0, 3)
    made = annotate.column("old_logp", policy)(made)
    whole = annotate.chain(annotate.reference(other), annotate.log_kl)(made).metrics["kl"]
    for some in (1, 2, 6, 100):
        assert annotate.watch_kl(other, rows=some)(made).metrics["kl"] == pytest.approx(whole, rel=1e-5)


def test_the_cost_stream_carries_the_penalty_with_its_sign_turned():
    """(r - lambda c) / (1 + lambda) has the KL penalty with weight beta for every lambda."""
    made = batch([0.0], 1).having(cost=torch.tensor([0.0]), old_logp=torch.tensor([[0.0, -1.0, -2.0, -3.0]]))
    made = annotate.chain(annotate.kl_in_reward(0.1), annotate.kl_in_cost(0.1))(made)
    reward, cost = made.columns["token_reward"], made.columns["token_cost"]
    for weight in (0.0, 0.7, 5.0):
        torch.testing.assert_close((reward - weight * cost) / (1 + weight), reward)


def test_lagrangian_weighs_two_advantages():
    """With lambda 3 and zero values the advantage is whitened (R - 3 C) / 4; returns and cost returns are each their own."""
    made = batch([1.0, 2.0, 0.5, 0.0], 1).having(cost=torch.tensor([0.0, 1.0, 0.0, 0.3]))
    zeros = torch.zeros(4, 4)
    made = annotate.kl_in_cost(0.0)(made.having(old_value=zeros, old_cost_value=zeros))
    multiplier = Lagrange(limit=0.0, start=3.0, bound=3.0, delay=9)
    got = advantages.lagrangian(multiplier, decay=1.0)(made)
    raw = torch.tensor([1.0, -1.0, 0.5, -0.9]) / 4
    torch.testing.assert_close(given(got), (raw - raw.mean()) / raw.std(correction=0))
    torch.testing.assert_close(got.columns["returns"][:, 1], torch.tensor([1.0, 2.0, 0.5, 0.0]))
    torch.testing.assert_close(got.columns["cost_returns"][:, 3], torch.tensor([0.0, 1.0, 0.0, 0.3]))
    assert got.metrics["multiplier"] == pytest.approx(3)


def test_importance_weights_are_one_where_sampler_and_trainer_agree():
    """With one model the advantage stays as it is, bit for bit."""
    made = advantages.rloo(batch([1.0, 3.0], 2))
    made = made.having(sampler_logp=made.columns["old_logp"])
    for over in ("token", "sequence"):
        got = annotate.truncated_importance(3.0, over)(made)
        assert torch.equal(got.columns["advantage"], made.columns["advantage"])
        assert got.metrics["mismatch_cut"] == got.metrics["mismatch_kl"] == 0


def test_importance_weights_are_truncated_or_drop_the_row():
    """token: min(w, cap) at each; sequence: a row whose product of ratios passes the cap, either way, weighs nothing."""
    made = batch([1.0, 1.0, 1.0], 1).having(advantage=torch.ones(3, 4))
    old = torch.tensor([[9.0, 0.5, 2.0, 0.0], [9.0, 0.4, -0.4, 0.1], [9.0, -0.6, -0.6, 0.0]])
    made = made.having(old_logp=old, sampler_logp=torch.zeros(3, 4))
    token = annotate.truncated_importance(3.0, "token")(made)
    torch.testing.assert_close(token.columns["advantage"][0, 1:], torch.tensor([math.exp(0.5), 3.0, 1.0]))
    assert token.metrics["mismatch_cut"] == pytest.approx(1 / 9)
    sequence = annotate.truncated_importance(3.0, "sequence")(made)
    assert sequence.columns["advantage"][:, 1].tolist() == [0.0, 1.0, 0.0]
    assert sequence.metrics["mismatch_cut"] == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="above 1"):
        annotate.truncated_importance(1.0, "token")


def test_the_mismatch_is_from_the_sampler_to_the_trainer():
    """The trainer's own log-probabilities become `old_logp`; a sampler that gave each token half a nat more is .5 away."""
    made, policy = batch([1.0, 1.0], 1), tiny_policy()
    own = policy(made.tokens, made.mask, frozenset({"logp"})).logp.detach()
    same = annotate.mismatch(policy)(made.having(sampler_logp=own))
    torch.testing.assert_close(same.columns["old_logp"], own)
    assert same.metrics["mismatch_kl"] == pytest.approx(0.0, abs=1e-6)
    surer = annotate.mismatch(policy)(made.having(sampler_logp=own + 0.5 * made.mask))
    assert surer.metrics["mismatch_kl"] == pytest.approx(0.5, abs=1e-5)

"""Representation rerouting: nothing to do at the start, nothing left where states are orthogonal, coefficients that cross.

pytest tests/train/test_reroute.py
"""

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.policy import Outputs
from trueline.models.residual import Seeing
from trueline.models.tokens import Example
from trueline.train.annotate_hidden import hidden_of
from trueline.train.kinds import Kind, Kinds
from trueline.train.loop import gradients
from trueline.train.objectives.reroute import Reroute

HARMFUL = [
    Example((1, 9, 10, 11, 12, 2), (False, False, True, True, True, True)),
    Example((1, 9, 13, 2), (False, False, True, True)),
]
BENIGN = [Example((1, 14, 15, 16, 2), (False, False, True, True, True))]


def batch(policy, step=0):
    kinds = {"harmful": Kind(lambda step: HARMFUL), "benign": Kind(lambda step: BENIGN)}
    return list(Kinds(kinds=kinds, steps=4, annotate=hidden_of(Seeing(policy.frozen(), (1,)))).batches(0))[step]


def terms(hidden, made, objective=Reroute()):  # noqa: B008 - frozen
    return {t.name: (t.weight, float(t.total) / made.count("token")) for t in objective(Outputs(hidden=hidden), made)}


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_at_the_start_every_cosine_is_one_and_nothing_has_moved(family):
    """Reroute is 1 and retain is 0, the start check accepts it, and the gradient is finite."""
    policy = random_policy(family)
    model = Seeing(policy, (1,))
    metrics = gradients(model, Reroute(), batch(policy, step=2))
    assert metrics["reroute"] == pytest.approx(1, abs=1e-5)
    assert metrics["retain"] == pytest.approx(0, abs=1e-5)
    assert list(Reroute().at_start(metrics)) == []
    assert all(torch.isfinite(p.grad).all() for p in policy.parameters() if p.grad is not None)


def test_another_model_at_the_start_is_named():
    """A reference that is not the model stops the run."""
    made = batch(tiny_policy(seed=3))
    assert any(
        "must be one at the start" in fault
        for fault in Reroute().at_start(gradients(Seeing(tiny_policy(), (1,)), Reroute(), made))
    )


def test_orthogonal_and_opposite_states_cost_nothing():
    """The rerouting loss is relu of the cosine: 1 at no change, 0 where harmful states are orthogonal or turned round."""
    made = batch(tiny_policy())
    start = made.columns["ref_hidden"][made.mask].unsqueeze(1)  # (M, 1, D)
    aside = torch.randn_like(start)
    aside -= (aside * start).sum(-1, keepdim=True) / start.pow(2).sum(-1, keepdim=True) * start
    for hidden, wanted in ((start, 1.0), (3 * start, 1.0), (aside, 0.0), (-start, 0.0)):
        assert terms(hidden, made)["reroute"][1] == pytest.approx(wanted, abs=1e-5)


def test_only_benign_states_are_held():
    """Harmful states may move freely; a benign one that moves by half its length costs one half."""
    made = batch(tiny_policy())
    start = made.columns["ref_hidden"][made.mask].unsqueeze(1)
    harmful = made.columns["harmful"][made.mask.nonzero()[:, 0]].bool()
    moved = torch.where(harmful[:, None, None], -start, start)
    assert terms(moved, made)["retain"][1] == pytest.approx(0, abs=1e-6)
    assert terms(torch.where(harmful[:, None, None], start, 1.5 * start), made)["retain"][1] == pytest.approx(0.5, abs=1e-5)


def test_the_coefficients_are_those_of_algorithm_1():
    """alpha (1 - t / 2T) and alpha t / 2T, the second times `retain`."""
    policy = tiny_policy()
    for step in range(4):
        made = batch(policy, step)
        found = terms(made.columns["ref_hidden"][made.mask].unsqueeze(1), made, Reroute(alpha=2.0, retain=3.0))
        assert found["reroute"][0] == pytest.approx(2 * (1 - step / 8))
        assert found["retain"][0] == pytest.approx(2 * 3 * step / 8)


def test_a_split_changes_no_gradient():
    """Row by row the gradient is that of the whole step."""
    policy, other = tiny_policy(), tiny_policy(seed=1)
    made, found = batch(other, step=3), []
    for rows in (0, 1):
        policy.zero_grad()
        gradients(Seeing(policy, (1,)), Reroute(), made, rows)
        found.append(policy.model.model.embed_tokens.weight.grad.clone())
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-4)


def test_settings_are_above_zero():
    """Without either side there is nothing to train."""
    with pytest.raises(ValueError, match="above 0"):
        Reroute(alpha=0)

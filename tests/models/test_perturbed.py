"""Latent perturbations: bounded, on the prompt alone, worse than none, and gone where nothing is attacked.

pytest tests/models/test_perturbed.py
"""

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.perturbed import Perturbed
from trueline.models.residual import LayerError
from trueline.train.batch import pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.likelihood import NextToken

LOGP = frozenset({"logp"})
HEADS = ((1, 9, 10), (1, 9, 11, 12))
HARMFUL = (13, 14, 2)
ROWS = [[*HEADS[0], 20, 2], [*HEADS[0], *HARMFUL], [*HEADS[1], 21, 22, 2], [1, 15, 16, 17, 2]]  # the last is not attacked
BATCH = pad_rows(ROWS, [[False] * n + [True] * (len(r) - n) for r, n in zip(ROWS, (3, 3, 4, 2), strict=True)], 0)


def perturbed(policy, **settings):
    chosen = {"layers": (0, 1), "radius": 0.3, "steps": 3, "targets": dict.fromkeys(HEADS, HARMFUL), **settings}
    made = Perturbed(policy, **chosen)
    made.training = True  # without the dropout of the model inside
    return made


@pytest.mark.parametrize("settings", [{"radius": 0.0}, {"targets": {}}])
def test_without_radius_or_targets_it_is_plain_training(settings):
    """Loss and gradient are those of the policy, bit for bit."""
    policy = tiny_policy()
    found = []
    for model in (policy, perturbed(policy, **settings)):
        policy.zero_grad()
        metrics = gradients(model, NextToken(), BATCH)
        found.append((metrics["loss"], policy.model.model.embed_tokens.weight.grad.clone()))
    assert found[0][0] == found[1][0]
    assert torch.equal(found[0][1], found[1][1])


def test_in_evaluation_it_is_the_policy():
    """Outside training nothing is perturbed."""
    policy = tiny_policy()
    attacked = perturbed(policy).eval()(BATCH.tokens, BATCH.mask, LOGP).logp
    torch.testing.assert_close(attacked, policy(BATCH.tokens, BATCH.mask, LOGP).logp, atol=0, rtol=0)


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_the_perturbation_makes_the_target_likelier(family):
    """Under attack the harmful reply is likelier, and more so with a larger radius; other prompts are untouched."""
    policy = random_policy(family)
    plain = policy(BATCH.tokens, BATCH.mask, LOGP).logp
    small, large = (perturbed(policy, radius=r)(BATCH.tokens, BATCH.mask, LOGP).logp for r in (0.05, 0.5))
    assert plain[1].sum() < small[1].sum() < large[1].sum()
    torch.testing.assert_close(large[3], plain[3], atol=1e-5, rtol=1e-5)


def test_away_from_the_trained_reply_is_the_untargeted_attack():
    """With the trained reply as target and `toward` off, its loss rises."""
    policy = random_policy("qwen3")
    plain = policy(BATCH.tokens, BATCH.mask, LOGP).logp
    found = perturbed(policy, targets={HEADS[0]: (20, 2)}, toward=False)(BATCH.tokens, BATCH.mask, LOGP).logp
    assert found[0].sum() < plain[0].sum()


def test_it_is_bounded_at_every_token_and_on_the_prompt_alone():
    """No state moves by more than its share, some move by all of it, and what follows the prompt does not move."""
    model = perturbed(random_policy("qwen3"), radius=0.2)
    found = model._attack(HEADS)
    rows = pad_rows([[*h, *HARMFUL] for h in HEADS], [[False] * len(h) + [True] * 3 for h in HEADS], 0)
    norms = model._norms(rows.tokens, rows.mask)
    for layer, shift in found.items():
        share = shift.norm(dim=-1) / norms[layer][0][..., 0]
        assert share.max() <= 0.2 + 1e-5
        assert share.max() > 0.19
        for row, head in enumerate(HEADS):
            assert (shift[row, len(head) :] == 0).all()


def test_a_split_changes_no_gradient():
    """Micro-batches of one row find the perturbation that the whole step does."""
    policy = random_policy("qwen3")
    found = []
    for rows in (0, 1):
        policy.zero_grad()
        gradients(perturbed(policy), NextToken(), BATCH, rows)
        found.append(policy.model.model.embed_tokens.weight.grad.clone())
    assert torch.isfinite(found[0]).all()
    torch.testing.assert_close(*found, atol=1e-4, rtol=1e-3)


def test_settings_that_make_no_sense_are_refused():
    """A negative radius, no step, a layer that is not there."""
    with pytest.raises(ValueError, match="radius must not be negative"):
        perturbed(tiny_policy(), radius=-1.0)
    with pytest.raises(ValueError, match="steps at least 1"):
        perturbed(tiny_policy(), steps=0)
    with pytest.raises(LayerError, match="expected some of 0"):
        perturbed(tiny_policy(), layers=(5,))

"""Likelihood: weights, unlikelihood, and noise on embeddings that is there in training alone."""

import math
from contextlib import suppress

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.noise import Noisy
from trueline.models.policy import Outputs
from trueline.models.tokens import Example
from trueline.train.batch import Batch, pad_rows
from trueline.train.loop import Loop, gradients, train
from trueline.train.objectives.likelihood import NextToken, Unlikelihood, log_one_minus_exp
from trueline.train.optim import Optim
from trueline.train.sources import Examples

ROWS = [[1, 9, 10, 11, 2], [1, 9, 12, 2], [1, 13, 14, 15, 16, 2], [1, 13, 17, 2]]  # neighbours share prompts
EXAMPLES = [Example(tuple(r), (False, *[True] * (len(r) - 1))) for r in ROWS]
LOGP = frozenset({"logp"})


def batch(rows=ROWS) -> Batch:
    return pad_rows(rows, [[False, False] + [True] * (len(r) - 2) for r in rows], 0)


def terms(objective, logp, made):
    return {t.name: t.total for t in objective(Outputs(logp=logp), made)}


def test_a_weight_multiplies_a_row_or_a_token():
    """Row weights of 2 and 0 give twice one row's loss and none of another's; the same weights token by token are the same."""
    made = batch()
    logp = -torch.rand(made.tokens.shape) * made.mask
    weight = torch.tensor([2.0, 0.0, 1.0, 0.5])
    expected = -(logp.sum(-1) * weight).sum()
    torch.testing.assert_close(terms(NextToken(), logp, made.having(weight=weight))["loss"], expected)
    each = weight[:, None].expand(made.tokens.shape)
    torch.testing.assert_close(terms(NextToken(), logp, made.having(weight=each))["loss"], expected)


def test_unlikelihood_is_minus_log_one_minus_p():
    """Rows to avoid give -log(1 - p) a token, the others -log p, and the gradient is p / (1 - p) and -1."""
    made = batch(ROWS[:2]).having(negative=torch.tensor([0.0, 1.0]))
    p = torch.rand(made.tokens.shape).clamp(0.05, 0.95)
    logp = p.log().requires_grad_()
    found = terms(Unlikelihood(weight=0.5), logp * made.mask, made)
    torch.testing.assert_close(found["loss"], -(p[0].log() * made.mask[0]).sum())
    torch.testing.assert_close(found["unlikelihood"], -((1 - p[1]).log() * made.mask[1]).sum())
    (found["loss"] + found["unlikelihood"]).backward()
    torch.testing.assert_close(logp.grad[0], -made.mask[0].float())
    torch.testing.assert_close(logp.grad[1], (p[1] / (1 - p[1])) * made.mask[1], atol=1e-5, rtol=1e-4)


def test_unlikelihood_is_finite_for_a_model_that_is_certain():
    """Where the unwanted token has probability one in float32, loss and gradient are numbers, and the gradient is zero."""
    made = batch(ROWS[:1]).having(negative=torch.tensor([1.0]))
    logp = torch.zeros(made.tokens.shape, requires_grad=True)
    terms(Unlikelihood(), logp, made)["unlikelihood"].backward()
    assert (logp.grad == 0).all()


def test_log_one_minus_exp_keeps_its_digits():
    """From -1e-5 to -60 it agrees with double precision, in value and in gradient."""
    x = -torch.logspace(-5, 1.78, 60)
    ours, exact = x.clone().requires_grad_(), x.double().requires_grad_()
    found, wanted = log_one_minus_exp(ours), torch.log(-torch.expm1(exact))
    torch.testing.assert_close(found.double(), wanted, rtol=1e-4, atol=1e-16)
    found.sum().backward()
    wanted.sum().backward()
    torch.testing.assert_close(ours.grad.double(), exact.grad, rtol=1e-4, atol=1e-16)


@pytest.mark.parametrize("family", ["qwen3", "gpt2"])
def test_noise_is_there_in_training_and_gone_in_evaluation(family):
    """On the lean forward pass and off it: in training the log-probabilities move, and in evaluation they are the policy's."""
    policy, made = random_policy(family), batch()
    noisy = Noisy(policy, alpha=5.0)
    plain = policy(made.tokens, made.mask, LOGP).logp
    torch.testing.assert_close(noisy.eval()(made.tokens, made.mask, LOGP).logp, plain, atol=0, rtol=0)
    noisy.training = True  # without the dropout of the model inside
    assert (noisy(made.tokens, made.mask, LOGP).logp - plain).abs().max() > 1e-3
    torch.testing.assert_close(policy(made.tokens, made.mask, LOGP).logp, plain, atol=0, rtol=0)


def test_noise_has_the_size_that_was_asked_for():
    """Every entry lies within alpha / sqrt(L d) of zero, L being the row's own length, with the variance of a uniform."""
    policy, made = tiny_policy(width=64), batch()
    noisy = Noisy(policy, alpha=3.0)
    noise = noisy._noise(made.tokens, made.mask, torch.zeros(*made.tokens.shape, 64))
    for row, ids in enumerate(ROWS):
        bound = 3.0 / math.sqrt(len(ids) * 64)
        real = noise[row, : len(ids)]
        assert real.abs().max() <= bound
        assert real.var().item() == pytest.approx(bound**2 / 3, rel=0.2)
        assert (noise[row, len(ids) :] == 0).all()


def test_noise_does_not_depend_on_the_split_or_on_padding():
    """Micro-batches, another order and more padding give the same gradient; another step gives another."""
    policy, made = tiny_policy(), batch()
    noisy = Noisy(policy, alpha=5.0, seed=1)
    noisy.training = True

    def gradient(one, micro_rows=0):
        noisy.zero_grad()
        gradients(noisy, NextToken(), one, micro_rows)
        return policy.model.model.embed_tokens.weight.grad.clone()

    whole = gradient(made)
    pad = torch.nn.functional.pad
    for other in (
        gradient(made, 1),
        gradient(made.take(torch.tensor([2, 0, 3, 1]))),
        gradient(Batch(tokens=pad(made.tokens, (0, 4)), mask=pad(made.mask, (0, 4)))),
    ):
        torch.testing.assert_close(other, whole, atol=1e-6, rtol=1e-4)
    noisy.step.fill_(1)
    assert (gradient(made) - whole).abs().max() > 1e-5


def test_a_noisy_run_is_taken_up_exactly(tmp_path):
    """A run that is cut after two steps and taken up ends with the weights of one that was not: those of the bare policy."""

    def run(policy, folder, steps=None):
        noisy = Noisy(policy, alpha=5.0)
        source = noisy.following(Examples(examples=EXAMPLES, tokens=6, epochs=1))
        loop = Loop(checkpoints=folder, save_every=0.0, observe=_stop_after(steps))
        with suppress(KeyboardInterrupt):
            train(noisy, NextToken(), source, Optim(lr=1e-2, muon=0), loop)
        return policy

    whole = run(tiny_policy(), tmp_path / "whole")
    run(tiny_policy(), tmp_path / "cut", steps=2)
    taken_up = run(tiny_policy(seed=9), tmp_path / "cut")
    for (name, a), b in zip(whole.named_parameters(), taken_up.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5, msg=name)


def _stop_after(steps):
    """An observer that kills the run at the step after `steps`."""

    def observe(step, metrics):
        if steps is not None and step > steps:
            raise KeyboardInterrupt

    return observe

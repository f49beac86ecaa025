"""Reward objectives: soft labels, margins and steps. What they share with all objectives is in test_objectives.py."""

import math

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.models.policy import Outputs, RewardModel
from trueline.train.batch import Batch, pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.reward import BradleyTerry, PlackettLuce, StepReward


def pairs(scores, **columns):
    flat = torch.tensor(scores).flatten().requires_grad_()
    n = len(flat)
    tokens, mask = torch.ones(n, 2, dtype=torch.long), torch.tensor([[False, True]]).repeat(n, 1)
    made = Batch(tokens=tokens, mask=mask, group=2, columns={"rank": torch.tensor([1.0, 2.0] * (n // 2))})
    made = made.having(**{k: torch.tensor(v).repeat_interleave(2) for k, v in columns.items()})
    return Outputs(value=torch.stack([torch.zeros(n), flat], 1)), made, flat


def loss(objective, scores, **columns):
    out, made, _ = pairs(scores, **columns)
    return {t.name: t.total.item() for t in objective(out, made)}


SCORES = [[0.3, -0.9], [2.0, 2.5], [0.0, 1.0]]


def test_a_soft_label_is_the_expected_loss():
    """-p log s(gap) - (1 - p) log s(-gap); with p = 1 it is the hard label's loss, and at p = s(gap) the gradient is zero."""
    gap, p = 1.2, 0.7
    log_sigmoid = lambda x: -math.log1p(math.exp(-x))  # noqa: E731  (a formula)
    found = loss(BradleyTerry(), [[0.3, -0.9]], preference=[p])["loss"]
    assert found == pytest.approx(-p * log_sigmoid(gap) - (1 - p) * log_sigmoid(-gap), abs=1e-6)
    assert loss(BradleyTerry(), SCORES, preference=[1.0] * 3)["loss"] == pytest.approx(loss(BradleyTerry(), SCORES)["loss"])
    out, made, flat = pairs([[0.3, -0.9]], preference=[1 / (1 + math.exp(-gap))])
    next(iter(BradleyTerry(centre=0)(out, made))).total.backward()
    assert flat.grad.abs().max() < 1e-6


@pytest.mark.parametrize("columns", [{"preference": [0.9, 0.4, 0.5]}, {"margin": [0.5, 0.0, 2.0]}, {}])
def test_a_ranking_of_two_takes_margins_and_soft_labels_as_a_pair_does(columns):
    """Plackett-Luce without ties and Bradley-Terry have one loss, with margins, with soft labels, and with neither."""
    ours, theirs = (loss(o, SCORES, **columns)["loss"] for o in (PlackettLuce(ties=0), BradleyTerry()))
    assert ours == pytest.approx(theirs, abs=1e-5)


def test_accuracy_follows_the_soft_label():
    """A label below one half makes the second row the right one, and a label of one half is half right."""
    found = loss(BradleyTerry(), [[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]], preference=[0.2, 0.8, 0.5])
    assert found["accuracy"] == pytest.approx(1.5)


def test_margins_do_not_hide_a_fresh_head():
    """With a margin the first loss is not log 2, and the check still accepts a head of zeros, and refuses another."""
    reward = RewardModel.start_from(tiny_policy())
    rows = [[1, 9, 10, 2], [1, 9, 11, 2]]
    made = pad_rows(rows, [[False, False, True, True]] * 2, 0, 2).having(margin=torch.tensor([1.0, 1.0]))
    metrics = gradients(reward, BradleyTerry(), made)
    assert metrics["loss"] == pytest.approx(math.log1p(math.exp(1.0)), abs=1e-5)
    assert list(BradleyTerry().at_start(metrics)) == []
    torch.nn.init.normal_(reward.model.score.weight)
    assert list(BradleyTerry().at_start(gradients(reward, BradleyTerry(), made)))


def test_rankings_of_three_have_no_margin():
    """Margins and soft labels of longer rankings are refused, since they mean nothing."""
    tokens, mask = torch.ones(3, 2, dtype=torch.long), torch.tensor([[False, True]]).repeat(3, 1)
    columns = {"rank": torch.tensor([1.0, 2, 3]), "margin": torch.ones(3)}
    made = Batch(tokens=tokens, mask=mask, group=3, columns=columns)
    with pytest.raises(ValueError, match="are for pairs"):
        list(PlackettLuce()(Outputs(value=torch.zeros(3, 2)), made))


def steps(values, labels, mask):
    made = Batch(tokens=torch.ones(len(mask), len(mask[0]), dtype=torch.long), mask=torch.tensor(mask))
    return Outputs(value=torch.tensor(values)), made.having(step_label=torch.tensor(labels))


def test_a_step_is_scored_where_it_ends():
    """Binary cross-entropy at the masked tokens alone, counted per token of the mask."""
    mask = [[False, True, False, True], [False, False, True, False]]
    out, made = steps([[9.0, 1.0, 9.0, -2.0], [9.0, 9.0, 0.5, 9.0]], [[0.0, 1, 0, 0], [0.0, 0, 0.25, 0]], mask)
    found = {t.name: t for t in StepReward()(out, made)}
    log_sigmoid = torch.nn.functional.logsigmoid
    x = torch.tensor([1.0, -2.0, 0.5])
    y = torch.tensor([1.0, 0.0, 0.25])
    torch.testing.assert_close(found["loss"].total, -(y * log_sigmoid(x) + (1 - y) * log_sigmoid(-x)).sum())
    assert found["loss"].per == "token"
    assert found["accuracy"].total == 2.0


def test_steps_start_at_log_two_and_split_like_everything_else():
    """A fresh head gives log 2 a step; micro-batches give the whole batch's gradient."""
    reward = RewardModel.start_from(tiny_policy())
    rows = [[1, 9, 10, 11, 2], [1, 9, 12, 2], [1, 13, 14, 15, 16, 2]]
    made = pad_rows(rows, [[False, False, True, *[False] * (len(r) - 4), True] for r in rows], 0)
    made = made.having(step_label=torch.rand(made.tokens.shape))
    metrics = gradients(reward, StepReward(), made)
    assert metrics["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert list(StepReward().at_start(metrics)) == []
    whole = reward.model.score.weight.grad.clone()
    reward.zero_grad()
    gradients(reward, StepReward(), made, 1)
    torch.testing.assert_close(reward.model.score.weight.grad, whole, atol=1e-6, rtol=1e-5)

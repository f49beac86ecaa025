"""Kinds of rows in one step: each kind's mean counts as it was weighed, whatever the split.

pytest tests/train/test_kinds.py
"""

import pytest
import torch

from tests.models.small import tiny_policy
from trueline.models.tokens import Example
from trueline.train.batch import pad_rows
from trueline.train.kinds import Kind, Kinds, in_turn, places
from trueline.train.loop import gradients
from trueline.train.objectives.likelihood import NextToken, Unlikelihood

HARMFUL = [
    Example((1, 9, 10, 11, 12, 2), (False, False, True, True, True, True)),
    Example((1, 9, 13, 2), (False,) * 2 + (True,) * 2),
]
BENIGN = [Example((1, 14, 15, 16, 2), (False, False, True, True, True))]


def source(**weights: float) -> Kinds:
    kinds = {
        "harmful": Kind(lambda step: HARMFUL, weights.get("harmful", 1.0)),
        "benign": Kind(lambda step: BENIGN, weights.get("benign", 1.0)),
    }
    return Kinds(kinds=kinds, steps=4)


def nll(policy, examples):
    made = pad_rows([e.ids for e in examples], [e.mask for e in examples], 0)
    return gradients(policy, NextToken(), made)["loss"]


def test_the_loss_is_the_weighted_sum_of_each_kinds_mean():
    """0.2 of the harmful rows' mean and 0.8 of the benign rows' mean, although the one has twice the tokens."""
    policy = tiny_policy()
    batch = next(source(harmful=0.2, benign=0.8).batches(0))
    wanted = 0.2 * nll(policy, HARMFUL) + 0.8 * nll(policy, BENIGN)
    assert gradients(policy, NextToken(), batch)["loss"] == pytest.approx(wanted, abs=1e-5)


def test_a_split_changes_no_gradient():
    """Row by row the gradient is that of the whole step."""
    policy = tiny_policy()
    batch = next(source(harmful=0.3).batches(1))
    found = []
    for rows in (0, 1):
        policy.zero_grad()
        gradients(policy, NextToken(), batch, rows)
        found.append(policy.model.model.embed_tokens.weight.grad.clone())
    torch.testing.assert_close(*found, atol=1e-6, rtol=1e-5)


def test_rows_are_marked_and_know_how_far_the_run_is():
    """A column of each kind's name marks its rows; half of the steps done is one half."""
    batch = next(source().batches(2))
    assert batch.columns["harmful"].tolist() == [1, 1, 0]
    assert batch.columns["benign"].tolist() == [0, 0, 1]
    assert batch.columns["along"].tolist() == [0.5] * 3


def test_a_kind_called_negative_is_unlearned():
    """Rows of the kind `negative` get -log(1 - p), which is what Unlikelihood makes of its column."""
    policy = tiny_policy()
    kinds = {"negative": Kind(lambda step: HARMFUL), "benign": Kind(lambda step: BENIGN)}
    metrics = gradients(policy, Unlikelihood(), next(Kinds(kinds=kinds, steps=1).batches(0)))
    assert metrics["loss"] == pytest.approx(nll(policy, BENIGN), abs=1e-5)
    assert 0 < metrics["unlikelihood"] < metrics["loss"]


def test_every_example_comes_once_before_any_comes_again():
    """Seven examples, three a step: the first seven draws are all of them, and a step is the same whenever it is asked for."""
    drawn = [i for step in range(7) for i in places(7, 3, step, "s")]
    assert [sorted(drawn[at : at + 7]) for at in (0, 7, 14)] == [list(range(7))] * 3
    assert drawn[:7] != drawn[7:14]
    assert places(7, 3, 2, "s") == drawn[6:9]


def test_nothing_to_draw_from_is_refused():
    """Empty data is said at once."""
    with pytest.raises(ValueError, match="data is empty"):
        in_turn([], 2, "s")

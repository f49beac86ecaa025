"""Annotations of preference: whole-batch links against their naive definition, what a reference said, and pairs of groups."""

import pytest
import torch
from torch.nn.functional import logsigmoid

from tests.models.small import random_policy, tiny_policy
from tests.train.pairs import annotated, batch, gradient, logps
from trueline.models.policy import Outputs
from trueline.train import annotate
from trueline.train.annotate_preference import (
    RunningDelta,
    best_first,
    matched_gaps,
    matched_sides,
    recalled,
    remember,
    rows_of,
    without_dropout,
)
from trueline.train.batch import Batch
from trueline.train.objectives.preference import DPO


def naive_aot(link, policy, made, beta, noise):
    """The definition: everything is sorted in one whole batch, and autograd goes through the sort."""
    ours, ref = logps(policy, made), (made.columns["ref_logp"] * made.mask).sum(-1).view(-1, 2)
    if link == "aot":
        gap = (ours[:, 0] - ours[:, 1]).sort().values - (ref[:, 0] - ref[:, 1]).sort().values
    else:
        gap = (ours - ref)[:, 0].sort().values - (ours - ref)[:, 1].sort().values
    return (-(1 - noise) * logsigmoid(beta * gap) - noise * logsigmoid(-beta * gap)).mean()


@pytest.mark.parametrize("link", ["aot", "aot_unpaired"])
@pytest.mark.parametrize("micro_rows", [0, 2, 4])
def test_aot_is_its_whole_batch_definition_whatever_the_split(link, micro_rows):
    """Value and gradient are those of autograd through a sort over the whole batch, in micro-batches of any size."""
    policy = tiny_policy()
    made = annotated(policy, batch(pairs=7))
    metrics, got = gradient(policy, DPO(beta=0.8, link=link, noise=0.1), made, micro_rows)
    policy.zero_grad()
    loss = naive_aot(link, policy, made, 0.8, 0.1)
    loss.backward()
    assert metrics["loss"] == pytest.approx(loss.item(), abs=1e-6)
    for name, parameter in policy.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, atol=1e-6, rtol=1e-4, msg=name)


class Double(torch.nn.Module):
    """A model that gives the log-probabilities of another in float64."""

    def __init__(self, policy):
        super().__init__()
        self.policy, self.device = policy, policy.device

    def forward(self, *asked):
        return Outputs(logp=self.policy(*asked).logp.double())


@pytest.mark.parametrize("match", [matched_gaps, matched_sides])
def test_sorts_keep_the_precision_of_the_log_probabilities(match):
    """From a model in float64 the columns of AOT are float64, with the numbers of float32 to its last digits."""
    policy, reference = tiny_policy(), tiny_policy(seed=1)
    wide = match(Double(policy))(annotate.reference(Double(reference))(batch()))
    narrow = match(policy)(annotate.reference(reference)(batch()))
    name = "shift" if match is matched_gaps else "partner"
    assert wide.columns[name].dtype == torch.float64
    torch.testing.assert_close(wide.columns[name].float(), narrow.columns[name], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("link", ["aot", "aot_unpaired"])
def test_aot_is_not_the_loss_of_sorted_micro_batches(link):
    """Annotated after the split, as it must not be, the same batch has another loss."""
    policy = tiny_policy()
    made = annotate.reference(tiny_policy(seed=1))(batch(pairs=6))
    whole = gradient(policy, DPO(beta=0.8, link=link), annotated(policy, made))[0]["loss"]
    parts = [gradient(policy, DPO(beta=0.8, link=link), annotated(policy, part))[0]["loss"] for part in made.split(4)]
    assert abs(whole - sum(parts) / len(parts)) > 1e-4


def test_annotations_of_the_whole_batch_do_not_know_its_order():
    """A batch with its pairs in another order has the same AOT columns, pair by pair, and the same delta."""
    policy, order = tiny_policy(), torch.tensor([4, 5, 8, 9, 0, 1, 6, 7, 2, 3])
    made = batch()
    first, second = annotated(policy, made), annotated(policy, made.take(order))
    for name in ("shift", "partner", "delta"):
        torch.testing.assert_close(second.columns[name], first.columns[name][order], atol=1e-5, rtol=1e-5)


def test_the_running_delta_is_the_mean_over_all_rows_seen_and_survives_a_checkpoint():
    """After two batches delta is the mean log-ratio of the rows of both; restored, it goes on to the bit."""
    policy, reference = tiny_policy(), annotate.reference(tiny_policy(seed=1))
    parts = [reference(batch(pairs=n, seed=n)) for n in (2, 5, 3)]
    ratios = [(logps(policy, p) - (p.columns["ref_logp"] * p.mask).sum(-1).view(-1, 2)).flatten() for p in parts]
    delta = RunningDelta(policy)
    for part in parts[:2]:
        seen = delta(part)
    assert seen.metrics["delta"] == pytest.approx(torch.cat(ratios[:2]).mean().item(), abs=1e-5)
    assert (seen.columns["delta"] == torch.tensor(seen.metrics["delta"])).all()
    again = RunningDelta(policy)
    again.restore(delta.state())
    assert again(parts[2]).metrics == delta(parts[2]).metrics


def test_what_is_remembered_is_what_the_reference_says():
    """Recalled log-probabilities are the reference's own, in any batch and order, though each example was read once."""
    reference, made = tiny_policy(seed=1), batch(pairs=6)
    read = []
    reference.register_forward_hook(lambda module, inputs, out: read.append(len(inputs[0])))
    rows = rows_of(made)
    table = remember(reference, rows * 3)
    assert sum(read) == len(set(rows))
    part = made.take(torch.tensor([6, 7, 2, 3]))
    expected = annotate.reference(reference)(part).columns["ref_logp"]
    torch.testing.assert_close(recalled(table)(part).columns["ref_logp"], expected * part.mask, atol=1e-5, rtol=1e-5)
    with pytest.raises(ValueError, match="give `remember` every example"):
        recalled(remember(reference, rows[:4]))(made)


def test_dropout_is_off_against_a_remembered_reference():
    """A model with dropout, in training, starts at log-ratios of zero; with dropout on, the start is refused."""
    policy, made = random_policy("gpt2"), batch()
    table = remember(policy, rows_of(made))
    policy.train()
    metrics, _ = gradient(policy, DPO(), recalled(table)(made))
    assert list(DPO().at_start(metrics))
    metrics, _ = gradient(policy, DPO(), annotate.chain(without_dropout(policy), recalled(table))(made))
    assert list(DPO().at_start(metrics)) == []


def test_best_first_makes_pairs_of_groups_and_leaves_ties_out():
    """Of each group of three the best and the worst stay, in this order; a group without a difference goes."""
    made = batch(pairs=6).having(reward=torch.tensor([0.1, 0.9, 0.5, 1.0, 1.0, 1.0, 3.0, 2.0, 1.0, 0.0, 0.0, 5.0]))
    grouped = Batch(tokens=made.tokens, mask=made.mask, group=3, columns=made.columns)
    pairs = best_first(grouped)
    assert pairs.group == 2
    assert pairs.columns["reward"].tolist() == pytest.approx([0.9, 0.1, 3.0, 1.0, 5.0, 0.0])
    assert pairs.metrics["tied"] == pytest.approx(0.25)
    assert len(best_first(grouped.having(reward=torch.ones(12))).tokens) == 0

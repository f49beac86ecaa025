"""Objectives: closed forms, and what must not change them (splitting, padding, permuting, masked tokens)."""

import math
from itertools import permutations

import pytest
import torch

from tests.models.small import tiny_policy
from tests.train.pairs import gradient
from trueline.models.policy import Outputs, RewardModel
from trueline.train import advantages, annotate
from trueline.train.annotate_preference import RunningDelta, matched_gaps, matched_sides
from trueline.train.annotate_teacher import teacher
from trueline.train.batch import Batch, pad_rows
from trueline.train.loop import gradients
from trueline.train.objectives.distil import Divergence
from trueline.train.objectives.kto import KTO
from trueline.train.objectives.likelihood import NextToken, Unlikelihood
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.preference import DPO, LINKS
from trueline.train.objectives.reference_free import CPO, ORPO, SimPO
from trueline.train.objectives.reinforce import PolicyGradient
from trueline.train.objectives.reward import BradleyTerry, PlackettLuce

ROWS = [[1, 9, 10, 11, 2], [1, 9, 12, 2], [1, 13, 14, 15, 16, 2], [1, 13, 17, 2], [1, 8, 8, 2], [1, 8, 20, 21, 22, 23, 2]]


def batch(group: int = 2, policy=None, extra_padding: int = 0) -> Batch:
    rows = [r + [0] * 0 for r in ROWS]
    made = pad_rows(rows, [[False, False] + [True] * (len(r) - 2) for r in rows], 0, group)
    if extra_padding:
        pad = torch.nn.functional.pad
        made = Batch(
            tokens=pad(made.tokens, (0, extra_padding)),
            mask=pad(made.mask, (0, extra_padding)),
            group=group,
            columns=made.columns,
        )
    made = made.having(reward=torch.tensor([1.0, 0.0, 0.5, 2.0, -1.0, 0.3]), rank=torch.tensor([1, 2, 1, 1, 2, 1]))
    label = torch.tensor([1.0, 0.0, 1.0, 0.0, 1.0, 1.0])
    made = made.having(label=label, kl_baseline=torch.full((6,), 0.3), share=torch.where(label > 0, 4 / 6, 2 / 6))
    if policy is None:
        return made
    if policy.value_head is None:
        policy.add_value_head()
        torch.nn.init.normal_(policy.value_head.weight, std=0.3)
    other = tiny_policy(seed=1)
    made = made.having(negative=1 - label, weight=torch.linspace(0.5, 2, 6))
    return annotate.chain(
        annotate.reference(other),
        teacher(other, top=5),
        matched_gaps(policy),
        matched_sides(policy),
        RunningDelta(policy),
        annotate.column("old_logp", tiny_policy(seed=2)),
        annotate.old_value(policy),
        annotate.kl_in_reward(0.05),
        advantages.gae(),
    )(made)


POLICY_OBJECTIVES = [
    NextToken(),
    Unlikelihood(weight=0.5),
    Divergence(beta=0.5, alpha=0.1),
    *(DPO(link=name, noise=0.1 if link.noisy else 0.0) for name, link in LINKS.items()),
    DPO(link="hinge", nll=0.3),
    SimPO(),
    ORPO(),
    CPO(),
    KTO(undesirable=1.5),
    PolicyGradient(kl=0.1),
    PolicyGradient(average="row", kl=0.1, kl_form="k3"),
    PolicyGradient(average="constant", length=12),
    PolicyGradient(form="gspo", average="row", clip=3e-4, clip_high=4e-4),
    PolicyGradient(form="cispo", entropy=0.01),
    PPO(policy=PolicyGradient(dual=3.0, entropy=0.01)),
]


@pytest.mark.parametrize("objective", POLICY_OBJECTIVES, ids=lambda o: f"{type(o).__name__}")
def test_splitting_a_step_changes_no_gradient(objective):
    """Micro-batches of two rows, or of four, give the whole batch's gradient within 1e-6 of its largest entry."""
    policy = tiny_policy()
    made = batch(policy=policy)
    whole, expected = gradient(policy, objective, made)
    near = 1e-6 * max(1.0, *(g.abs().max().item() for g in expected.values()))
    for rows in (2, 4):
        metrics, got = gradient(policy, objective, made, rows)
        for name in expected:
            torch.testing.assert_close(got[name], expected[name], atol=near, rtol=1e-5, msg=name)
        assert metrics == pytest.approx(whole, abs=1e-5)


@pytest.mark.parametrize("objective", POLICY_OBJECTIVES, ids=lambda o: f"{type(o).__name__}")
def test_padding_and_group_order_change_no_gradient(objective):
    """More padding, and the groups in another order, give the same gradient and the same metrics."""
    policy = tiny_policy()
    made = batch(policy=policy)
    metrics, expected = gradient(policy, objective, made)
    near = 1e-6 * max(1.0, *(g.abs().max().item() for g in expected.values()))
    pad = torch.nn.functional.pad
    wide = Batch(
        tokens=pad(made.tokens, (0, 5)),
        mask=pad(made.mask, (0, 5)),
        group=2,
        columns={k: pad(v, (0, 0) * (v.ndim - 2) + (0, 5)) if v.ndim > 1 else v for k, v in made.columns.items()},
    )
    padded, got = gradient(policy, objective, wide)
    order = torch.tensor([4, 5, 0, 1, 2, 3])
    shuffled = Batch(
        tokens=made.tokens[order], mask=made.mask[order], group=2, columns={k: v[order] for k, v in made.columns.items()}
    )
    moved, permuted = gradient(policy, objective, shuffled)
    assert padded == pytest.approx(metrics, abs=1e-5)
    assert moved == pytest.approx(metrics, abs=1e-5)
    for name in expected:
        torch.testing.assert_close(got[name], expected[name], atol=near, rtol=1e-5)
        torch.testing.assert_close(permuted[name], expected[name], atol=near, rtol=1e-5)


def test_masked_tokens_get_no_gradient():
    """The gradient with respect to a log-probability outside the mask is exactly zero, for every policy objective."""
    made = batch(policy=tiny_policy())
    for objective in POLICY_OBJECTIVES:
        columns = [torch.randn(made.tokens.shape, requires_grad=True) for _ in range(3)]
        logits = torch.randn(int(made.mask.sum()), 32, requires_grad=True)  # of the masked tokens alone
        out = Outputs(logp=columns[0], entropy=columns[1], value=columns[2], logits=logits)
        sum(t.weight * t.total for t in objective(out, made) if t.weight).backward()
        for column in columns:
            if column.grad is not None:
                assert (column.grad[~made.mask] == 0).all(), objective


def test_a_chosen_log_ratio_away_from_zero_stops_the_run():
    """DPO's start check names a policy that is not its reference."""
    made = annotate.reference(tiny_policy(seed=5))(batch())
    metrics, _ = gradient(tiny_policy(), DPO(), made)
    assert any("one model" in fault for fault in DPO().at_start(metrics))


def scores_batch(scores: list[list[float]], ranks: list[list[int]]):
    flat = torch.tensor([s for row in scores for s in row], requires_grad=True)
    n, size = len(flat), len(scores[0])
    tokens, mask = torch.ones(n, 3, dtype=torch.long), torch.tensor([[False, False, True]]).repeat(n, 1)
    made = Batch(tokens=tokens, mask=mask, group=size, columns={"rank": torch.tensor([r for row in ranks for r in row])})
    value = torch.zeros(n, 3).index_copy(1, torch.tensor([2]), flat[:, None])
    return Outputs(value=value), made, flat


def loss_of(objective, scores, ranks):
    out, made, _ = scores_batch(scores, ranks)
    return next(t.total for t in objective(out, made) if t.name == "loss").item()


def test_plackett_luce_of_two_is_bradley_terry():
    """A ranking of two, without ties, has the Bradley-Terry loss."""
    scores, ranks = [[0.3, -0.9], [2.0, 2.5]], [[1, 2], [1, 2]]
    assert loss_of(PlackettLuce(ties=0), scores, ranks) == pytest.approx(loss_of(BradleyTerry(), scores, ranks), abs=1e-6)


@pytest.mark.parametrize("ties", [0.0, 0.5, 2.0])
def test_the_probabilities_of_all_rankings_sum_to_one(ties):
    """Over every weak order of three completions (13 with ties, 6 without) the likelihoods add up to one."""
    orders = {tuple(sorted(set(p)).index(x) + 1 for x in p) for p in permutations([1, 2, 3])}
    if ties:
        levels = [(a, b, c) for a in (1, 2, 3) for b in (1, 2, 3) for c in (1, 2, 3)]
        orders = {tuple(sorted(set(p)).index(x) + 1 for x in p) for p in levels}
        assert len(orders) == 13
    total = sum(math.exp(-loss_of(PlackettLuce(ties=ties), [[0.4, -1.1, 0.2]], [list(o)])) for o in orders)
    assert total == pytest.approx(1, abs=1e-5)


def test_a_tie_of_two_is_davidsons():
    """P(tie) = v sqrt(ab) / (a + b + v sqrt(ab)), Davidson 1970."""
    a, b, v = math.exp(0.7), math.exp(-0.2), 0.5
    expected = v * math.sqrt(a * b) / (a + b + v * math.sqrt(a * b))
    assert math.exp(-loss_of(PlackettLuce(ties=v), [[0.7, -0.2]], [[1, 1]])) == pytest.approx(expected, abs=1e-6)


def test_ties_need_a_likelihood_that_has_them():
    """Plain Plackett-Luce refuses tied data and says which setting to change."""
    with pytest.raises(ValueError, match=r"objective\.ties"):
        loss_of(PlackettLuce(ties=0), [[0.0, 1.0]], [[1, 1]])


def test_a_fresh_reward_model_starts_at_log_two():
    """A zero head gives log 2, and the check accepts it."""
    reward = RewardModel.start_from(tiny_policy())
    metrics = gradients(reward, BradleyTerry(), batch())
    assert metrics["loss"] == pytest.approx(math.log(2), abs=1e-6)
    assert list(BradleyTerry().at_start(metrics)) == []


def test_policy_gradient_on_policy_is_the_score_function():
    """With ratio one the gradient is that of -sum(advantage * logp) / tokens."""
    policy = tiny_policy()
    made = annotate.column("old_logp", policy)(batch()).having(advantage=torch.randn(6, 7))
    metrics, got = gradient(policy, PolicyGradient(), made)
    assert metrics["ratio_error"] < 1e-6
    assert metrics["clipped"] == 0
    policy.zero_grad()
    out = policy(made.tokens, made.mask, frozenset({"logp"}))
    (-(made.columns["advantage"] * out.logp * made.mask).sum() / made.mask.sum()).backward()
    for name, parameter in policy.named_parameters():
        if parameter.grad is not None:
            torch.testing.assert_close(got[name], parameter.grad, atol=1e-6, rtol=1e-4)


def test_clipping_stops_the_gradient_where_the_ratio_has_gone_far_enough():
    """Beyond the clip, in the direction of the advantage, a token's gradient is zero; against it, it is not."""
    mask = torch.tensor([[False, True, True]])
    for advantage, ratio, moves in [(1.0, 1.5, False), (1.0, 0.5, True), (-1.0, 0.5, False), (-1.0, 1.5, True)]:
        logp = torch.full((1, 3), math.log(ratio), requires_grad=True)
        made = Batch(
            tokens=torch.ones(1, 3, dtype=torch.long),
            mask=mask,
            columns={"old_logp": torch.zeros(1, 3), "advantage": torch.full((1, 3), advantage)},
        )
        next(iter(PolicyGradient()(Outputs(logp=logp), made))).total.backward()
        assert bool(logp.grad[0, 1] != 0) is moves


def test_next_token_is_cross_entropy_over_trained_tokens():
    """The loss is the mean of -log p over the masked tokens of the whole batch."""
    policy = tiny_policy()
    made = batch()
    metrics, _ = gradient(policy, NextToken(), made)
    with torch.no_grad():
        logp = policy.logits(made.tokens)[:, :-1].log_softmax(-1).gather(-1, made.tokens[:, 1:, None])[..., 0]
    assert metrics["loss"] == pytest.approx(-(logp * made.mask[:, 1:]).sum().item() / made.mask.sum().item(), abs=1e-5)


def test_a_fresh_model_starts_near_log_v():
    """The tiny model's initial loss is log V, and a start far from it is refused."""
    policy = tiny_policy()
    vocabulary = policy.model.config.vocab_size
    metrics, _ = gradient(policy, NextToken(), batch())
    assert list(NextToken(expected_start=math.log(vocabulary)).at_start(metrics)) == []
    assert list(NextToken(expected_start=math.log(vocabulary) * 3).at_start(metrics))

"""Policy gradients: closed forms of each objective, bounds that hold, and critics that cannot be told apart."""

import math

import pytest
import torch

from tests.models.small import random_policy, tiny_policy
from trueline.models.policy import Outputs, RewardModel
from trueline.train import advantages, annotate
from trueline.train.batch import Batch, pad_rows
from trueline.train.critic import ActorCritic
from trueline.train.loop import gradients
from trueline.train.objectives.ppo import PPO, LagrangianPPO, value_error
from trueline.train.objectives.reinforce import PolicyGradient

ROWS = [[1, 9, 10, 11, 2], [1, 9, 12, 2], [1, 13, 14, 15, 16, 2], [1, 13, 17, 2]]
MASKS = [[False, False] + [True] * (len(r) - 2) for r in ROWS]


def by_hand(objective, ratios, advantage, mask=None):
    """The objective on rows of these ratios and advantages: its terms by name, and the gradient of `policy` in log pi."""
    logp = torch.tensor(ratios).log().requires_grad_()
    mask = torch.ones_like(logp, dtype=torch.bool) if mask is None else torch.tensor(mask)
    columns = {"old_logp": torch.zeros_like(logp), "advantage": torch.tensor(advantage)}
    made = Batch(tokens=torch.ones(mask.shape, dtype=torch.long), mask=mask, columns=columns)
    terms = {t.name: t for t in objective(Outputs(logp=logp), made)}
    terms["policy"].total.backward()
    return terms, logp.grad


def rollout(policy, cost=False):
    """A batch with every column that these objectives read, as the policy itself would have sampled it."""
    made = pad_rows(ROWS, MASKS, 0, 2).having(
        reward=torch.tensor([1.0, 0.0, 0.5, 2.0]), cost=torch.tensor([0.0, 1.0, 0.2, 0.1])
    )
    steps = [annotate.column("old_logp", policy), annotate.reference(policy), annotate.kl_in_reward(0.0)]
    return annotate.chain(*steps)(made)


def test_gspo_is_a_ratio_of_sequences():
    """Loss = -mean over rows of min(s A, clip(s) A), s the geometric mean of the row's ratios, whatever the lengths."""
    objective = PolicyGradient(form="gspo", average="row", clip=0.1, clip_high=0.1)
    ratios, mask = [[1.0, 1.2, 0.9], [1.0, 1.5, 7.0]], [[True, True, True], [True, True, False]]
    terms, grad = by_hand(objective, ratios, [[2.0] * 3, [-1.0] * 3], mask)
    first, second = (1.2 * 0.9) ** (1 / 3), 1.5**0.5
    assert terms["policy"].total.item() == pytest.approx(-(2 * first - second), rel=1e-5)
    torch.testing.assert_close(grad[0], torch.full((3,), -2 * first / 3))
    assert grad[1, 2] == 0
    terms, grad = by_hand(objective, ratios, [[2.0] * 3, [1.0] * 3], mask)  # the second has gone far enough
    assert (grad[1] == 0).all()
    assert terms["clipped"].total == 2


def test_cispo_drops_no_token():
    """The gradient is -min(ratio, bound) A at every token: beyond the bound it is weaker, not zero."""
    _, grad = by_hand(PolicyGradient(form="cispo", clip_high=0.5), [[0.2, 1.0, 1.4, 9.0]], [[1.0, -2.0, 1.0, 1.0]])
    torch.testing.assert_close(grad, -torch.tensor([[0.2, -2.0, 1.4, 1.5]]))


def test_dual_clip_bounds_the_loss_of_a_bad_token():
    """Where the advantage is negative and the ratio huge, loss is dual |A| and has no gradient; elsewhere nothing changes."""
    ratios, given = [[5.0, 2.0, 1.1, 5.0]], [[-1.0, -1.0, -1.0, 1.0]]
    terms, grad = by_hand(PolicyGradient(dual=3.0), ratios, given)
    plain, free = by_hand(PolicyGradient(), ratios, given)
    assert terms["policy"].total.item() == pytest.approx(3.0 + 2.0 + 1.1 - 1.2, rel=1e-5)
    assert plain["policy"].total.item() == pytest.approx(5.0 + 2.0 + 1.1 - 1.2, rel=1e-5)
    assert grad[0, 0] == 0
    assert torch.equal(grad[0, 1:], free[0, 1:])
    assert terms["clipped"].total == plain["clipped"].total + 1


def test_clip_higher_moves_one_bound_only():
    """At a ratio of 1.25 the token still learns under clip_high=0.28, and not under 0.2."""
    for high, moves in ((0.28, True), (0.2, False)):
        _, grad = by_hand(PolicyGradient(clip_high=high), [[1.25]], [[1.0]])
        assert bool(grad[0, 0] != 0) is moves


def test_a_weight_on_the_advantage_is_a_weight_on_the_loss():
    """Every form is linear in an advantage scaled by a weight that is not negative: what truncated importance leans on."""
    ratios, given, weight = [[0.5, 1.1, 3.0, 4.0]], [[1.0, -1.0, 2.0, -2.0]], 0.37
    for objective in (PolicyGradient(dual=3.0), PolicyGradient(form="cispo"), PolicyGradient(form="gspo", average="row")):
        one, _ = by_hand(objective, ratios, given)
        other, _ = by_hand(objective, ratios, [[weight * a for a in given[0]]])
        torch.testing.assert_close(other["policy"].total, weight * one["policy"].total)


def test_the_parity_metric_is_the_largest_of_the_step():
    """`ratio_max` is the largest over all micro-batches, `ratio_error` and both estimates of the KL are means over tokens."""
    policy = tiny_policy()
    made = rollout(policy).having(advantage=torch.ones(4, 6))
    old = made.columns["old_logp"].clone()
    old[3, 2] -= math.log(1.5)
    made = made.having(old_logp=old)
    for rows in (0, 2):
        policy.zero_grad()
        metrics = gradients(policy, PolicyGradient(), made, rows)
        assert metrics["ratio_max"] == pytest.approx(0.5, rel=1e-4)
        assert metrics["ratio_error"] == pytest.approx(0.5 / int(made.mask.sum()), rel=1e-3)
        assert metrics["old_kl_k1"] == pytest.approx(-math.log(1.5) / int(made.mask.sum()), rel=1e-3)
        assert metrics["old_kl"] == pytest.approx((0.5 - math.log(1.5)) / int(made.mask.sum()), rel=1e-3)


@pytest.mark.parametrize(
    "objective",
    [
        PolicyGradient(form="gspo", average="row"),
        PolicyGradient(form="cispo"),
        PolicyGradient(dual=3.0, kl=0.1),
        PPO(policy=PolicyGradient(kl=0.1, kl_form="k3")),
        LagrangianPPO(),
    ],
    ids=["gspo", "cispo", "dual", "ppo", "lagrangian"],
)
def test_every_objective_starts_where_it_must(objective):
    """On the policy's own samples every ratio is one, nothing is clipped, every KL is zero, and the start check is content."""
    policy = tiny_policy()
    model = ActorCritic(policy, RewardModel.start_from(policy), RewardModel.start_from(policy))
    made = annotate.chain(annotate.old_value(model), annotate.old_cost_value(model), advantages.gae())(rollout(policy))
    made = made.having(cost_returns=torch.zeros(4, 6))
    metrics = gradients(model, objective, made)
    assert metrics["ratio_max"] < 1e-5
    assert metrics["clipped"] == 0
    assert metrics["old_kl"] == pytest.approx(0, abs=1e-8)
    assert metrics.get("kl_loss", 0.0) == pytest.approx(0, abs=1e-8)
    assert list(objective.at_start(metrics)) == []


def test_the_on_policy_gradient_is_the_score_function_for_every_form():
    """At ratio one, clip, gspo and cispo have one and the same gradient when averaged alike."""
    policy = tiny_policy()
    made = rollout(policy).having(advantage=torch.tensor([[1.0], [-0.5], [2.0], [0.3]]).expand(4, 6))
    found = []
    for form in ("clip", "gspo", "cispo"):
        policy.zero_grad()
        gradients(policy, PolicyGradient(form=form, average="row"), made)
        found.append(torch.cat([p.grad.flatten() for p in policy.parameters()]))
    torch.testing.assert_close(found[1], found[0], atol=1e-6, rtol=1e-4)
    torch.testing.assert_close(found[2], found[0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"form": "gspo"}, "set average=row"),
        ({"dual": 0.5}, "above 1"),
        ({"form": "cispo", "dual": 3.0}, "form=cispo"),
        ({"clip": 1.5}, r"\(0, 1\)"),
    ],
)
def test_settings_that_do_not_fit_are_refused(wrong, message):
    """GSPO over tokens and a dual clip below one are errors that say what to set."""
    with pytest.raises(ValueError, match=message):
        PolicyGradient(**wrong)


def test_the_value_loss_is_the_larger_of_two_errors():
    """Half of max((V - G)^2, (clip(V, old +- c) - G)^2); without a clip, half the squared error."""
    value, old, returns = torch.tensor([1.0, 0.1]), torch.tensor([0.0, 0.0]), torch.tensor([1.0, 1.0])
    torch.testing.assert_close(value_error(value, old, returns, 0.2), torch.tensor([0.5 * 0.64, 0.5 * 0.81]))
    torch.testing.assert_close(value_error(value, old, returns, 0.0), torch.tensor([0.0, 0.5 * 0.81]))


def test_a_critic_speaks_of_the_state_before_the_token():
    """V at token t is the reward model's score of the tokens before t: what comes at t and later cannot move it."""
    policy, critic = tiny_policy(), RewardModel.start_from(tiny_policy(seed=1))
    torch.nn.init.normal_(critic.model.score.weight)
    model = ActorCritic(policy, critic)
    made = pad_rows(ROWS, MASKS, 0)
    value = model(made.tokens, made.mask, frozenset({"value"})).value
    with torch.no_grad():
        score = critic(made.tokens[:1, :3], torch.ones(1, 3, dtype=torch.bool)).value[0, 2]
    assert value[0, 3].item() == pytest.approx(score.item(), rel=1e-5)
    assert (value[~made.mask] == 0).all()
    changed = made.tokens.clone()
    changed[0, 3] = 20
    assert model(changed, made.mask, frozenset({"value"})).value[0, 3].item() == pytest.approx(score.item(), rel=1e-5)


@pytest.mark.parametrize("own", [False, True], ids=["value head", "critic of its own"])
def test_a_critic_learns_what_returns_to_expect(own):
    """Trained on one batch, either tells the rows apart from the second token on; before the first a prompt has one value."""
    policy = tiny_policy()
    policy.add_value_head()
    model = ActorCritic(policy, RewardModel.start_from(policy)) if own else policy
    made = annotate.chain(annotate.old_value(model), advantages.gae(decay=1.0))(rollout(policy))
    assert made.metrics["explained_variance"] == 0
    made = made.having(advantage=torch.zeros(4, 6))
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-2)
    for _ in range(40):
        optimiser.zero_grad()
        gradients(model, PPO(value_clip=0.0, value_weight=1.0), made)
        optimiser.step()
    learned = annotate.old_value(model)(made).columns["old_value"]
    torch.testing.assert_close(learned[0::2, 2], learned[1::2, 2])
    later = made.mask.clone()
    later[:, 2] = False
    assert advantages.explained(learned, made.columns["returns"], later) > 0.9


def test_a_critic_of_its_own_leaves_the_policy_alone():
    """The value loss gives no gradient to the policy, and the policy loss none to the critic."""
    policy = tiny_policy()
    model = ActorCritic(policy, RewardModel.start_from(policy))
    out = model(*(lambda b: (b.tokens, b.mask))(pad_rows(ROWS, MASKS, 0)), frozenset({"logp", "value"}))
    out.value.square().sum().backward(retain_graph=True)
    out.value.sum().backward(retain_graph=True)
    assert all(p.grad is None for p in policy.parameters())
    assert model.critic.model.score.weight.grad is not None
    before = model.critic.model.score.weight.grad.clone()
    out.logp.sum().backward()
    assert torch.equal(model.critic.model.score.weight.grad, before)


def test_no_dropout_in_training():
    """An actor with critics stays in evaluation, so that an architecture with dropout still has ratio one."""
    policy = random_policy("gpt2")
    model = ActorCritic(policy, RewardModel.start_from(tiny_policy())).train()
    assert not any(part.training for part in model.modules())


def test_a_missing_cost_critic_is_named():
    """Asking for the value of costs without a critic of them says what to give."""
    policy = tiny_policy()
    made = pad_rows(ROWS, MASKS, 0)
    with pytest.raises(ValueError, match="cost_critic"):
        ActorCritic(policy, RewardModel.start_from(policy))(made.tokens, made.mask, frozenset({"cost_value"}))


def test_lagrangian_ppo_is_ppo_with_a_second_value_loss():
    """Its terms are those of PPO and half the squared error of the cost's critic; splitting changes no gradient."""
    policy = tiny_policy()
    model = ActorCritic(policy, RewardModel.start_from(policy), RewardModel.start_from(tiny_policy(seed=2)))
    for critic in (model.critic, model.cost_critic):
        torch.nn.init.normal_(critic.model.score.weight, std=0.3)
    made = annotate.chain(annotate.old_value(model), annotate.old_cost_value(model), advantages.gae())(rollout(policy))
    made = made.having(cost_returns=torch.rand(4, 6))
    objective = LagrangianPPO(ppo=PPO(value_clip=0.0))
    found = {}
    for rows in (0, 2):
        model.zero_grad()
        metrics = gradients(model, objective, made, rows)
        found[rows] = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    torch.testing.assert_close(found[2], found[0], atol=1e-6, rtol=1e-4)
    error = (made.columns["old_cost_value"] - made.columns["cost_returns"])[made.mask]
    assert metrics["cost_value_loss"] == pytest.approx(0.5 * error.square().mean().item(), rel=1e-4)
    assert set(metrics) - {"cost_value_loss"} == set(gradients(model, objective.ppo, made))

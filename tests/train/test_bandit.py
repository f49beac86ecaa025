"""The strongest end-to-end oracle: a one-token bandit whose optimum is known, pi* = pi_ref exp(R / beta) / Z.

The gradients are exact (every arm is in the batch, weighted by its probability), so the only error left is the algorithm's.
PPO, RLOO, REINFORCE++ and Dr.GRPO must reach pi*, DPO must reach it from Bradley-Terry labels; GRPO divided by its deviation
and k3 as a loss converge elsewhere, which is itself a fact to keep.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from trueline.models.policy import Outputs
from trueline.train import advantages, annotate
from trueline.train.batch import Batch
from trueline.train.loop import gradients
from trueline.train.objectives.ppo import PPO
from trueline.train.objectives.preference import DPO
from trueline.train.objectives.reinforce import PolicyGradient

ARMS, BETA = 5, 0.5
REWARD = torch.tensor([1.0, 0.5, 0.0, -0.5, 0.8])
REF = torch.tensor([0.1, 0.3, 0.3, 0.2, 0.1]).log()
OPTIMUM = (REF + REWARD / BETA).softmax(-1)


@dataclass
class Bandit:
    """Draws `draws` arms from the policy by stratified sampling: arm frequencies are its probabilities to within 1/draws."""

    draws: int = 4000

    def batch(self, logits: torch.Tensor) -> Batch:
        edges = (torch.arange(self.draws) + 0.5) / self.draws
        arms = torch.searchsorted(logits.softmax(-1).cumsum(-1), edges).clamp(max=ARMS - 1)
        arms = arms[torch.randperm(self.draws, generator=torch.Generator().manual_seed(0))]
        zeros = torch.zeros(self.draws, 1)
        return Batch(
            tokens=torch.stack([torch.zeros_like(arms), arms], 1),
            mask=torch.tensor([[False, True]]).repeat(self.draws, 1),
            group=self.draws,
            columns={
                "reward": REWARD[arms],
                "old_logp": torch.cat([zeros, logits.detach().log_softmax(-1)[arms][:, None]], 1),
                "ref_logp": torch.cat([zeros, REF[arms][:, None]], 1),
            },
        )


class Arms(nn.Module):
    """A policy that is a table of logits, and a value head that is a number."""

    def __init__(self) -> None:
        super().__init__()
        self.logits = nn.Parameter(REF.clone())
        self.value = nn.Parameter(torch.zeros(()))

    def forward(self, tokens, mask, needs, temperature=1.0):
        logp = torch.nn.functional.pad(self.logits.log_softmax(-1)[tokens[:, 1:]], (1, 0)) * mask
        return Outputs(logp=logp, value=self.value.expand(tokens.shape) * mask)


def solve(objective, advantage, steps=300, lr=0.5):
    model = Arms()
    for step in range(steps):
        made = advantage(Bandit().batch(model.logits))
        model.zero_grad()
        gradients(model, objective, made)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter -= lr * (1 - step / steps) * (0 if parameter.grad is None else parameter.grad)
    return model.logits.softmax(-1).detach()


def distance(found):
    return (found - OPTIMUM).abs().max().item()


K1 = annotate.kl_in_reward(BETA)
NO_KL = annotate.kl_in_reward(0.0)


@pytest.mark.parametrize(
    ("objective", "advantage"),
    [
        (PolicyGradient(), annotate.chain(K1, advantages.rloo)),
        (PolicyGradient(), annotate.chain(K1, advantages.reinforce)),
        (PolicyGradient(), annotate.chain(K1, advantages.reinforce_pp)),
        (PolicyGradient(form="cispo"), annotate.chain(K1, advantages.rloo)),
        (PolicyGradient(form="gspo", average="row"), annotate.chain(K1, advantages.rloo)),
        (PolicyGradient(average="constant", length=1), annotate.chain(K1, advantages.dr_grpo)),
        (PolicyGradient(average="constant", length=1, kl=BETA), annotate.chain(NO_KL, advantages.dr_grpo)),
    ],
    ids=[
        "rloo, k1 in reward",
        "reinforce, k1 in reward",
        "reinforce++, k1 in reward",
        "cispo, k1 in reward",
        "gspo, k1 in reward",
        "dr_grpo, k1 in reward",
        "dr_grpo, k2 in loss",
    ],
)
def test_policy_gradients_reach_the_kl_optimum(objective, advantage):
    """Unscaled advantages with a reverse-KL penalty end at pi_ref exp(R / beta)."""
    assert distance(solve(objective, advantage)) < 0.01


def test_ppo_with_a_value_head_reaches_the_kl_optimum():
    """PPO with GAE and a value head ends at pi_ref exp(R / beta)."""
    model = Arms()
    objective = PPO(value_weight=0.5, value_clip=0.0)
    for step in range(400):
        made = Bandit().batch(model.logits)
        made = annotate.chain(K1, annotate.old_value(model), advantages.gae(whiten=False))(made)
        for _ in range(2):
            model.zero_grad()
            gradients(model, objective, made)
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter -= 0.3 * (1 - step / 400) * parameter.grad
    assert distance(model.logits.softmax(-1)) < 0.01


def test_dpo_reaches_it_from_bradley_terry_labels():
    """DPO on every pair, weighted by its Bradley-Terry probability, has pi_ref exp(R / beta) as its minimum."""
    model = Arms()
    pairs = [(i, j) for i in range(ARMS) for j in range(ARMS) if i != j]
    copies = [round(1000 * torch.sigmoid(REWARD[i] - REWARD[j]).item()) for i, j in pairs]
    arms = torch.tensor([arm for (i, j), n in zip(pairs, copies, strict=True) for _ in range(n) for arm in (i, j)])
    made = Batch(
        tokens=torch.stack([torch.zeros_like(arms), arms], 1),
        mask=torch.tensor([[False, True]]).repeat(len(arms), 1),
        group=2,
        columns={"ref_logp": torch.cat([torch.zeros(len(arms), 1), REF[arms][:, None]], 1)},
    )
    optimiser = torch.optim.LBFGS([model.logits], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimiser.zero_grad()
        return torch.tensor(gradients(model, DPO(beta=BETA), made)["loss"])

    optimiser.step(closure)
    assert distance(model.logits.softmax(-1)) < 0.01


@pytest.mark.parametrize(
    ("objective", "advantage"),
    [
        (PolicyGradient(kl=BETA), annotate.chain(NO_KL, advantages.grpo())),
        (PolicyGradient(kl=BETA), annotate.chain(NO_KL, advantages.reinforce_pp_baseline)),
        (PolicyGradient(kl=BETA, kl_form="k3"), annotate.chain(NO_KL, advantages.dr_grpo)),
    ],
    ids=["deviation-normalised grpo", "reinforce++_baseline, k2 in loss", "k3 in loss"],
)
def test_scaled_advantages_and_k3_converge_elsewhere(objective, advantage):
    """Dividing by a deviation beside a KL in the loss, or k3 as a loss, ends more than 0.02 away from pi_ref exp(R / beta)."""
    assert distance(solve(objective, advantage)) > 0.02

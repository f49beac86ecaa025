"""A policy with critics of their own: one module, so that one optimiser trains all of them and one checkpoint holds them.

The other way, a value head on the policy's body, is cheaper and is the policy's own (`Policy.add_value_head`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor, nn

from trueline.models.policy import Outputs, Policy, RewardModel


@dataclass(slots=True)
class TwoValues(Outputs):
    """What a policy with two critics gives: beside its value that of its costs, both (N, T)."""

    cost_value: Tensor | None = None


class ActorCritic(nn.Module):
    """A policy, a critic of its reward and, where there is a constraint, a critic of its cost.

    A critic is a reward model read one token earlier: its score of the tokens before t is V of the state before t
    (a critic that starts as the reward model is the start of Huang et al. 2024, 2403.17031).
    """

    def __init__(self, policy: Policy, critic: RewardModel, cost_critic: RewardModel | None = None) -> None:
        super().__init__()
        self.policy, self.critic, self.cost_critic = policy, critic, cost_critic
        for part in self._critics():
            part.requires_grad_(True)

    def forward(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> TwoValues:
        """As `Policy`: tokens, mask (N, T). Only the networks that `needs` speaks of are run."""
        out = TwoValues()
        if own := needs - {"value", "cost_value"}:
            said = self.policy(tokens, mask, own, temperature)
            out.logp, out.entropy = said.logp, said.entropy
        if "value" in needs:
            out.value = _before(self.critic, tokens, mask)
        if "cost_value" in needs:
            if self.cost_critic is None:
                raise ValueError("this policy has no critic of costs; give ActorCritic a cost_critic")
            out.cost_value = _before(self.cost_critic, tokens, mask)
        return out

    def train(self, mode: bool = True) -> ActorCritic:
        """Stay as it is: ratios and values are taken without dropout, in training too (algorithms 7.0 rule 6)."""
        del mode
        return super().train(False)

    def _critics(self) -> Iterator[RewardModel]:
        yield self.critic
        if self.cost_critic is not None:
            yield self.cost_critic


def _before(critic: RewardModel, tokens: Tensor, mask: Tensor) -> Tensor:
    """The critic's score of the tokens before each, (N, T), zero outside the mask."""
    score = critic(tokens, torch.ones_like(mask)).value
    return F.pad(score[:, :-1], (1, 0)) * mask

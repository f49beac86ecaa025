"""PPO with a critic, and PPO under a constraint on a cost.   trueline run ppo / ppo_lagrangian

The critic is a value head on the policy, or a network of its own (`train.critic`): an objective cannot tell which.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term
from trueline.train.critic import TwoValues
from trueline.train.objectives.reinforce import PolicyGradient


@dataclass(frozen=True)
class PPO:
    """The clipped surrogate and a critic; advantages and returns by GAE (`advantages.gae`).

    The value loss is clipped around the old value as in the reference recipe (Huang et al. 2024, 2403.17031), the larger
    of the two errors. Schulman et al. 2017 (1707.06347), eq. 9.
    """

    policy: PolicyGradient = PolicyGradient()
    value_clip: float = 0.2  # how far a value may move from the old one and still be credited for it; 0: as far as it likes
    value_weight: float = 0.1  # weight of the critic's loss

    def __post_init__(self) -> None:
        if self.value_clip < 0 or self.value_weight < 0:
            raise ValueError(f"value_clip and value_weight must not be negative, got {self.value_clip} and {self.value_weight}")

    @property
    def needs(self) -> frozenset[str]:
        return self.policy.needs | {"value"}

    @property
    def requires(self) -> frozenset[str]:
        return self.policy.requires | {"old_value", "returns"}

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.value is not None
        yield from self.policy(out, batch)
        loss = value_error(out.value, batch.columns["old_value"], batch.columns["returns"], self.value_clip)
        yield Term("value_loss", (loss * batch.mask).sum(), "token", self.value_weight)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """As the policy gradient."""
        return self.policy.at_start(metrics)


@dataclass(frozen=True)
class LagrangianPPO:
    """PPO with a second critic for the cost; its advantage weighs reward against cost (`advantages.lagrangian`).

    Dai et al. 2023 (2310.12773). The model gives `cost_value` beside `value`: an `ActorCritic` with two critics.
    """

    ppo: PPO = PPO()

    @property
    def needs(self) -> frozenset[str]:
        return self.ppo.needs | {"cost_value"}

    @property
    def requires(self) -> frozenset[str]:
        return self.ppo.requires | {"old_cost_value", "cost_returns"}

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert isinstance(out, TwoValues)
        assert out.cost_value is not None
        yield from self.ppo(out, batch)
        old, returns = batch.columns["old_cost_value"], batch.columns["cost_returns"]
        loss = value_error(out.cost_value, old, returns, self.ppo.value_clip)
        yield Term("cost_value_loss", (loss * batch.mask).sum(), "token", self.ppo.value_weight)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """As the policy gradient."""
        return self.ppo.at_start(metrics)


def value_error(value: Tensor, old: Tensor, returns: Tensor, clip: float) -> Tensor:
    """Half the squared error of a value (N, T), or that of the value clipped to old +- clip where it is larger."""
    error = (value - returns).square()
    if clip > 0:
        near = old + (value - old).clamp(-clip, clip)
        error = torch.maximum(error, (near - returns).square())
    return 0.5 * error

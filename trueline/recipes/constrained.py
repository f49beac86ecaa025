"""PPO for a reward under a limit on a mean cost: two rewards, two critics, and a multiplier that finds the price of the cost.

What is trained is `ppo` (recipes/reinforce.py) but for the advantage, (A_reward - lambda A_cost) / (1 + lambda), in which
lambda grows while the mean cost of the last rollouts is above the limit and falls while it is below.

    trueline run ppo_lagrangian start=MODEL reward=REWARD_MODEL cost=rule:contains=dragon limit=0.1
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trueline.core.config import ConfigError
from trueline.core.registry import register
from trueline.recipes.reinforce import Reinforce, critic_of
from trueline.recipes.rewards import models_of, reward_of
from trueline.recipes.studio import Room, Studio
from trueline.train import advantages, annotate
from trueline.train.controllers import Lagrange
from trueline.train.critic import ActorCritic
from trueline.train.objectives.ppo import LagrangianPPO
from trueline.train.optim import Optim


@register("recipe", "ppo_lagrangian")
@dataclass(frozen=True, kw_only=True)
class PpoLagrangian(Reinforce):
    """PPO for a reward under a limit on a mean cost, with a critic of each (Dai et al. 2023, 2310.12773)."""

    cost: str = "cost"  # what is to stay below the limit: named as a reward is, and more of it is worse
    limit: float = 0.0  # mean cost an answer that is allowed
    multiplier: float = 1.0  # the weight of the cost that training starts from
    multiplier_lr: float = 0.1  # step size of its logarithm
    multiplier_bound: float = 10.0  # what it never passes
    delay: int = 0  # first rollouts that do not move it
    window: int = 8  # rollouts over which the mean cost is taken
    kl: float = 0.02
    epochs: int = 2
    critic: str = "start"  # the reward's critic starts from a copy of the start (start), or from a reward model
    decay: float = 0.95  # lambda of the advantage estimate
    objective: LagrangianPPO = LagrangianPPO()
    optim: Optim = Optim(lr=7e-4, muon=0.002, schedule="constant", warmup=0.1)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.kl_target:
            raise ConfigError("under a constraint the weight of the KL stays as it is: leave kl_target at 0 and set kl")
        self._lagrange()

    def reads(self) -> tuple[str, ...]:
        named = [self.critic] if self.critic != "start" else []
        return (*super().reads(), *models_of(self.cost), *named)

    def __call__(self, studio: Studio, room: Room) -> Mapping[str, Any]:
        policy, multiplier = studio.policy(self.start, adapter=self.adapter), self._lagrange()
        model = ActorCritic(policy, critic_of(studio, policy, self.critic), critic_of(studio, policy, "start"))
        advantage = annotate.chain(
            annotate.old_value(model),
            annotate.old_cost_value(model),
            annotate.kl_in_cost(self.kl),
            advantages.lagrangian(multiplier, decay=self.decay),
        )
        scores, keep = {"cost": reward_of(studio, self.cost)}, {"multiplier": multiplier}
        found = self.carry_out(studio, room, policy, self.objective, advantage, model=model, scores=scores, keep=keep)
        last = room.curve()[-1]
        return {**found, "cost_last": last["cost"], "multiplier_last": last["multiplier"]}

    def _lagrange(self) -> Lagrange:
        return Lagrange(self.limit, self.multiplier, self.multiplier_lr, self.multiplier_bound, self.delay, self.window)

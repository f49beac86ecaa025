"""What adapts during reinforcement learning: the weight of the KL, the multiplier of a constraint, the scale of the rewards.

Each is a `Keeper` (train/loop.py): hand it to `Loop.keep`, and a run that was killed goes on with the same numbers.
State is kept in float64, so that it survives a checkpoint to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


class AdaptiveKL:
    """The weight beta of the KL in the reward, steered to a target. Ziegler et al. 2019 (1909.08593), 2.2.

    After each rollout beta is multiplied by 1 + gain * e, with e = (KL - target) / target clipped to +-0.2.
    """

    def __init__(self, start: float, target: float, gain: float = 0.1) -> None:
        if start <= 0 or target <= 0 or gain <= 0:
            raise ValueError(
                f"an adaptive KL weight needs a start, a target (nats an answer) and a gain above 0, "
                f"got {start}, {target} and {gain}; start at kl=0.02, or leave kl_target at 0 for a weight that stays"
            )
        self.beta, self.target, self.gain = float(start), target, gain

    def update(self, kl: float) -> None:
        """Move beta by what a rollout's KL, nats an answer, says."""
        error = min(0.2, max(-0.2, (kl - self.target) / self.target))
        self.beta *= 1 + self.gain * error

    def state(self) -> dict[str, Tensor]:
        return {"beta": torch.tensor(self.beta, dtype=torch.float64)}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.beta = float(state["beta"])


class Lagrange:
    """The multiplier lambda = exp(eta) of the constraint `mean cost <= limit`. Dai et al. 2023 (2310.12773).

    After each rollout eta takes one step of gradient ascent on lambda * (J - limit), J the mean cost of the last `window`
    rollouts; the first `delay` rollouts move nothing, and lambda never passes `bound`.
    """

    def __init__(
        self, limit: float, start: float = 1.0, lr: float = 0.1, bound: float = 10.0, delay: int = 0, window: int = 8
    ) -> None:
        if not 0 < start <= bound or lr <= 0 or delay < 0 or window < 1:
            raise ValueError(
                f"a multiplier needs 0 < start <= bound, a step size above 0, delay >= 0 and window >= 1, "
                f"got start {start}, bound {bound}, step size {lr}, delay {delay}, window {window}"
            )
        self.limit, self.lr, self.bound, self.delay, self.window = limit, lr, bound, delay, window
        self.eta, self.rollouts, self.recent = math.log(start), 0, []  # type: float, int, list[float]

    def update(self, cost: float) -> float:
        """Take in a rollout's mean cost; return lambda."""
        self.recent = [*self.recent, cost][-self.window :]
        self.rollouts += 1
        if self.rollouts > self.delay:
            excess = sum(self.recent) / len(self.recent) - self.limit
            self.eta = min(math.log(self.bound), self.eta + self.lr * excess * math.exp(self.eta))
        return math.exp(self.eta)

    def state(self) -> dict[str, Tensor]:
        return {
            "eta": torch.tensor(self.eta, dtype=torch.float64),
            "rollouts": torch.tensor(self.rollouts),
            "recent": torch.tensor(self.recent, dtype=torch.float64),
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.eta, self.rollouts = float(state["eta"]), int(state["rollouts"])
        self.recent = state["recent"].tolist()


class RunningScale:
    """Rewards less their running mean, over their running deviation (all rollouts so far, Welford 1962)."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = 0, 0.0, 0.0

    def see(self, rewards: Sequence[float]) -> None:
        """Take more rewards into the mean and the deviation."""
        for reward in rewards:
            self.count += 1
            away = reward - self.mean
            self.mean += away / self.count
            self.squares += away * (reward - self.mean)

    def __call__(self, rewards: Sequence[float]) -> list[float]:
        deviation = math.sqrt(self.squares / self.count) if self.count else 0.0
        return [(reward - self.mean) / (deviation + 1e-8) for reward in rewards]

    def state(self) -> dict[str, Tensor]:
        moments = {"mean": self.mean, "squares": self.squares}
        return {"count": torch.tensor(self.count)} | {k: torch.tensor(v, dtype=torch.float64) for k, v in moments.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        self.count, self.mean, self.squares = int(state["count"]), float(state["mean"]), float(state["squares"])

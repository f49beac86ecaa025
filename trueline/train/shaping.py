"""What becomes of a score before it is trained on: its scale, and what a reply that does not end by itself costs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trueline.core.types import Completion
from trueline.train.controllers import RunningScale


@dataclass(frozen=True, kw_only=True)
class Shaping:
    """Scale the rewards, then judge the endings. The defaults leave every reward as it is.

    scale               rewards less their running mean, over their running deviation
    truncated_reward    the reward of a reply that is cut off, whatever it scored ("EOS trick", Huang et al. 2024, 2403.17031)
    truncation_penalty  what is taken off the reward of a reply that is cut off
    overlong, limit     a penalty from 0 to 1 over the last `overlong` of `limit` tokens (Yu et al. 2025, 2503.14476, 3.4)
    """

    scale: RunningScale | None = None
    truncated_reward: float | None = None
    truncation_penalty: float = 0.0
    overlong: int = 0
    limit: int = 0

    def __post_init__(self) -> None:
        if self.truncation_penalty < 0 or not 0 <= self.overlong <= self.limit:
            raise ValueError(
                f"truncation_penalty must not be negative and overlong lie between 0 and the limit of {self.limit} tokens, "
                f"got {self.truncation_penalty} and {self.overlong}"
            )

    def see(self, rewards: Sequence[float]) -> None:
        """Let the scale take in what was scored."""
        if self.scale is not None:
            self.scale.see(rewards)

    def __call__(self, completions: Sequence[Completion], rewards: Sequence[float]) -> list[float]:
        """The rewards that are trained on, one a completion."""
        scaled = list(rewards) if self.scale is None else self.scale(rewards)
        return [self._ending(c, r) for c, r in zip(completions, scaled, strict=True)]

    def _ending(self, completion: Completion, reward: float) -> float:
        if completion.finish == "length":
            reward = reward if self.truncated_reward is None else self.truncated_reward
            reward -= self.truncation_penalty
        over = len(completion.ids) - (self.limit - self.overlong)
        return reward - (min(1.0, over / self.overlong) if self.overlong and over > 0 else 0.0)

"""Policy gradients: REINFORCE, RLOO, GRPO, Dr.GRPO, DAPO and PPO.   trueline run grpo / ppo / rloo

One clipped surrogate (Schulman et al. 2017, 1707.06347, eq. 7); the estimators differ in their advantage, which is an
annotation (`train.annotate`), and in how token losses are averaged, which is `average`.
The KL in the loss is k2, whose gradient is that of the reverse KL; k3 is offered for fidelity to the GRPO paper
(Shao et al. 2024, 2402.03300, eq. 4): as a loss its gradient is that of another divergence (algorithms 7.1).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term


@dataclass(frozen=True)
class PolicyGradient:
    """Clipped surrogate on the columns `old_logp` (N, T), `advantage` (N, T) and, if kl > 0, `ref_logp` (N, T)."""

    clip: float = 0.2  # lower clip of the ratio
    clip_high: float = 0.2  # upper clip; DAPO (2503.14476) uses 0.28
    average: Literal["token", "row", "constant"] = "token"  # token: DAPO; row: GRPO's 1/|y|; constant: Dr.GRPO's 1/length
    length: int = 1  # the constant of average="constant", tokens
    kl: float = 0.0  # weight of the KL to the reference, in the loss
    kl_form: Literal["k2", "k3"] = "k2"

    def __post_init__(self) -> None:
        if not (0 < self.clip < 1 and self.clip_high > 0):
            raise ValueError(f"clip must lie in (0, 1) and clip_high above 0, got {self.clip} and {self.clip_high}")
        if self.kl < 0 or self.length < 1:
            raise ValueError(f"kl must not be negative and length at least 1, got {self.kl} and {self.length}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"old_logp", "advantage"} | ({"ref_logp"} if self.kl > 0 else set()))

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        mask = batch.mask
        log_ratio = (out.logp - batch.columns["old_logp"]) * mask  # (N, T)
        ratio = log_ratio.exp()
        advantage = batch.columns["advantage"] * mask
        clipped = ratio.clamp(1 - self.clip, 1 + self.clip_high)
        surrogate = -torch.minimum(ratio * advantage, clipped * advantage)
        yield self._averaged("policy", surrogate, batch, 1.0)
        if self.kl > 0:
            d = (out.logp - batch.columns["ref_logp"]) * mask
            penalty = 0.5 * d.square() if self.kl_form == "k2" else torch.expm1(-d) + d
            yield self._averaged("kl_loss", penalty, batch, self.kl)
        with torch.no_grad():
            yield Term("clipped", ((ratio * advantage > clipped * advantage) & mask).float().sum(), weight=0.0)
            yield Term("ratio_error", ((ratio - 1).abs() * mask).sum(), weight=0.0)
            yield Term("old_kl", ((torch.expm1(log_ratio) - log_ratio) * mask).sum(), weight=0.0)  # k3 to the sampler

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Trainer and sampler are one model on the first step: every ratio is one and nothing is clipped."""
        if metrics["ratio_error"] > 1e-4:
            yield (
                f"sampler and trainer disagree before the first update: mean |ratio - 1| is {metrics['ratio_error']:.2e}, "
                f"at most 1e-4 is rounding; check temperature, template and padding"
            )
        if metrics["clipped"] > 0:
            yield f"no ratio should be clipped on the first step, but {metrics['clipped']:.1%} were"
        if abs(metrics.get("kl_loss", 0.0)) > 1e-3:
            yield f"policy and reference should be the same model at the start, but their KL is {metrics['kl_loss']:.4f}"

    def _averaged(self, name: str, per_token: Tensor, batch: Batch, weight: float) -> Term:
        if self.average == "token":
            return Term(name, per_token.sum(), "token", weight)
        length = batch.mask.sum(-1).clamp(min=1) if self.average == "row" else float(self.length)
        return Term(name, (per_token.sum(-1) / length).sum(), "row", weight)


@dataclass(frozen=True)
class PPO:
    """The clipped surrogate with a value head (and an entropy bonus); advantages and returns by GAE (`annotate.gae`).

    The value loss is clipped around the old value as in the reference recipe (Huang et al. 2024, 2403.17031), the larger
    of the two; value_clip = 0 turns the clipping off.
    """

    clip: float = 0.2
    value_clip: float = 0.2
    value_weight: float = 0.1
    entropy: float = 0.0  # weight of the bonus on mean token entropy

    def __post_init__(self) -> None:
        if not 0 < self.clip < 1 or self.value_clip < 0 or self.value_weight < 0:
            raise ValueError("clip must lie in (0, 1); value_clip and value_weight must not be negative")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp", "value"} | ({"entropy"} if self.entropy else set()))

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"old_logp", "advantage", "old_value", "returns"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.value is not None
        yield from PolicyGradient(clip=self.clip, clip_high=self.clip)(out, batch)
        old, returns = batch.columns["old_value"], batch.columns["returns"]
        error = (out.value - returns).square()
        if self.value_clip > 0:
            near = old + (out.value - old).clamp(-self.value_clip, self.value_clip)
            error = torch.maximum(error, (near - returns).square())
        yield Term("value_loss", 0.5 * (error * batch.mask).sum(), "token", self.value_weight)
        if self.entropy:
            assert out.entropy is not None
            yield Term("entropy", (out.entropy * batch.mask).sum(), "token", -self.entropy)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """As the policy gradient: ratios are one."""
        return PolicyGradient().at_start(metrics)

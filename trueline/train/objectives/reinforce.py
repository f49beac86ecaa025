"""Policy gradients: REINFORCE, RLOO, ReMax, GRPO, Dr.GRPO, DAPO, GSPO, CISPO.   trueline run grpo / rloo

One surrogate; the estimators differ in their advantage, which is an annotation (`train.advantages`), the objectives in how a
ratio is bounded (`form`, `clip`, `clip_high`, `dual`) and in how token losses are averaged (`average`):

    PPO, GRPO   Schulman et al. 2017 (1707.06347), eq. 7; Shao et al. 2024 (2402.03300), eq. 3
    DAPO        Yu et al. 2025 (2503.14476): clip_high=0.28 average=token, and dynamic sampling in the rollout
    Dr.GRPO     Liu et al. 2025 (2503.20783): average=constant
    GSPO        Zheng et al. 2025 (2507.18071): form=gspo average=row clip=0.0003 clip_high=0.0004
    CISPO       MiniMax 2025 (2506.13585): form=cispo

The KL in the loss is k2, whose gradient is that of the reverse KL; k3 is offered for fidelity to the GRPO paper: as a loss its
gradient is that of another divergence (algorithms 7.1).
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

    form: Literal["clip", "gspo", "cispo"] = "clip"  # clip: a ratio a token; gspo: one a sequence; cispo: a bounded weight
    clip: float = 0.2  # lower clip of the ratio; gspo's ratio is a mean over the sequence, so that 0.0003 is usual
    clip_high: float = 0.2  # upper clip; DAPO uses 0.28, gspo 0.0004; cispo has this bound only
    dual: float = 0.0  # where the advantage is negative, loss is at most dual * |advantage|; 0: no bound, 3 is usual
    average: Literal["token", "row", "constant"] = "token"  # token: DAPO; row: GRPO's 1/|y|; constant: Dr.GRPO's 1/length
    length: int = 1  # the constant of average=constant, tokens
    kl: float = 0.0  # weight of the KL to the reference, in the loss
    kl_form: Literal["k2", "k3"] = "k2"  # k2 has the gradient of the reverse KL; k3 is the GRPO paper's, and has not
    entropy: float = 0.0  # weight of a bonus on the mean entropy of the tokens

    def __post_init__(self) -> None:
        if not (0 < self.clip < 1 and self.clip_high > 0):
            raise ValueError(f"clip must lie in (0, 1) and clip_high above 0, got {self.clip} and {self.clip_high}")
        if self.kl < 0 or self.length < 1:
            raise ValueError(f"kl must not be negative and length at least 1, got {self.kl} and {self.length}")
        if self.dual and (self.dual <= 1 or self.form == "cispo"):
            raise ValueError(f"dual bounds a clipped ratio from above 1 on, or is 0; got {self.dual} with form={self.form}")
        if self.form == "gspo" and self.average != "row":
            raise ValueError(f"gspo weighs sequences alike: set average=row, got average={self.average}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"} | ({"entropy"} if self.entropy else set()))

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"old_logp", "advantage"} | ({"ref_logp"} if self.kl > 0 else set()))

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        mask = batch.mask
        log_ratio = (out.logp - batch.columns["old_logp"]) * mask  # (N, T)
        advantage = batch.columns["advantage"] * mask
        used = _row_mean(log_ratio, mask) if self.form == "gspo" else log_ratio
        ratio = used.exp()
        if self.form == "cispo":  # every token keeps a gradient, of bounded weight
            gain = ratio.detach().clamp(max=1 + self.clip_high) * advantage * out.logp
            cut = ratio > 1 + self.clip_high
        else:
            free, bounded = ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip_high) * advantage
            gain = torch.minimum(free, bounded)
            cut = free > bounded
            if self.dual:  # Ye et al. 2020 (1912.09729), eq. 5
                floor = self.dual * advantage
                cut = cut | ((advantage < 0) & (gain < floor))
                gain = torch.where(advantage < 0, torch.maximum(gain, floor), gain)
        yield self._averaged("policy", -gain, batch, 1.0)
        if self.kl > 0:
            d = (out.logp - batch.columns["ref_logp"]) * mask
            penalty = 0.5 * d.square() if self.kl_form == "k2" else torch.expm1(-d) + d
            yield self._averaged("kl_loss", penalty, batch, self.kl)
        if self.entropy:  # a mean over tokens, however the policy's loss is averaged
            assert out.entropy is not None
            yield Term("entropy", (out.entropy * mask).sum(), "token", -self.entropy)
        with torch.no_grad():
            error = torch.expm1(log_ratio).abs()
            yield Term("clipped", (cut & mask).float().sum(), weight=0.0)
            yield Term("ratio_error", error.sum(), weight=0.0)
            yield Term("ratio_max", error.max(), "max", 0.0)
            yield Term("old_kl", (torch.expm1(log_ratio) - log_ratio).sum(), weight=0.0)  # k3 to the sampler
            yield Term("old_kl_k1", -log_ratio.sum(), weight=0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Trainer, sampler and reference are one model on the first step: nothing is clipped and the KL is zero."""
        if metrics["clipped"] > 0:
            yield f"no ratio should be clipped on the first step, but {metrics['clipped']:.1%} were"
        if abs(metrics.get("kl_loss", 0.0)) > 1e-3:
            yield f"policy and reference should be the same model at the start, but their KL is {metrics['kl_loss']:.4f}"

    def _averaged(self, name: str, per_token: Tensor, batch: Batch, weight: float) -> Term:
        if self.average == "token":
            return Term(name, per_token.sum(), "token", weight)
        length = batch.mask.sum(-1).clamp(min=1) if self.average == "row" else float(self.length)
        return Term(name, (per_token.sum(-1) / length).sum(), "row", weight)


def _row_mean(values: Tensor, mask: Tensor) -> Tensor:
    """Each row's mean over its masked tokens, at every one of them: (N, T); zero elsewhere."""
    return (values.sum(-1, keepdim=True) / mask.sum(-1, keepdim=True).clamp(min=1)) * mask

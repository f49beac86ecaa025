"""Direct preference optimisation. Rafailov et al. 2023 (2305.18290), eq. 7.   trueline run dpo objective.beta=0.2

h = (log pi - log ref)(chosen) - (log pi - log ref)(rejected), summed over completion tokens; z = beta h.
The link decides what is done with z: sigmoid is DPO (with label noise: cDPO, or rDPO which undoes the noise), hinge is SLiC,
ipo is Azar et al. 2023 (2310.12036) with h averaged over tokens, as its authors confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term

Link = Literal["sigmoid", "conservative", "robust", "hinge", "ipo"]


@dataclass(frozen=True)
class DPO:
    """DPO and its links. Rows: chosen, rejected. Needs the column `ref_logp` (N, T) from `annotate.reference`.

    Chosen and rejected log-ratios are logged apart: the loss can fall while both do (Razin et al. 2024, 2410.08847).
    """

    beta: float = 0.1  # strength of the pull to the reference, 1/nat; for ipo it is tau
    link: Link = "sigmoid"
    noise: float = 0.0  # share of flipped labels that conservative and robust assume, in [0, 0.5)
    nll: float = 0.0  # weight of the chosen completion's own nll, nats per token (holds the chosen up)

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(f"beta must be above 0, got {self.beta}")
        if not 0 <= self.noise < 0.5:
            raise ValueError(f"noise is a share of flipped labels in [0, 0.5), got {self.noise}")
        if self.link not in LINKS:
            raise ValueError(f"unknown link {self.link!r}; choose one of {', '.join(LINKS)}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"ref_logp"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        logp = out.logp * batch.mask
        ratio = logp - batch.columns["ref_logp"] * batch.mask  # (N, T)
        if self.link == "ipo":
            ratio = ratio / batch.mask.sum(-1, keepdim=True).clamp(min=1)
        chosen, rejected = ratio.sum(-1).view(-1, 2).unbind(-1)  # (M,)
        gap = chosen - rejected
        yield Term("loss", LINKS[self.link](self, gap).sum(), "group")
        if self.nll:
            first = torch.arange(len(logp), device=logp.device) % 2 == 0
            length = batch.mask.sum(-1).clamp(min=1)
            yield Term("nll", -(logp.sum(-1) / length * first).sum(), "group", self.nll)
        yield Term("chosen", chosen.detach().sum(), "group", 0.0)
        yield Term("rejected", rejected.detach().sum(), "group", 0.0)
        yield Term("margin", (self.beta * gap).detach().sum(), "group", 0.0)
        yield Term("accuracy", ((gap > 0).float() + 0.5 * (gap == 0).float()).sum(), "group", 0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Policy and reference are one model before the first update: every log-ratio is zero."""
        for name in ("chosen", "rejected"):
            if abs(metrics[name]) > 1e-3:
                yield f"policy and reference should be one model at the start, but log-ratio ({name}) is {metrics[name]:.4f}"
        zero = LINKS[self.link](self, torch.zeros(())).item()
        if abs(metrics["loss"] - zero) > 1e-3:
            yield f"the loss should start at {zero:.4f} for link {self.link}, got {metrics['loss']:.4f}"


def _conservative(o: DPO, h: Tensor) -> Tensor:  # Mitchell 2023, "A note on DPO with noisy preferences"
    return -(1 - o.noise) * F.logsigmoid(o.beta * h) - o.noise * F.logsigmoid(-o.beta * h)


def _robust(o: DPO, h: Tensor) -> Tensor:  # Chowdhury et al. 2024 (2403.00409), eq. 12: unbiased under flips
    return (-(1 - o.noise) * F.logsigmoid(o.beta * h) + o.noise * F.logsigmoid(-o.beta * h)) / (1 - 2 * o.noise)


LINKS: dict[str, Callable[[DPO, Tensor], Tensor]] = {
    "sigmoid": lambda o, h: -F.logsigmoid(o.beta * h),
    "conservative": _conservative,
    "robust": _robust,
    "hinge": lambda o, h: (1 - o.beta * h).clamp(min=0),  # Zhao et al. 2023 (2305.10425)
    "ipo": lambda o, h: (h - 1 / (2 * o.beta)).square(),  # Azar et al. 2023, eq. 17
}

"""Direct preference optimisation and its kin: one objective, many links.   trueline run dpo objective.link=ipo

rho(y) = log pi(y | x) - log ref(y | x), summed over completion tokens; h = rho(chosen) - rho(rejected); z = beta h.
The link decides what is done with them; `LINKS` at the end of the file is the whole list. Most look at h alone; some at the two
log-ratios apart (NCA, BCO, SPPO, APO); two at the whole batch (AOT), which an annotation has sorted before it is split.
Rafailov et al. 2023 (2305.18290), eq. 7, is the link `sigmoid`.
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

Name = Literal[
    "sigmoid", "sigmoid_norm", "conservative", "robust", "hinge", "ipo", "ipo_sum", "exo", "nca", "bco", "sppo",
    "apo_zero", "apo_down", "discopop", "aot", "aot_unpaired",
]  # fmt: skip
DISCOPOP = 0.05  # temperature of DiscoPOP's gate, as it was discovered


@dataclass(frozen=True, slots=True)
class Pairs:
    """What a link sees of M pairs: the two log-ratios (M,), nats, and the column that it asked for, (M, 2), chosen first."""

    chosen: Tensor
    rejected: Tensor
    beside: Tensor

    @property
    def gap(self) -> Tensor:
        return self.chosen - self.rejected


@dataclass(frozen=True, kw_only=True)
class Link:
    """What becomes of a pair's log-ratios, and what that takes."""

    loss: Callable[[DPO, Pairs], Tensor]  # (M,)
    averaged: bool = False  # log-ratios are divided by the completion's length first
    noisy: bool = False  # reads the setting `noise`
    column: str = ""  # a column (N,) of the whole batch that it reads (train/annotate_preference.py)


@dataclass(frozen=True)
class DPO:
    """DPO and its links. Rows: chosen, rejected. Needs the column `ref_logp` (N, T), and the link's own column if it has one.

    Chosen and rejected log-ratios are logged apart: the loss can fall while both do (Razin et al. 2024, 2410.08847).
    """

    beta: float = 0.1  # strength of the pull to the reference, 1/nat; for ipo it is tau
    link: Name = "sigmoid"
    noise: float = 0.0  # share of flipped labels that conservative, robust, exo and aot assume, in [0, 0.5)
    nll: float = 0.0  # weight of the chosen completion's own nll, nats per token (holds the chosen up)

    def __post_init__(self) -> None:
        if self.beta <= 0:
            raise ValueError(f"beta must be above 0, got {self.beta}")
        if not 0 <= self.noise < 0.5:
            raise ValueError(f"noise is a share of flipped labels in [0, 0.5), got {self.noise}")
        if self.nll < 0:
            raise ValueError(f"nll is a weight, 0 or more, got {self.nll}")
        if self.link not in LINKS:
            raise ValueError(f"unknown link {self.link!r}; choose one of {', '.join(LINKS)}")
        if self.noise and not LINKS[self.link].noisy:
            noisy = ", ".join(name for name, link in LINKS.items() if link.noisy)
            raise ValueError(f"link {self.link} does not read noise, got {self.noise}; leave it 0, or choose one of {noisy}")
        if self.link == "exo" and not self.noise:
            raise ValueError("link exo needs noise above 0, for at 0 its loss is infinite; its authors use 0.001")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"ref_logp", LINKS[self.link].column} - {""})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.logp is not None
        link = LINKS[self.link]
        logp = (out.logp * batch.mask).sum(-1)  # (N,)
        ratio = logp - (batch.columns["ref_logp"] * batch.mask).sum(-1)
        seen = ratio / lengths(batch) if link.averaged else ratio
        beside = batch.columns[link.column] if link.column else torch.zeros_like(seen)
        pairs = Pairs(*sides(seen), beside.view(-1, 2))
        yield Term("loss", link.loss(self, pairs).sum(), "group")
        if self.nll:
            yield Term("nll", nll_of_chosen(logp, batch).sum(), "group", self.nll)
        for name, side in zip(("chosen", "rejected"), sides(ratio.detach()), strict=True):
            yield Term(name, side.sum(), "group", 0.0)
        yield from compared(logp, pairs.gap, self.beta, batch)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Policy and reference are one model before the first update: every log-ratio is zero."""
        for name in ("chosen", "rejected"):
            if abs(metrics[name]) > 1e-3:
                yield f"policy and reference should be one model at the start, but log-ratio ({name}) is {metrics[name]:.4f}"
        zero = LINKS[self.link].loss(self, Pairs(torch.zeros(1), torch.zeros(1), torch.zeros(1, 2))).item()
        if abs(metrics["loss"] - zero) > 1e-3 * max(1.0, zero):
            yield f"the loss should start at {zero:.4f} for link {self.link}, got {metrics['loss']:.4f}"


def sides(per_row: Tensor) -> tuple[Tensor, Tensor]:
    """Values (N,) of neighbouring rows as those of the chosen and of the rejected, (M,) each."""
    chosen, rejected = per_row.view(-1, 2).unbind(-1)
    return chosen, rejected


def lengths(batch: Batch) -> Tensor:
    """Trained tokens of each row, (N,), at least one."""
    return batch.mask.sum(-1).clamp(min=1)


def nll_of_chosen(logp: Tensor, batch: Batch) -> Tensor:
    """-log p of each chosen completion, nats a token, (M,), from the rows' summed log-probabilities (N,)."""
    return -sides(logp / lengths(batch))[0]


@torch.no_grad()
def compared(logp: Tensor, gap: Tensor, beta: float, batch: Batch) -> Iterator[Term]:
    """What every objective on pairs logs: log-probabilities (nats a reply) and lengths apart, margin, accuracy; ties half."""
    for name, side in zip(("chosen", "rejected"), sides(logp), strict=True):
        yield Term(f"{name}_logp", side.sum(), "group", 0.0)
    for name, side in zip(("chosen", "rejected"), sides(lengths(batch).float()), strict=True):
        yield Term(f"{name}_length", side.sum(), "group", 0.0)
    yield Term("margin", (beta * gap).sum(), "group", 0.0)
    yield Term("accuracy", ((gap > 0).float() + 0.5 * (gap == 0).float()).sum(), "group", 0.0)


def _noisy(o: DPO, h: Tensor) -> Tensor:  # Mitchell 2023, "A note on DPO with noisy preferences"
    return -(1 - o.noise) * F.logsigmoid(o.beta * h) - o.noise * F.logsigmoid(-o.beta * h)


def _robust(o: DPO, p: Pairs) -> Tensor:  # Chowdhury et al. 2024 (2403.00409), eq. 12: unbiased under flips
    z = o.beta * p.gap
    return (-(1 - o.noise) * F.logsigmoid(z) + o.noise * F.logsigmoid(-z)) / (1 - 2 * o.noise)


def _exo(o: DPO, p: Pairs) -> Tensor:  # Ji et al. 2024 (2402.00856): KL from sigmoid(z) to the label softened by the noise
    z, noise = o.beta * p.gap, torch.tensor(o.noise, device=p.gap.device)
    return z.sigmoid() * (F.logsigmoid(z) - (-noise).log1p()) + (-z).sigmoid() * (F.logsigmoid(-z) - noise.log())


def _nca(o: DPO, p: Pairs) -> Tensor:  # Chen et al. 2024 (2402.05369): each completion against noise, the chosen twice
    chosen, rejected = o.beta * p.chosen, o.beta * p.rejected
    return -F.logsigmoid(chosen) - 0.5 * F.logsigmoid(-chosen) - 0.5 * F.logsigmoid(-rejected)


def _bco(o: DPO, p: Pairs) -> Tensor:  # Jung et al. 2024 (2404.04656): a classifier whose threshold is the running mean
    threshold = p.beside[:, 0]
    return -F.logsigmoid(o.beta * (p.chosen - threshold)) - F.logsigmoid(-o.beta * (p.rejected - threshold))


def _discopop(o: DPO, p: Pairs) -> Tensor:  # Lu et al. 2024 (2406.08414): logistic loss that turns exponential as z grows
    z = o.beta * p.gap
    gate = z / DISCOPOP
    return -F.logsigmoid(z) * (-gate).sigmoid() + (F.logsigmoid(gate) - z).exp()  # e^-z alone would overflow


def _aot_unpaired(o: DPO, p: Pairs) -> Tensor:  # Melnyk et al. 2024 (2406.05882): the k-th chosen against the k-th rejected
    # A row's partner may be in another micro-batch, so it is a constant here. Each match is then met twice, from either side
    # with half the gradient: half of both is the value, and 2x - x gives the gradient back.
    halves = 0.5 * (_noisy(o, p.chosen - p.beside[:, 0]) + _noisy(o, p.beside[:, 1] - p.rejected))
    return 2 * halves - halves.detach()


LINKS: dict[str, Link] = {
    "sigmoid": Link(loss=lambda o, p: -F.logsigmoid(o.beta * p.gap)),
    "sigmoid_norm": Link(loss=lambda o, p: -F.logsigmoid(o.beta * p.gap), averaged=True),  # Lambert et al. 2024 (2411.15124)
    "conservative": Link(loss=lambda o, p: _noisy(o, p.gap), noisy=True),
    "robust": Link(loss=_robust, noisy=True),
    "hinge": Link(loss=lambda o, p: (1 - o.beta * p.gap).clamp(min=0)),  # Zhao et al. 2023 (2305.10425)
    "ipo": Link(loss=lambda o, p: (p.gap - 1 / (2 * o.beta)).square(), averaged=True),  # Azar et al. 2023 (2310.12036), eq. 17
    "ipo_sum": Link(loss=lambda o, p: (p.gap - 1 / (2 * o.beta)).square()),
    "exo": Link(loss=_exo, noisy=True),
    "nca": Link(loss=_nca),
    "bco": Link(loss=_bco, column="delta"),
    "sppo": Link(  # Wu et al. 2024 (2405.00675), the winning probability taken for 1
        loss=lambda o, p: (p.chosen - 1 / (2 * o.beta)).square() + (p.rejected + 1 / (2 * o.beta)).square()
    ),
    # D'Oosterlinck et al. 2024 (2408.06266): for data that is better than the model, and for data that is worse
    "apo_zero": Link(loss=lambda o, p: (-o.beta * p.chosen).sigmoid() + (o.beta * p.rejected).sigmoid()),
    "apo_down": Link(loss=lambda o, p: (o.beta * p.chosen).sigmoid() + (-o.beta * p.gap).sigmoid()),
    "discopop": Link(loss=_discopop),
    "aot": Link(loss=lambda o, p: _noisy(o, p.gap + p.beside[:, 0]), noisy=True, column="shift"),
    "aot_unpaired": Link(loss=_aot_unpaired, noisy=True, column="partner"),
}

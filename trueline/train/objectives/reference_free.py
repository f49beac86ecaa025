"""Preferences without a reference model: SimPO, ORPO, CPO.   trueline run simpo / orpo / cpo

What stands in for the reference: SimPO compares mean log-probabilities and asks for a margin, ORPO compares odds beside the
chosen completion's own likelihood, CPO takes the reference for uniform and adds that likelihood too.
Nothing pulls the policy back to its start, so what they need is a small step size.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term
from trueline.train.objectives.preference import compared, lengths, nll_of_chosen, sides

LEAST = 1e-6  # nats a token that a completion is at least away from certainty, where its odds would be infinite


@dataclass(frozen=True)
class SimPO:
    """-log sigmoid(beta (mean log p(chosen) - mean log p(rejected)) - margin), per pair. Meng et al. 2024 (2405.14734), eq. 6.

    Rows: chosen, rejected. The margin is logged before the target is taken off.
    """

    beta: float = 2.0  # scale of the mean log-probabilities; its authors use 2 to 2.5
    margin: float = 1.0  # by how much the chosen must win, in units of the scaled gap; half of beta is a good start

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.margin < 0:
            raise ValueError(f"beta must be above 0 and margin not negative, got {self.beta} and {self.margin}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        logp = _summed(out, batch)
        chosen, rejected = sides(logp / lengths(batch))  # (M,)
        gap = chosen - rejected
        yield Term("loss", -F.logsigmoid(self.beta * gap - self.margin).sum(), "group")
        yield from compared(logp, gap, self.beta, batch)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """Without a reference nothing about the start is known, but that a log-probability is not positive."""
        return _negative(metrics)


@dataclass(frozen=True)
class ORPO:
    """nll(chosen) - weight log sigmoid(log odds(chosen) - log odds(rejected)), per pair. Hong et al. 2024 (2403.07691), eq. 6.

    odds = p / (1 - p) with p = exp(mean log-probability). Rows: chosen, rejected. Both terms are means over pairs; the nll of a
    completion is its mean over tokens.
    """

    weight: float = 0.1  # of the odds ratio beside the likelihood

    def __post_init__(self) -> None:
        if self.weight <= 0:
            raise ValueError(f"weight must be above 0, got {self.weight}; without it ORPO is fine-tuning on the chosen (sft)")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        logp = _summed(out, batch)
        chosen, rejected = sides(log_odds(logp / lengths(batch)))  # (M,)
        gap = chosen - rejected
        yield Term("nll", nll_of_chosen(logp, batch).sum(), "group")
        yield Term("loss", -F.logsigmoid(gap).sum(), "group", self.weight)
        yield from compared(logp, gap, 1.0, batch)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """As SimPO."""
        return _negative(metrics)


@dataclass(frozen=True)
class CPO:
    """-log sigmoid(beta (log p(chosen) - log p(rejected))) + weight nll(chosen), per pair. Xu et al. 2024 (2401.08417), eq. 5.

    Log-probabilities are summed over tokens; the nll of a completion is its mean over tokens. Rows: chosen, rejected.
    """

    beta: float = 0.1  # scale of the summed log-probabilities, 1/nat
    weight: float = 1.0  # of the chosen completion's own nll, nats a token

    def __post_init__(self) -> None:
        if self.beta <= 0 or self.weight < 0:
            raise ValueError(f"beta must be above 0 and weight not negative, got {self.beta} and {self.weight}")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"logp"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        logp = _summed(out, batch)
        chosen, rejected = sides(logp)  # (M,)
        gap = chosen - rejected
        yield Term("loss", -F.logsigmoid(self.beta * gap).sum(), "group")
        yield Term("nll", nll_of_chosen(logp, batch).sum(), "group", self.weight)
        yield from compared(logp, gap, self.beta, batch)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """As SimPO."""
        return _negative(metrics)


def log_odds(mean_logp: Tensor) -> Tensor:
    """log p - log(1 - p) for p = exp(mean_logp), without cancellation at either end.

    >>> log_odds(torch.tensor([math.log(0.5), math.log(0.9)])).round(decimals=4).tolist()
    [0.0, 2.197200059890747]
    """
    x = mean_logp.clamp(max=-LEAST)
    near_one = x > -math.log(2)  # Maechler 2012, "Accurately computing log(1 - exp(-|a|))"
    return x - torch.where(near_one, (-torch.expm1(x)).log(), torch.log1p(-x.exp()))


def _summed(out: Outputs, batch: Batch) -> Tensor:
    assert out.logp is not None
    return (out.logp * batch.mask).sum(-1)  # (N,)


def _negative(metrics: Mapping[str, float]) -> Iterator[str]:
    for name in ("chosen_logp", "rejected_logp"):
        if not metrics[name] <= 0:
            yield f"a log-probability cannot be above 0, but the mean of {name} is {metrics[name]:.4f}: check the model"

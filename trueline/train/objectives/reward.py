"""Reward models: scores learned from comparisons.   trueline run reward

Bradley & Terry 1952 for pairs; Plackett 1975 and Luce 1959 for rankings of K; ties as Davidson 1970 for pairs and as
Davidson & Luce for K (Firth, Kosmidis & Turner 2019, eq. 3). A pair is a ranking of two: at ties = 0 its loss is the same.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F  # noqa: N812  (the name that every reader of torch code knows)
from torch import Tensor

from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Term


@dataclass(frozen=True)
class BradleyTerry:
    """-log sigmoid(r_chosen - r_rejected - margin) per pair (rows: chosen, rejected), plus a pull of the scores to zero.

    Centring (r_chosen + r_rejected)^2 fixes the scores' free constant (Eisenstein et al. 2023, 2312.09244).
    The column `margin` (N,), read at the chosen row, is optional (Touvron et al. 2023, eq. 2).
    """

    centre: float = 0.01

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"value"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset()

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        scores = _scores(out, batch, 2)
        gap = scores[:, 0] - scores[:, 1]
        margin = batch.columns["margin"].view(-1, 2)[:, 0] if "margin" in batch.columns else 0.0
        yield Term("loss", -F.logsigmoid(gap - margin).sum(), "group")
        yield Term("centre", scores.sum(-1).square().sum(), "group", self.centre)
        yield Term("accuracy", ((gap > 0).float() + 0.5 * (gap == 0).float()).sum(), "group", 0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """A head of zeros cannot tell the two apart: the loss is log 2."""
        if abs(metrics["loss"] - math.log(2)) > 1e-4:
            yield f"a reward model with a fresh head should start at log 2 = 0.6931, got {metrics['loss']:.4f}"


@dataclass(frozen=True)
class PlackettLuce:
    """Log-likelihood of a ranking of K completions; the column `rank` (N,) has 1 for the best, equal numbers for ties.

    The best set W is chosen from what is left, S, with probability delta(|W|) exp(mean r_W) / sum over subsets T of S of
    delta(|T|) exp(mean r_T), where delta(1) = 1 and delta(m) = ties for m > 1; then the next set, until one completion is left.
    ties = 0 is Plackett-Luce, under which tied data has no probability and is refused.
    """

    ties: float = 0.5
    centre: float = 0.01

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"value"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"rank"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        size = batch.group
        scores = _scores(out, batch, size)  # (M, K)
        ranks = batch.columns["rank"].view(-1, size)
        if self.ties == 0 and bool((ranks.sort(-1).values.diff(dim=-1) == 0).any()):
            raise ValueError("the data has ties, which Plackett-Luce with ties=0 gives no probability; set objective.ties=0.5")
        yield Term("loss", self._nll(scores, ranks).sum(), "group")
        yield Term("centre", scores.sum(-1).square().sum(), "group", self.centre)
        better = ranks[:, :, None] < ranks[:, None, :]  # (M, K, K)
        gap = scores[:, :, None] - scores[:, None, :]
        right = ((gap > 0).float() + 0.5 * (gap == 0).float()) * better
        yield Term("accuracy", (right.sum((1, 2)) / better.sum((1, 2)).clamp(min=1)).sum(), "group", 0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """All scores are zero before the first update, so every comparison is a coin toss."""
        if metrics["centre"] > 1e-6:
            yield f"a reward model with a fresh head should score everything zero, got a squared sum of {metrics['centre']:.2e}"

    def _nll(self, scores: Tensor, ranks: Tensor) -> Tensor:
        size = scores.shape[1]
        subsets = _subsets(size, self.ties == 0).to(scores.device)  # (S, K) bool
        members = subsets.sum(-1)  # (S,)
        log_delta = torch.where(members > 1, math.log(self.ties) if self.ties > 0 else -math.inf, 0.0)
        values = scores @ (subsets / members[:, None]).to(scores.dtype).T + log_delta  # (M, S)
        total = scores.new_zeros(len(scores))
        for level in range(1, size + 1):
            chosen, left = ranks == level, ranks >= level  # (M, K)
            done = (left.sum(-1) <= 1) | ~chosen.any(-1)
            possible = ~(subsets[None] & ~left[:, None]).any(-1)  # (M, S): subsets of what is left
            log_all = values.masked_fill(~possible, -math.inf).logsumexp(-1)
            number = chosen.sum(-1)
            log_one = (scores * chosen).sum(-1) / number.clamp(min=1)
            log_one = log_one + torch.where(number > 1, math.log(self.ties) if self.ties > 0 else 0.0, 0.0)
            total = total + torch.where(done, 0.0, log_all - log_one)
        return total


def _scores(out: Outputs, batch: Batch, size: int) -> Tensor:
    """The score of each completion, (groups, size): the value at its last trained token."""
    assert out.value is not None
    if batch.group != size:
        raise ValueError(f"expected groups of {size} rows, got groups of {batch.group}")
    return out.value.gather(1, batch.last()[:, None]).view(-1, size)


@cache
def _subsets(size: int, single: bool) -> Tensor:
    """Every non-empty subset of `size` things (only the single ones if asked), (S, size) bool. 511 for nine."""
    if size > 9:
        raise ValueError(f"a ranking of {size} completions is too long; people and this likelihood handle at most 9")
    if single:
        return torch.eye(size, dtype=torch.bool)
    numbers = torch.arange(1, 2**size)
    return (numbers[:, None] >> torch.arange(size) & 1).bool()

"""Reward models: scores learned from comparisons.   trueline run reward

Bradley & Terry 1952 for pairs; Plackett 1975 and Luce 1959 for rankings of K; ties as Davidson 1970 for pairs and as
Davidson & Luce for K (Firth, Kosmidis & Turner 2019, eq. 3). A pair is a ranking of two: at ties = 0 its loss is the same.

Two columns say more about a pair, where they are there, and are read at its first row. `margin` (N,): by how much the first
must lead (Touvron et al. 2023, 2307.09288, eq. 2). `preference` (N,), in [0, 1]: a soft label, the probability that the
first is the better one, as an AI judge gives it (Bai et al. 2022, 2212.08073). The loss is then the expected one under it.
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
        first = _first(batch, "preference", 1.0)
        lead = gap - _first(batch, "margin", 0.0)
        yield Term("loss", -(first * F.logsigmoid(lead) + (1 - first) * F.logsigmoid(-lead)).sum(), "group")
        yield Term("centre", scores.sum(-1).square().sum(), "group", self.centre)
        yield Term("accuracy", _agreement(gap, first - 0.5).sum(), "group", 0.0)
        yield Term("gap", gap.abs().sum(), "group", 0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """A head of zeros cannot tell the two apart: without a margin the loss is log 2."""
        if metrics["gap"] > 1e-4:
            yield f"a reward model with a fresh head should score both alike, got a gap of {metrics['gap']:.2e}"


@dataclass(frozen=True)
class PlackettLuce:
    """Log-likelihood of a ranking of K completions; the column `rank` (N,) has 1 for the best, equal numbers for ties.

    The best set W is chosen from what is left, S, with probability delta(|W|) exp(mean r_W) / sum over subsets T of S of
    delta(|T|) exp(mean r_T), where delta(1) = 1 and delta(m) = ties for m > 1; then the next set, until one completion is left.
    ties = 0 is Plackett-Luce, under which tied data has no probability and is refused. Margins and soft labels are for pairs.
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
        hard = "preference" not in batch.columns
        if self.ties == 0 and hard and bool((ranks.sort(-1).values.diff(dim=-1) == 0).any()):
            raise ValueError("the data has ties, which Plackett-Luce with ties=0 gives no probability; set objective.ties=0.5")
        yield Term("loss", self._expected(scores, ranks, batch).sum(), "group")
        yield Term("centre", scores.sum(-1).square().sum(), "group", self.centre)
        better = ranks[:, :, None] < ranks[:, None, :]  # (M, K, K)
        gap = scores[:, :, None] - scores[:, None, :]
        right = ((gap > 0).float() + 0.5 * (gap == 0).float()) * better
        yield Term("accuracy", (right.sum((1, 2)) / better.sum((1, 2)).clamp(min=1)).sum(), "group", 0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """All scores are zero before the first update, so every comparison is a coin toss."""
        if metrics["centre"] > 1e-6:
            yield f"a reward model with a fresh head should score everything zero, got a squared sum of {metrics['centre']:.2e}"

    def _expected(self, scores: Tensor, ranks: Tensor, batch: Batch) -> Tensor:
        """The loss of each group, (M,): of its ranking, or the mean of both orders of a pair under its soft label."""
        if not {"margin", "preference"} & batch.columns.keys():
            return self._nll(scores, ranks)
        if batch.group != 2:
            raise ValueError(f"margins and soft labels are for pairs, got rankings of {batch.group}; leave the two columns out")
        first = _first(batch, "preference", 1.0)
        scores = scores - F.pad(_first(batch, "margin", 0.0)[:, None], (0, 1))  # taken off the first alone
        if "preference" in batch.columns:
            ranks = ranks.new_tensor([1, 2]).expand_as(ranks)  # the label speaks of the first row, whatever it is ranked
        return first * self._nll(scores, ranks) + (1 - first) * self._nll(scores, ranks.flip(-1))

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


@dataclass(frozen=True)
class StepReward:
    """Cross-entropy of sigmoid(score) with the label of each step of a reply, nats per step: a process reward model.

    The batch's mask holds exactly the tokens that end a step, so that a step is what a token is elsewhere. The column
    `step_label` (N, T) is 1 at the end of a right step, 0 at that of a wrong one, or between (Lightman et al., 2305.20050).
    """

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"value"})

    @property
    def requires(self) -> frozenset[str]:
        return frozenset({"step_label"})

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        assert out.value is not None
        scores, labels = out.value[batch.mask], batch.columns["step_label"][batch.mask].to(out.value.dtype)  # (M,)
        yield Term("loss", F.binary_cross_entropy_with_logits(scores, labels, reduction="sum"))
        yield Term("accuracy", _agreement(scores, labels - 0.5).sum(), "token", 0.0)

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """A head of zeros gives every step one half: the loss is log 2."""
        if abs(metrics["loss"] - math.log(2)) > 1e-4:
            yield f"a process reward model with a fresh head should start at log 2 = 0.6931, got {metrics['loss']:.4f}"


def _first(batch: Batch, column: str, default: float) -> Tensor:
    """A pair's own number, (M,), which stands in the column at its first row; the default where there is no such column."""
    found = batch.columns.get(column)
    if found is None:
        return torch.full((len(batch.tokens) // 2,), default, device=batch.tokens.device)
    return found.view(-1, 2)[:, 0]


def _agreement(gap: Tensor, target: Tensor) -> Tensor:
    """1 where both have one sign, 0 where they have not, one half where either is zero."""
    return 0.5 + 0.5 * gap.sign() * target.sign()


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

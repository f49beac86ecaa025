"""What the loop and the objectives exchange: Batch, Term, and the three protocols of training.

Axes: N rows, T tokens, G rows of one group (a pair, a ranking, the samples of one prompt).
Entry t of any (N, T) tensor speaks of token t given the tokens before it, so nothing is ever shifted twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from torch import Tensor

from trueline.models.policy import Outputs

Per = Literal["token", "row", "group", "max"]  # max: the largest over the step, a metric only


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A metric that must not pass a bound at this step, or the run stops; `meaning` says why, and what to check."""

    name: str
    most: float
    meaning: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Right-padded rows, the trained tokens among them, and whatever columns an annotator has added.

    Rows of one group are neighbours; `group` is their number. `columns` are (N,), (N, T) or (N, T, K), and go with their rows.
    `metrics` are facts about the batch (a reward, an accuracy) that are logged with the step; `limits` are what must hold.
    A batch of no rows is a step that is not made.
    """

    tokens: Tensor  # (N, T) int64
    mask: Tensor  # (N, T) bool: token t is trained on
    group: int = 1
    temperature: float = 1.0  # at which rows were sampled; all their log-probabilities are taken there (algorithms 7.0 rule 5)
    columns: Mapping[str, Tensor] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    limits: tuple[Limit, ...] = ()

    def __post_init__(self) -> None:
        if self.tokens.shape != self.mask.shape or self.tokens.ndim != 2:
            raise ValueError(f"tokens {tuple(self.tokens.shape)} and mask {tuple(self.mask.shape)} must both be (N, T)")
        if len(self.tokens) % self.group:
            raise ValueError(f"{len(self.tokens)} rows do not divide into groups of {self.group}")

    def count(self, per: Per) -> float:
        """How many tokens, rows or groups the whole batch has: the denominators of its terms."""
        rows = len(self.tokens)
        return float({"token": int(self.mask.sum()), "row": rows, "group": rows // self.group, "max": 1}[per])

    def split(self, rows: int) -> Iterator[Batch]:
        """Micro-batches of at most `rows` rows that never cut a group; rows <= 0 means no split."""
        size = self._piece(rows)
        for start in range(0, len(self.tokens), size):
            yield self.take(slice(start, start + size))

    def pieces(self, rows: int) -> int:
        """How many micro-batches `split` gives."""
        return -(-len(self.tokens) // self._piece(rows))

    def _piece(self, rows: int) -> int:
        return max(1, len(self.tokens)) if rows <= 0 else max(self.group, rows // self.group * self.group)

    def take(self, rows: slice | Tensor) -> Batch:
        """These rows only, with padding that none of them needs cut away."""
        mask, tokens = self.mask[rows], self.tokens[rows]
        columns = {k: v[rows] for k, v in self.columns.items()}
        used = columns.get("length")
        width = int(used.max()) if used is not None and len(used) else tokens.shape[1]
        columns = {k: v[:, :width] if v.ndim > 1 else v for k, v in columns.items()}
        return replace(self, tokens=tokens[:, :width], mask=mask[:, :width], columns=columns)

    def having(self, **columns: Tensor) -> Batch:
        """The same batch with more columns."""
        return replace(self, columns={**self.columns, **columns})

    def logging(self, **metrics: float) -> Batch:
        """The same batch with more metrics."""
        return replace(self, metrics={**self.metrics, **metrics})

    def to(self, device: torch.device) -> Batch:
        """The same batch on another device."""
        columns = {k: v.to(device) for k, v in self.columns.items()}
        return replace(self, tokens=self.tokens.to(device), mask=self.mask.to(device), columns=columns)

    def last(self) -> Tensor:
        """Index (N,) of the last trained token of each row: where a reward model's score is read."""
        positions = torch.arange(self.mask.shape[1], device=self.mask.device)
        return (self.mask * positions).amax(-1)


@dataclass(frozen=True, slots=True)
class Term:
    """One summand of a loss: weight * total / count(per), counted over the WHOLE step. Weight 0 makes it a metric only."""

    name: str
    total: Tensor
    per: Per = "token"
    weight: float = 1.0


class Model(Protocol):
    """What an objective is computed on: a Policy or a RewardModel."""

    def __call__(self, tokens: Tensor, mask: Tensor, needs: frozenset[str], temperature: float = 1.0) -> Outputs: ...


@runtime_checkable
class Objective(Protocol):
    """A sum over groups of differentiable terms. Batch-wide statistics are annotations, so that splitting changes nothing."""

    @property
    def needs(self) -> frozenset[str]: ...  # columns of Outputs: logp, entropy, value

    @property
    def requires(self) -> frozenset[str]: ...  # columns of Batch that an annotator must have written

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]: ...

    def at_start(self, metrics: Mapping[str, float]) -> Iterator[str]:
        """What is wrong with the first step's metrics, before any update (algorithms 7.0 rule 9); nothing when all is well."""
        ...


Annotate = Callable[[Batch], Batch]  # no gradient, sees the whole batch, adds columns


class Source(Protocol):
    """Batches in an order that is a function of the step alone, so that a run can be taken up again at any step."""

    def __len__(self) -> int: ...  # steps in all

    def batches(self, start: int) -> Iterator[Batch]: ...  # the batches of steps start, start + 1, ...

    def resumable(self, step: int) -> bool:
        """Whether a run may be taken up at this step (a rollout that is still in use cannot be made again)."""
        ...


def pad_rows(rows: Sequence[Sequence[int]], masks: Sequence[Sequence[bool]], pad: int, group: int = 1) -> Batch:
    """Stack rows of different lengths, padded on the right; records each row's own length as the column `length`."""
    lengths = torch.tensor([len(r) for r in rows])
    width = int(lengths.max())
    tokens = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.bool)
    for i, (row, row_mask) in enumerate(zip(rows, masks, strict=True)):
        tokens[i, : len(row)] = torch.tensor(row, dtype=torch.long)
        mask[i, : len(row)] = torch.tensor(row_mask, dtype=torch.bool)
    mask[:, 0] = False  # the first token has nothing before it to be predicted from
    return Batch(tokens=tokens, mask=mask, group=group, columns={"length": lengths})

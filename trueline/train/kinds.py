"""Kinds of rows side by side in every step: what must change and what must not, each with a mean of its own.

Hardening a model sums losses over different data, as w_1 E[loss of harmful rows] + w_2 E[loss of benign rows]. A step here
holds rows of every kind, marked by a column (N,) of the kind's name, 1 or 0. The column `weight` makes the mean over all
trained tokens that sum: a token of kind k weighs w_k times all trained tokens over those of its kind. It is counted over the
whole step, so that a split into micro-batches changes nothing. `along` (N,) says how far the run is, from 0 to below 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from random import Random

import torch

from trueline.models.tokens import Example
from trueline.train.batch import Annotate, Batch, pad_rows

Draw = Callable[[int], Sequence[Example]]  # the rows of a step


@dataclass(frozen=True)
class Kind:
    """Rows of one kind, and what their mean loss weighs."""

    rows: Draw
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Kinds:
    """A batch a step: the rows of every kind, one kind after another. What draws them must be a function of the step."""

    kinds: Mapping[str, Kind]
    steps: int
    pad: int = 0
    annotate: Annotate = field(default=lambda batch: batch)

    def __len__(self) -> int:
        return self.steps

    def resumable(self, step: int) -> bool:
        return True

    def batches(self, start: int) -> Iterator[Batch]:
        for step in range(start, self.steps):
            drawn = {name: kind.rows(step) for name, kind in self.kinds.items()}
            examples = [example for rows in drawn.values() for example in rows]
            batch = pad_rows([e.ids for e in examples], [e.mask for e in examples], self.pad)
            yield self.annotate(self._marked(batch, [name for name, rows in drawn.items() for _ in rows], step))

    def _marked(self, batch: Batch, names: Sequence[str], step: int) -> Batch:
        trained = batch.mask.sum(-1).float()  # (N,)
        weight = torch.zeros(len(names))
        columns = {}
        for name, kind in self.kinds.items():
            own = torch.tensor([float(other == name) for other in names])
            weight += own * kind.weight * float(trained.sum()) / max(1.0, float((own * trained).sum()))
            columns[name] = own
        along = torch.full((len(names),), step / self.steps)
        return batch.having(**columns, weight=weight, along=along)


def in_turn(examples: Sequence[Example], rows: int, seed: str) -> Draw:
    """Draw `rows` examples a step, every one once before any again, in an order that is new each time."""
    if not examples:
        raise ValueError("there are no examples to draw from; the data is empty")

    def draw(step: int) -> list[Example]:
        return [examples[i] for i in places(len(examples), rows, step, seed)]

    return draw


def places(count: int, rows: int, step: int, seed: str) -> list[int]:
    """Which of `count` things the step's rows are."""
    spots = (divmod(at, count) for at in range(step * rows, (step + 1) * rows))
    return [_order(count, f"kinds/{seed}/{epoch}")[index] for epoch, index in spots]


@lru_cache(maxsize=8)
def _order(count: int, seed: str) -> list[int]:
    order = list(range(count))
    Random(seed).shuffle(order)
    return order

"""One side of a comparison: a loss and its gradient, and how far two sides are apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from tests.parity.tensors import Speaker
from trueline.models.policy import Outputs
from trueline.train.batch import Batch, Objective, Term
from trueline.train.loop import gradients


@dataclass(frozen=True)
class Side:
    """A loss, and its gradient with respect to all that the model is made of, flat, float64.

    Of an estimator of advantages: their mean square, and the advantages.
    """

    loss: float | None  # None: not to be compared
    gradient: Tensor

    def times(self, factor: float) -> Side:
        """The same side on another scale."""
        return Side(None if self.loss is None else factor * self.loss, factor * self.gradient)

    def plus(self, other: Side) -> Side:
        """The sum of two losses."""
        loss = None if self.loss is None or other.loss is None else self.loss + other.loss
        return Side(loss, self.gradient + other.gradient)

    def without_loss(self) -> Side:
        """The gradient alone, where the values are on purpose not the same: those of a surrogate mean nothing."""
        return Side(None, self.gradient)

    @classmethod
    def of_advantages(cls, advantages: Tensor) -> Side:
        """Advantages (N,) as a side."""
        return cls(float(advantages.double().square().mean()), advantages.double())


class Without:
    """An objective less some of its terms, by name."""

    def __init__(self, objective: Objective, *names: str) -> None:
        self.objective, self.names = objective, names
        self.needs, self.requires, self.at_start = objective.needs, objective.requires, objective.at_start

    def __call__(self, out: Outputs, batch: Batch) -> Iterator[Term]:
        return (term for term in self.objective(out, batch) if term.name not in self.names)


@dataclass(frozen=True)
class Gap:
    """How far two sides are apart, relative to the larger: of the losses, and of the gradients' largest entries."""

    loss: float | None  # None: not compared
    gradient: float

    def within(self, limit: float) -> bool:
        return (self.loss or 0.0) <= limit and self.gradient <= limit

    def or_larger(self, other: Gap) -> Gap:
        loss = None if self.loss is None or other.loss is None else max(self.loss, other.loss)
        return Gap(loss, max(self.gradient, other.gradient))


def gap(one: Side, other: Side) -> Gap:
    """The distance of two sides; a gradient that is zero or no number is a mistake of the measurement."""
    sizes = [float(side.gradient.abs().max()) for side in (one, other)]
    if not (all(map(math.isfinite, sizes)) and max(sizes) > 0):
        raise ValueError(f"there is nothing to compare: the largest entries of the two gradients are {sizes}")
    apart = float((one.gradient - other.gradient).abs().max()) / max(sizes)
    if one.loss is None or other.loss is None:
        return Gap(None, apart)
    if not (math.isfinite(one.loss) and math.isfinite(other.loss)):
        raise ValueError(f"there is nothing to compare: the two losses are {one.loss} and {other.loss}")
    scale = max(abs(one.loss), abs(other.loss))
    return Gap(abs(one.loss - other.loss) / scale if scale else 0.0, apart)


def ours(speaker: Speaker, objective: Objective, batch: Batch, micro_rows: int = 0) -> Side:
    """What the loop computes of this batch, in one piece or split."""
    _clear(speaker)
    metrics = gradients(speaker.ours, objective, batch, micro_rows)
    return Side(metrics["total"], _gradient(speaker))


def theirs(speaker: Speaker, *losses: Callable[[], Tensor], divided: bool = False) -> Side:
    """What TRL computes: the mean of these losses, one a micro-batch, as `Trainer.training_step` accumulates them.

    Their sum where they are `divided` already: by the number of micro-batches, or by a count over the whole step.
    """
    _clear(speaker)
    total = 0.0
    for loss in losses:
        value = loss() / (1 if divided else len(losses))
        value.backward()
        total += float(value.detach())
    return Side(total, _gradient(speaker))


def _clear(speaker: Speaker) -> None:
    for leaf in speaker.leaves:
        leaf.grad = None


def _gradient(speaker: Speaker) -> Tensor:
    """All gradients, flat; a weight that the loss does not touch has zeros."""
    flat = [(torch.zeros_like(leaf) if leaf.grad is None else leaf.grad).double().flatten() for leaf in speaker.leaves]
    return torch.cat(flat)

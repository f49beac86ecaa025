"""The one loop. It knows batches, terms and steps, and no algorithm's name.

    for batch in source:            what we see, annotated
        for micro in batch.split:   gradients add up to those of the whole batch, whatever the split
            weight * total / count  each term by its own denominator, counted over the whole step
        optimiser step, metrics, checkpoint

Resume: a checkpoint holds weights, momenta and the step; sources are functions of the step; so a run that was killed goes on
as if nothing had happened, from the last step that its source can be taken up at.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from trueline.models.checkpoint import Checkpoint, latest_checkpoint, save_checkpoint
from trueline.train.batch import Batch, Objective, Source
from trueline.train.optim import Optim, Optimizer

Metrics = dict[str, float]
Observer = Callable[[int, Mapping[str, float]], None]


class InvariantError(RuntimeError):
    """What must hold before the first update does not hold: going on would train something else than was asked."""


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Where a run reports to and what it keeps."""

    micro_rows: int = 0  # rows per forward pass; 0: all rows of a step at once. Changes memory, never the gradient
    checkpoints: Path | None = None
    save_every: float = 20.0  # seconds between checkpoints
    observe: Observer = field(default=lambda step, metrics: None)
    on_resume: Callable[[int], None] = field(default=lambda step: None)  # told the step from which metrics are written again


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run of the loop came to."""

    steps: int
    tokens: int  # tokens that passed through the model, padding not counted
    seconds: float
    last: Metrics


def train(model: nn.Module, objective: Objective, source: Source, optim: Optim, loop: Loop = Loop()) -> Trained:
    """Train `model` on every batch of `source`; return what it came to. Raises InvariantError at step 0."""
    optimizer = Optimizer(model, optim)
    state = _restore(model, optimizer, loop)
    start, tokens, seconds = int(state["step"]), int(state["tokens"]), float(state["seconds"])
    loop.on_resume(start)
    steps, metrics = len(source), Metrics()
    began = saved = time.perf_counter()
    model.train()
    for step, batch in enumerate(source.batches(start), start):
        batch = batch.to(next(model.parameters()).device)
        missing = objective.requires - batch.columns.keys()
        if missing:
            raise ValueError(
                f"{type(objective).__name__} requires the columns {sorted(missing)}; add the annotations that write them"
            )
        metrics = {**batch.metrics, **gradients(model, objective, batch, loop.micro_rows)}
        if step == 0:
            faults = list(objective.at_start(metrics))
            if faults:
                raise InvariantError("; ".join(faults))
        metrics["grad_norm"] = optimizer.step(optim.scale(step, steps))
        tokens += _real_tokens(batch)
        now = time.perf_counter()
        metrics |= {"tokens": float(tokens), "seconds": seconds + now - began}
        loop.observe(step + 1, metrics)
        due = now - saved > loop.save_every or step + 1 == steps
        if loop.checkpoints is not None and due and source.resumable(step + 1):
            _save(loop.checkpoints, step + 1, model, optimizer, tokens, seconds + now - began)
            saved = time.perf_counter()
    model.eval()
    return Trained(steps, tokens, seconds + time.perf_counter() - began, metrics)


def gradients(model: nn.Module, objective: Objective, batch: Batch, micro_rows: int = 0) -> Metrics:
    """Add the gradient of the objective on the whole batch to the model's; return each term's value, and their sum as `total`.

    The split into micro-batches changes nothing but memory: every denominator is counted over the whole batch first.
    """
    counts = {per: max(1.0, batch.count(per)) for per in ("token", "row", "group")}
    sums: Metrics = {}
    weights: Metrics = {}
    for micro in batch.split(micro_rows):
        out = model(micro.tokens, micro.mask, objective.needs, micro.temperature)
        loss = torch.zeros((), device=batch.tokens.device)
        for term in objective(out, micro):
            value = term.total / counts[term.per]
            sums[term.name] = sums.get(term.name, 0.0) + float(value.detach())
            weights[term.name] = term.weight
            if term.weight:
                loss = loss + term.weight * value
        loss.backward()
    total = sum(weights[name] * value for name, value in sums.items())
    if not math.isfinite(total):
        raise FloatingPointError(
            f"the loss is {total} ({', '.join(f'{k}={v:.3g}' for k, v in sums.items())}); no weight was changed"
        )
    return {**sums, "total": total}


def _real_tokens(batch: Batch) -> int:
    return int(batch.columns["length"].sum()) if "length" in batch.columns else batch.tokens.numel()


def _save(folder: Path, step: int, model: nn.Module, optimizer: Optimizer, tokens: int, seconds: float) -> None:
    tensors = {f"model.{n}": p for n, p in model.named_parameters()}
    tensors |= {f"optimizer.{n}": t for n, t in optimizer.state().items()}
    save_checkpoint(folder, Checkpoint(step, tensors, {"tokens": tokens, "seconds": seconds}))


@torch.no_grad()
def _restore(model: nn.Module, optimizer: Optimizer, loop: Loop) -> Mapping[str, object]:
    found = None if loop.checkpoints is None else latest_checkpoint(loop.checkpoints)
    if found is None:
        return {"step": 0, "tokens": 0, "seconds": 0.0}
    for name, parameter in model.named_parameters():
        parameter.copy_(found.tensors[f"model.{name}"])
    prefix = "optimizer."
    optimizer.restore({n.removeprefix(prefix): t for n, t in found.tensors.items() if n.startswith(prefix)})
    return {"step": found.step, **found.note}

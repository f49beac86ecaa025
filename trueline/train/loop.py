"""The one loop. It knows batches, terms and steps, and no algorithm's name.

    for batch in source:            what we see, annotated
        for micro in batch.split:   gradients add up to those of the whole batch, whatever the split
            weight * total / count  each term by its own denominator, counted over the whole step
        optimiser step, metrics, checkpoint

Resume: a checkpoint holds weights, momenta, what keepers keep, and the step; sources are functions of the step; so a run
that was killed goes on as if nothing had happened, from the last step that its source can be taken up at. SIGTERM makes the
loop save at the next such step, and end.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor, nn

from trueline.core import stopping
from trueline.train.batch import Batch, Objective, Source
from trueline.train.crew import Crew, Parts, Work, accumulate
from trueline.train.kept import latest, under
from trueline.train.optim import Optim, Optimizer

if TYPE_CHECKING:
    from trueline.cluster.mesh import Mesh
    from trueline.train.team import Team

Metrics = dict[str, float]
Observer = Callable[[int, Mapping[str, float]], None]


class InvariantError(RuntimeError):
    """What must hold before an update does not hold: going on would train something else than was asked."""


@runtime_checkable
class Keeper(Protocol):
    """What the next step depends on beside weights and momenta: a controller's weight, a running mean.

    It is written into every checkpoint as the tensors `keep.NAME.KEY`, and put back when a run is taken up.
    """

    def state(self) -> dict[str, Tensor]: ...

    def restore(self, state: Mapping[str, Tensor]) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Beside:
    """A second objective on batches of its own, whose gradient is added at every step: replay, PPO's ptx."""

    objective: Objective
    source: Source  # at least as many batches as the main source has steps
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Loop:
    """Where a run reports to and what it keeps."""

    micro_rows: int = 0  # rows per forward pass; 0: all rows of a step at once. Changes memory, never the gradient
    checkpoints: Path | None = None
    save_every: float = 20.0  # seconds between checkpoints
    observe: Observer = field(default=lambda step, metrics: None)
    on_resume: Callable[[int], None] = field(default=lambda step: None)  # told the step from which metrics are written again
    say: Callable[[str], None] = field(default=lambda text: None)  # told what a person at the run should know
    keep: Mapping[str, Keeper] = field(default_factory=dict)  # by name
    beside: Mapping[str, Beside] = field(default_factory=dict)  # by name; their metrics are logged as NAME_METRIC
    mesh: Mesh | None = None  # the ranks that share the weights; None: this machine's cores, by a crew


@dataclass(frozen=True, slots=True)
class Trained:
    """What a run of the loop came to."""

    steps: int
    tokens: int  # tokens that passed through the model, padding not counted
    seconds: float
    last: Metrics  # of the last step; empty where a run was taken up after it: the log has it


def train(model: nn.Module, objective: Objective, source: Source, optim: Optim, loop: Loop = Loop()) -> Trained:
    """Train `model` on every batch of `source`; return what it came to.

    Raises InvariantError before an update, and Preempted where SIGTERM came and a checkpoint is written.
    """
    work = {"": (objective, 1.0), **{name: (other.objective, other.weight) for name, other in loop.beside.items()}}
    with stopping.put_off(when=loop.checkpoints is not None), _crew(model, work, optim, loop) as crew:
        return _train(model, crew, objective, source, optim, loop)


def _crew(model: nn.Module, work: Mapping[str, Work], optim: Optim, loop: Loop) -> Crew | Team:
    """Who trains: the ranks of a mesh, or the cores of this machine."""
    if loop.mesh is not None:
        from trueline.train.described import UntoldError
        from trueline.train.team import Team

        try:
            return Team(loop.mesh, model, work, optim)
        except UntoldError as reason:
            loop.say(f"{reason}; the other ranks wait")
    return Crew(model, work, Optimizer(model, optim))


def _train(model: nn.Module, crew: Crew | Team, objective: Objective, source: Source, optim: Optim, loop: Loop) -> Trained:
    state = _restore(crew, loop)
    start, tokens, seconds = int(state["step"]), int(state["tokens"]), float(state["seconds"])
    loop.on_resume(start)
    steps, metrics, told = len(source), Metrics(), False
    began = saved = time.perf_counter()
    model.train()
    device = next(model.parameters()).device
    beside = {name: other.source.batches(start) for name, other in loop.beside.items()}
    for step, batch in enumerate(source.batches(start), start):
        others = {name: next(batches) for name, batches in beside.items()}
        if len(batch.tokens):
            batch = batch.to(device)
            missing = objective.requires - batch.columns.keys()
            if missing:
                raise ValueError(
                    f"{type(objective).__name__} requires the columns {sorted(missing)}; add the annotations that write them"
                )
            started = time.perf_counter()
            batches = {"": batch, **{name: other.to(device) for name, other in others.items()}}
            found = crew.gradients(batches, step, loop.micro_rows)
            metrics = {**batch.metrics, **_metrics(found.pop(""))}
            faults = [*(objective.at_start(metrics) if step == 0 else ()), *_passed(batch, metrics)]
            if faults:
                raise InvariantError("; ".join(faults))
            for name, parts in found.items():
                metrics |= {f"{name}_{key}": value for key, value in _metrics(parts).items()}
            metrics["grad_norm"] = crew.step(optim.scale(step, steps))
            tokens += _real_tokens(batch) + sum(map(_real_tokens, others.values()))
            now = time.perf_counter()
            metrics |= {"tokens": float(tokens), "seconds": seconds + now - began, "seconds_training": now - started}
            loop.observe(step + 1, metrics)
        now = time.perf_counter()
        stop = loop.checkpoints is not None and stopping.asked()
        due = stop or now - saved > loop.save_every or step + 1 == steps
        if loop.checkpoints is not None and due and source.resumable(step + 1):
            kept = {f"{name}.{key}": t for name, keeper in loop.keep.items() for key, t in keeper.state().items()}
            crew.save(loop.checkpoints, step + 1, kept, {"tokens": tokens, "seconds": seconds + now - began})
            saved = time.perf_counter()
            if stop:
                raise stopping.Preempted(f"step {step + 1} of {steps} is saved in {loop.checkpoints}")
        elif stop and not told:
            told = True
            loop.say(f"SIGTERM: a run cannot be taken up at step {step + 1} of {steps}; it goes on to the next where it can")
    model.eval()
    return Trained(steps, tokens, seconds + time.perf_counter() - began, metrics)


def gradients(model: nn.Module, objective: Objective, batch: Batch, micro_rows: int = 0, weight: float = 1.0) -> Metrics:
    """Add `weight` times the gradient of the objective on the whole batch to the model's, in this process.

    Returns each term's value, and their weighted sum as `total`.

    The split into micro-batches changes nothing but memory: every denominator is counted over the whole batch first.
    """
    counts = {per: max(1.0, batch.count(per)) for per in ("token", "row", "group")}
    return _metrics(accumulate(model, objective, batch, counts, micro_rows, weight))


def _metrics(found: Parts) -> Metrics:
    total = sum(found.weights[name] * value for name, value in found.sums.items())
    if not math.isfinite(total):
        terms = ", ".join(f"{k}={v:.3g}" for k, v in found.sums.items())
        raise FloatingPointError(f"the loss is {total} ({terms}); no weight was changed")
    return {**found.sums, **found.largest, "total": total}


def _real_tokens(batch: Batch) -> int:
    return int(batch.columns["length"].sum()) if "length" in batch.columns else batch.tokens.numel()


def _passed(batch: Batch, metrics: Metrics) -> list[str]:
    """The batch's limits that do not hold; a metric that the objective does not have is not limited."""
    return [
        f"{limit.name} is {metrics[limit.name]:.2e}, at most {limit.most:.0e} is expected: {limit.meaning}"
        for limit in batch.limits
        if limit.name in metrics and not metrics[limit.name] <= limit.most
    ]


def _restore(crew: Crew | Team, loop: Loop) -> Mapping[str, Any]:
    found = None if loop.checkpoints is None else latest(loop.checkpoints)
    if found is None:
        return {"step": 0, "tokens": 0, "seconds": 0.0}
    crew.restore(found)
    for name, keeper in loop.keep.items():
        keeper.restore(under(f"{name}.", found.beside))
    return {"step": found.step, **found.note}

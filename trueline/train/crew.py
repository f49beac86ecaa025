"""Gradients by one process for each core, of one thread each, on the same weights in shared memory.

Two threads of one process wait for each other at every small operation, and collapse when another program is busy; two
processes meet once a step. The others are forked when training begins: they have the model and the objectives as they were,
see every later weight where it is written, and are sent rows. What a step's gradient is does not depend on how many there
are, but for rounding: terms are divided by counts of the whole batch, and parts are added in a fixed order.

On an accelerator, with one thread, and off the main thread there is a crew of one, and nothing is forked.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from trueline.models.forked import Worker, crew_for, shared_tensor
from trueline.train.batch import Batch, Objective

FEW = 96  # tokens in a step: for fewer, sending them costs more than it saves
Counts = Mapping[str, float]


@dataclass(slots=True)
class Parts:
    """What the terms of an objective came to on some of a batch's rows."""

    sums: dict[str, float] = field(default_factory=dict)  # each over the count of the whole batch
    weights: dict[str, float] = field(default_factory=dict)  # of the term in the loss
    largest: dict[str, float] = field(default_factory=dict)  # terms that are `per` max

    def add(self, other: Parts) -> None:
        """Take in what another part came to."""
        for name, value in other.sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
        for name, value in other.largest.items():
            self.largest[name] = max(self.largest.get(name, value), value)
        self.weights |= other.weights


def accumulate(
    model: nn.Module, objective: Objective, batch: Batch, counts: Counts, micro_rows: int = 0, weight: float = 1.0
) -> Parts:
    """Add `weight` times the gradient of an objective on these rows to the model's; `counts` are those of the whole step."""
    found = Parts()
    for micro in batch.split(micro_rows):
        out = model(micro.tokens, micro.mask, objective.needs, micro.temperature)
        loss = torch.zeros((), device=batch.tokens.device)
        for term in objective(out, micro):
            if term.per == "max":
                found.add(Parts(largest={term.name: float(term.total)}))
                continue
            value = term.total / counts[term.per]
            found.add(Parts({term.name: float(value.detach())}, {term.name: term.weight * weight}))
            if term.weight:
                loss = loss + term.weight * weight * value
        loss.backward()
    return found


class Crew:
    """The processes that share a step's rows. Use it as a context: they end with it."""

    def __init__(self, model: nn.Module, objectives: Mapping[str, Objective]) -> None:
        self.model, self.objectives = model, objectives
        self.seed = torch.initial_seed()
        self.trained = [p for p in model.parameters() if p.requires_grad]
        size = crew_for(self.trained[0].device)
        self.shared: list[list[Tensor]] = []  # of each helper: where it writes the gradient of each trained parameter
        self.helpers: list[Worker] = []
        if size > 1:
            _into_shared_memory(model, self.trained)
            self.shared = [_like(self.trained) for _ in range(size - 1)]
            self.helpers = [Worker(self._server(i)) for i in range(size - 1)]

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for helper in self.helpers:
            helper.end()

    def gradients(self, name: str, batch: Batch, step: int, micro_rows: int = 0, weight: float = 1.0) -> Parts:
        """As `accumulate`, for the objective `name` on a whole batch, by all."""
        counts = {per: max(1.0, batch.count(per)) for per in ("token", "row", "group")}
        parts = _shares(batch, 1 + len(self.helpers))
        told = {"objective": name, "counts": counts, "weight": weight, "step": step, "micro_rows": micro_rows // len(parts)}
        if len(parts) == 1:
            return self._compute(told | {"micro_rows": micro_rows}, batch, part=0)
        for i, rows in enumerate(parts[1:]):
            self.helpers[i].send(_packed(told, self.model, batch.take(rows)))
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            found = self._compute(told, batch.take(parts[0]), part=0)
            for i, rows in enumerate(parts[1:]):
                answer = self.helpers[i].receive()
                if answer is None:  # it died: its part is done here, where an error can be seen, and another takes its place
                    found.add(self._compute(told, batch.take(rows), part=i + 1))
                    self.helpers[i] = Worker(self._server(i))
                    continue
                said = json.loads(answer)
                found.add(Parts(said["sums"], said["weights"], said["largest"]))
                self._add(self.shared[i], set(said["absent"]))
        finally:
            torch.set_num_threads(threads)
        return found

    def _compute(self, told: Mapping[str, Any], batch: Batch, part: int) -> Parts:
        torch.manual_seed(hash((self.seed, told["step"], part)))  # dropout: a run that is taken up again draws as it would have
        objective = self.objectives[told["objective"]]
        return accumulate(self.model, objective, batch, told["counts"], told["micro_rows"], told["weight"])

    def _add(self, gradients: Sequence[Tensor], absent: set[int]) -> None:
        present = [i for i in range(len(gradients)) if i not in absent]
        for i in present:
            if self.trained[i].grad is None:
                self.trained[i].grad = torch.zeros_like(self.trained[i])
        torch._foreach_add_([self.trained[i].grad for i in present], [gradients[i] for i in present])

    def _server(self, index: int) -> Callable[[bytes], bytes]:
        """What a helper does with a message."""

        def serve(message: bytes) -> bytes:
            told, batch = _unpacked(message, self.model)
            for parameter in self.trained:
                parameter.grad = None
            found = self._compute(told, batch, part=index + 1)
            absent = [i for i, p in enumerate(self.trained) if p.grad is None]
            for parameter, to in zip(self.trained, self.shared[index], strict=True):
                if parameter.grad is not None:
                    to.copy_(parameter.grad)
            said = {"sums": found.sums, "weights": found.weights, "largest": found.largest, "absent": absent}
            return json.dumps(said).encode()

        return serve


def _shares(batch: Batch, parts: int) -> list[Tensor]:
    """Rows of each part, groups whole, with about as many tokens each: the longest group goes to who has least."""
    groups = len(batch.tokens) // batch.group
    lengths = batch.columns["length"] if "length" in batch.columns else batch.mask.sum(-1)
    cost = lengths.view(groups, batch.group).sum(-1).tolist()
    if groups < parts or sum(cost) < FEW:
        parts = 1
    if parts == 1:
        return [torch.arange(len(batch.tokens))]
    chosen: list[list[int]] = [[] for _ in range(parts)]
    load_ = [0.0] * parts
    for g in sorted(range(groups), key=lambda g: -cost[g]):
        least = load_.index(min(load_))
        chosen[least].append(g)
        load_[least] += cost[g]
    return [torch.tensor([g * batch.group + k for g in sorted(part) for k in range(batch.group)]) for part in chosen]


def _packed(told: Mapping[str, Any], model: nn.Module, batch: Batch) -> bytes:
    """A message: a line of JSON, then the batch's tensors."""
    tensors = {"tokens": batch.tokens, "mask": batch.mask} | {f"column.{k}": v for k, v in batch.columns.items()}
    training = "".join("1" if m.training else "0" for m in model.modules())
    head = {**told, "group": batch.group, "temperature": batch.temperature, "training": training}
    return json.dumps(head).encode() + b"\n" + save({k: v.contiguous() for k, v in tensors.items()})


def _unpacked(message: bytes, model: nn.Module) -> tuple[dict[str, Any], Batch]:
    line, _, body = message.partition(b"\n")
    head, tensors = json.loads(line), load(body)
    for module, training in zip(model.modules(), head["training"], strict=True):
        module.training = training == "1"
    columns = {k.removeprefix("column."): v for k, v in tensors.items() if k.startswith("column.")}
    batch = Batch(
        tokens=tensors["tokens"], mask=tensors["mask"], columns=columns, group=head["group"], temperature=head["temperature"]
    )
    return head, batch


def _like(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Shared memory of the same shapes, one after another, each at a multiple of 64 bytes."""
    sizes = [(t.numel() * t.element_size() + 63) // 64 * 64 for t in tensors]
    whole = shared_tensor(sum(sizes))
    parts = whole.split(sizes)
    return [p[: t.numel() * t.element_size()].view(t.dtype).view(t.shape) for p, t in zip(parts, tensors, strict=True)]


def _into_shared_memory(model: nn.Module, trained: Sequence[Tensor]) -> None:
    """Move what changes while training, weights and buffers, to where forked processes see it."""
    moving = [*trained, *(b for b in model.buffers() if b.device.type == "cpu")]
    for tensor, place in zip(moving, _like(moving), strict=True):
        place.copy_(tensor.detach())
        tensor.data = place

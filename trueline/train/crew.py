"""Training steps by one process for each core, of one thread each, on the same weights in shared memory.

Two threads of one process wait for each other at every small operation, and collapse when another program is busy; two
processes meet three times a step: when gradients are there, when their norm is known, when weights have moved. The others are
forked when training begins: they have the model and the objectives as they were, see every later weight where it is written,
and are sent rows. What a step's gradient is does not depend on how many there are, but for rounding: terms are divided by
counts of the whole batch, and parts are added in a fixed order.

On an accelerator, with one thread, and off the main thread there is a crew of one, and nothing is forked.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trueline.models import generate
from trueline.models.allocation import give_back
from trueline.models.checkpoint import Checkpoint, save_checkpoint
from trueline.models.forked import T, Worker, crew_for, expected, helpers_of, note_beside, one_thread, shared_tensor
from trueline.models.policy import Policy
from trueline.train import forward
from trueline.train.batch import Batch, Objective
from trueline.train.kept import Kept, tensors_of
from trueline.train.messages import batches_of, into_shared_memory, like, packed, rows_each, rows_of_parts
from trueline.train.optim import Optimizer

Counts = Mapping[str, float]
Work = tuple[Objective, float]  # an objective, and the weight of its gradient
ANSWERS = {"sample": generate.answer, "read": forward.answer}  # what helpers do beside gradients: (model, told, tensors)


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
    """The processes that share a step's rows and its optimiser. Use it as a context: they end with it."""

    def __init__(self, model: nn.Module, work: Mapping[str, Work], optimizer: Optimizer) -> None:
        self.model, self.work, self.optimizer = model, work, optimizer
        self.seed = torch.initial_seed()
        self.part = 0  # which of the processes this one is
        own = (m for m in model.modules() if m is model or isinstance(m, Policy))
        self.models = list(dict.fromkeys([*own, *expected]))  # which helpers sample from, and read
        self.names = list(optimizer.parameters)
        size = crew_for(next(iter(optimizer.parameters.values())).device)
        self.helpers: list[Worker] = []
        self.hooks: list[RemovableHandle] = []
        self.shares = optimizer.shares(size)
        if size > 1:
            give_back()  # what reading data and a reference has left: every process would hold it
            trained = [optimizer.parameters[n] for n in self.names]
            into_shared_memory([*trained, *(b for b in model.buffers() if b.device.type == "cpu"), *optimizer.state().values()])
            # Each writes its gradients here as soon as they are there, and none is held anywhere else.
            self.written = shared_tensor(size * len(trained)).view(size, -1)  # whether it has, by parameter
            self.gradient = [dict(zip(self.names, like(trained), strict=True)) for _ in range(size)]
            self.hooks = [
                p.register_post_accumulate_grad_hook(self._writer(i, n))
                for i, (n, p) in enumerate(zip(self.names, trained, strict=True))
            ]
            self.helpers = [Worker(self._server(i)) for i in range(1, size)]
            helpers_of.update((m, self) for m in self.models)

    @property
    def count(self) -> int:
        """Helpers beside this process."""
        return len(self.helpers)

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for model in self.models:
            helpers_of.pop(model, None)
        note_beside(sum(helper.held() for helper in self.helpers))
        for helper in self.helpers:
            helper.end()
        for hook in self.hooks:
            hook.remove()

    def gradients(self, batches: Mapping[str, Batch], step: int, micro_rows: int = 0) -> dict[str, Parts]:
        """The gradient of a step, of each piece of work by its name: rows are shared out; gives what the terms came to."""
        size = 1 + self.count
        counts = {k: {per: max(1.0, b.count(per)) for per in ("token", "row", "group")} for k, b in batches.items()}
        parts = [dict[str, Batch]() for _ in range(size)]
        for name, batch in batches.items():
            for part, rows in zip(parts, rows_of_parts(batch, size), strict=False):
                part[name] = batch if rows is None else batch.take(rows)
        told = {"do": "gradients", "counts": counts, "step": step, "micro_rows": rows_each(micro_rows, size)}

        def instead(i: int) -> dict[str, Parts]:
            self.written[i], self.part = 0, i
            try:
                return self._compute(told, parts[i])
            finally:
                self.part = 0

        def read(answer: bytes) -> dict[str, Parts]:
            return {name: Parts(**values) for name, values in json.loads(answer).items()}

        messages = {i: packed(told, self.model, parts[i]) for i in range(1, size) if parts[i]}
        found, *others = self.together(messages, lambda: self._compute(told, parts[0]), instead, read)
        for other in others:
            for name, values in other.items():
                found.setdefault(name, Parts()).add(values)
        return found

    def together(
        self, messages: Mapping[int, bytes], own: Callable[[], T], instead: Callable[[int], T], read: Callable[[bytes], T]
    ) -> list[T]:
        """As `Helpers.together` says."""
        with one_thread(when=self.count > 0):
            for i, message in messages.items():
                self.helpers[i - 1].send(message)
            found = [own()]
            for i in messages:
                answer = self.helpers[i - 1].receive()
                if answer is None:  # it died: its part is done here, where an error can be seen, and another takes its place
                    found.append(instead(i))
                    self.helpers[i - 1] = Worker(self._server(i))
                else:
                    found.append(read(answer))
        return found

    def fresh(self, model: nn.Module, everywhere: bool = True) -> None:
        """As `Helpers.fresh` says: all see the same weights, always."""

    def read(self, model: Any, batch: Batch, reading: forward.Reading, micro_rows: int = 0) -> dict[str, Tensor]:
        """As `Helpers.read` says."""
        return forward.together(self, model, batch, reading, micro_rows)

    def save(self, folder: Path, step: int, beside: Mapping[str, Tensor], note: Mapping[str, object]) -> None:
        """Write a checkpoint; `beside` is what keepers keep."""
        tensors = tensors_of(self.model, self.optimizer) | {f"keep.{name}": t for name, t in beside.items()}
        save_checkpoint(folder, Checkpoint(step, tensors, note))

    def restore(self, found: Kept) -> None:
        """Put back weights and momenta."""
        found.fill(tensors_of(self.model, self.optimizer))

    def message(self, told: Mapping[str, Any], model: nn.Module, tensors: Mapping[str, Tensor]) -> bytes:
        """As `Helpers.message` says."""
        index = next(i for i, m in enumerate(self.models) if m is model)
        return json.dumps({**told, "model": index}).encode() + b"\n" + save(dict(tensors))

    def step(self, scale: float) -> float:
        """Move every weight once, as `Optimizer.step` does, each process its share of them; return the gradient's norm."""
        if not self.helpers:
            return self.optimizer.step(scale)
        with one_thread():
            norm = math.sqrt(sum(float(x) for x in self._all({"do": "join"})))
            self._all({"do": "move", "scale": scale, "shrink": self.optimizer.shrink(norm)})
        self.written.zero_()
        return norm

    def _all(self, told: Mapping[str, Any]) -> list[Any]:
        """Let every process do the same; what each answers."""
        for helper in self.helpers:
            helper.send(packed(told, self.model, {}))
        found = [self._do(told, {})]
        for helper in self.helpers:
            answer = helper.receive()
            if answer is None:
                raise RuntimeError(
                    "a process that trains beside this one was ended while weights were moved, perhaps for want of memory; "
                    "the same command takes the run up at its last checkpoint"
                )
            found.append(json.loads(answer))
        return found

    def _do(self, told: Mapping[str, Any], batches: Mapping[str, Batch]) -> Any:
        """One process's part of something, as what can be written in JSON."""
        if told["do"] == "gradients":
            return {name: asdict(parts) for name, parts in self._compute(told, batches).items()}
        mine = self.shares[self.part]
        if told["do"] == "join":
            self._join(mine)
            return self.optimizer.squared_norm(mine)
        self.optimizer.move(mine, told["scale"], told["shrink"])
        return None

    def _compute(self, told: Mapping[str, Any], batches: Mapping[str, Batch]) -> dict[str, Parts]:
        found = {}
        for name, batch in batches.items():
            # For dropout: a run that is taken up again draws as it would have.
            torch.manual_seed(hash((self.seed, told["step"], self.part, len(found))))
            objective, weight = self.work[name]
            found[name] = accumulate(self.model, objective, batch, told["counts"][name], told["micro_rows"], weight)
        return found

    @torch.no_grad()
    def _join(self, names: Sequence[str]) -> None:
        """Give parameters the sum of what every process wrote, always in the same order."""
        for name in names:
            there = self.written[:, self.names.index(name)].nonzero().flatten().tolist()
            if there:
                first, *others = (self.gradient[i][name] for i in there)
                for other in others:
                    first.add_(other)
                self.optimizer.parameters[name].grad = first

    def _writer(self, index: int, name: str) -> Callable[[Tensor], None]:
        """What is done with a gradient once it is there: put where all see it, and forgotten here."""

        def write(parameter: Tensor) -> None:
            assert parameter.grad is not None
            place = self.gradient[self.part][name]
            if self.written[self.part, index]:
                place.add_(parameter.grad)
            else:
                place.copy_(parameter.grad)
                self.written[self.part, index] = 1
            parameter.grad = None

        return write

    def _server(self, part: int) -> Callable[[bytes], bytes]:
        """What a helper does with a message."""

        def serve(message: bytes) -> bytes:
            self.part = part
            line, _, body = message.partition(b"\n")
            told, tensors = json.loads(line), load(body) if body else {}
            if told["do"] in ANSWERS:
                return save(ANSWERS[told["do"]](self.models[told["model"]], told, tensors))
            return json.dumps(self._do(told, batches_of(told, tensors, self.model))).encode()

        return serve

"""One rank's part of a model that is trained by many: what each does when rank 0 says so (train/team.py).

Every model that is trained, or read at every step, is built from its description and sharded (FSDP2). A rank is given rows of
the step; since gathering a block's weights needs all ranks, each makes as many passes as the one with most rows, the last of
them on rows that count for nothing. To sample, a rank has a whole copy of the policy beside, made anew after every update.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from trueline.cluster import checkpoints
from trueline.cluster.mesh import Mesh
from trueline.cluster.sharding import emptied, fill, gathered, over_whole, put, settled, shard
from trueline.models import generate
from trueline.models.decoder import Decoder
from trueline.train.batch import Batch, Objective
from trueline.train.crew import Parts, accumulate
from trueline.train.described import build, settings_built, units
from trueline.train.forward import here
from trueline.train.kept import tensors_of
from trueline.train.optim import Optimizer, orthogonal


@dataclass
class Part:
    """What this rank holds: its shards of every model, of the optimiser's state, and copies to sample from."""

    mesh: Mesh
    told: list[Mapping[str, Any]] = field(default_factory=list)  # descriptions of the models
    twins: list[nn.Module] = field(default_factory=list)  # the models, sharded; the first is trained
    copies: dict[tuple[int, str], nn.Module] = field(default_factory=dict)  # whole ones, by model and name of the module in it
    work: dict[str, tuple[Objective, float]] = field(default_factory=dict)
    optimizer: Optimizer | None = None

    def open(self, told: Mapping[str, Any], whole: Mapping[str, Tensor]) -> None:
        """Build a model and take this rank's shards of it; `whole` are rank 0's weights and buffers."""
        model = build(told["model"])
        for network, blocks, exact in units(model):
            if network.fast is not None and isinstance(network.model, Decoder):
                network.fast.coming, network.fast.again = True, self.mesh.layout.again
            else:
                network.fast = None  # their own modules are called, where weights are gathered
                if self.mesh.layout.again:
                    network.model.gradient_checkpointing_enable({"use_reentrant": False})
            shard(network, blocks, exact, self.mesh, network.compute_dtype)
        fill(model, whole, self.mesh)
        self.told.append(told["model"])
        self.twins.append(model)

    def prepare(self, told: Mapping[str, Any]) -> None:
        """Make the objectives and the optimiser of the first model."""
        self.work = {name: (settings_built(what), weight) for name, (what, weight) in told["work"].items()}
        whole = partial(_orthogonal, mesh=self.mesh)
        self.optimizer = Optimizer(self.twins[0], settings_built(told["optim"]), whole)

    def gradients(self, told: Mapping[str, Any], batches: Mapping[str, Batch]) -> dict[str, Parts]:
        """Add this rank's part of a step's gradient; what the terms came to on its rows."""
        found, model = {}, self.twins[0]
        for number, (name, batch) in enumerate(batches.items()):
            # For dropout: a run that is taken up again with as many ranks draws as it would have.
            torch.manual_seed(hash((told["seed"], told["step"], self.mesh.place.rank, number)))
            objective, weight = self.work[name]
            batch, rows = batch.to(self.mesh.device), told["micro_rows"]
            idle = self.mesh.place.rank in told["idle"][name]
            found[name] = Parts() if idle else accumulate(model, objective, batch, told["counts"][name], rows, weight)
            for _ in range(told["passes"][name] - (0 if idle else batch.pieces(rows))):
                # For the collectives: what the others do, of what the objective looks at and of nothing else, times nothing.
                accumulate(model, objective, batch.take(slice(0, batch.group)), told["counts"][name], weight=0.0)
        return found

    def step(self, scale: float) -> float:
        """Move this rank's part of every weight; the norm of the whole gradient, the same on every rank."""
        assert self.optimizer is not None
        (squared,) = self.mesh.summed([self.optimizer.squared_norm(self.optimizer.parameters)])
        norm = math.sqrt(squared)
        self.optimizer.move(self.optimizer.parameters, scale, self.optimizer.shrink(norm))
        return norm

    @torch.no_grad()
    def read(self, told: Mapping[str, Any], batch: Batch) -> dict[str, Tensor]:
        """The columns that a reading makes of this rank's rows; none where it was given none of its own."""
        model = self.twins[told["model"]].get_submodule(told["inside"])
        was_training, reading = model.training, settings_built(told["reading"])
        model.eval()
        found = here(model, batch, reading, told["micro_rows"], told["passes"])
        model.train(was_training)
        settled(model)
        idle = self.mesh.place.rank in told["idle"]
        return {} if idle else {name: made.contiguous() for name, made in found.items()}

    def sync(self, told: Mapping[str, Any], into: nn.Module | None = None) -> None:
        """Write the weights as they are now into a whole copy: the one given, or where `everywhere` one of this rank's own."""
        at = (told["model"], told["inside"])
        if into is None and told["everywhere"]:
            into = self.copies.get(at) or self.copies.setdefault(at, self._copy(*at))
        places = {} if into is None else {**dict(into.named_parameters()), **dict(into.named_buffers())}
        with torch.no_grad():
            for name, tensor in gathered(self.twins[at[0]].get_submodule(at[1]), told["standing"]):
                if name in places:
                    places[name].copy_(tensor)

    def sample(self, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Samples from this rank's copy."""
        return generate.answer(self.copies[told["model"], told["inside"]], told, tensors)

    def save(self, folder: Path) -> None:
        """Write this rank's shards of weights and momenta."""
        assert self.optimizer is not None
        checkpoints.write_shards(folder, tensors_of(self.twins[0], self.optimizer))

    def load(self, folder: Path) -> None:
        """Read them, from whatever number of ranks."""
        assert self.optimizer is not None
        checkpoints.read_shards(folder, tensors_of(self.twins[0], self.optimizer))

    def put(self, whole: Mapping[str, Tensor]) -> None:
        """Take this rank's shards of rank 0's tensors."""
        assert self.optimizer is not None
        for name, tensor in tensors_of(self.twins[0], self.optimizer).items():
            put(tensor, whole[name] if self.mesh.first else None, self.mesh)

    def close(self) -> None:
        """Let go of everything."""
        for held in (self.told, self.twins, self.copies, self.work):
            held.clear()
        self.optimizer = None

    def _copy(self, model: int, inside: str) -> nn.Module:
        told = self.told[model]
        for name in filter(None, inside.split(".")):
            told = told[name]
        return emptied(build(told), self.mesh.device)


def said(found: Mapping[str, Parts]) -> dict[str, Any]:
    """What terms came to, as JSON has it."""
    return {name: asdict(parts) for name, parts in found.items()}


def _orthogonal(parts: Tensor, rows: int, mesh: Mesh) -> Tensor:
    """Of parts, the parts of the orthogonal matrices. In float32 on processors: then losses do not depend on their number."""
    return over_whole(partial(orthogonal, exact=mesh.device.type == "cpu"), parts, rows, mesh)

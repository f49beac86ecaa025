"""Training by the ranks of a mesh, on sharded weights: what rank 0 does in the place of a crew, and what the others do.

    with Team(mesh, model, work, optim) as team:        rank 0: as train/crew.py
        team.gradients(batches, step); team.step(scale)
    follow(mesh)                                         every other rank, until rank 0 has ended

Rank 0 has the model whole, as every recipe knows it; what is trained are shards of it, a part on each rank (train/part.py). At
the end, and whenever somebody wants to sample from it, the whole one is made again from the shards. A step's batch is the same
whatever the number of ranks, since the source that gives it runs here alone; rows are dealt out, terms are divided by counts of
the whole step, and gradients are summed: so the losses of 1, 2 and 4 ranks differ by rounding and no more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from trueline.cluster.mesh import Mesh
from trueline.models.forked import T, expected, helpers_of
from trueline.models.policy import Computing
from trueline.train import forward, kept
from trueline.train.batch import Batch
from trueline.train.crew import Parts, Work
from trueline.train.described import UntoldError, describe, objective_told
from trueline.train.kept import Kept
from trueline.train.messages import batches_of, packed, rows_of_parts
from trueline.train.optim import Optim
from trueline.train.part import Part, said


class Team:
    """Rank 0's view. Raises UntoldError, before anything is sent, for a model that the others cannot be told of."""

    def __init__(self, mesh: Mesh, model: nn.Module, work: Mapping[str, Work], optim: Optim) -> None:
        self.mesh, self.model, self.part = mesh, model, Part(mesh)
        self.seed = torch.initial_seed()
        self.version, self.synced = 0, dict[tuple[int, str], tuple[int, bool]]()
        self.places: dict[nn.Module, tuple[int, str]] = {}  # which sharded model a module of ours is, and where inside it
        told = {name: (objective_told(objective), weight) for name, (objective, weight) in work.items()}
        self._open(model, describe(model))
        self._all({"do": "prepare", "work": told, "optim": objective_told(optim)})
        helpers_of.update((m, self) for m in (*self.places, *expected) if m not in helpers_of)

    @property
    def count(self) -> int:
        """Ranks beside this one."""
        return len(self.mesh.others)

    def __enter__(self) -> Team:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for model in [m for m, helpers in helpers_of.items() if helpers is self]:
            helpers_of.pop(model, None)
        if error is None:
            self._sync(self.model, everywhere=False)
            self._all({"do": "close"})
            self._whole(back=True)

    def gradients(self, batches: Mapping[str, Batch], step: int, micro_rows: int = 0) -> dict[str, Parts]:
        """As `Crew.gradients`: rows are dealt out by groups."""
        told: dict[str, Any] = {"do": "gradients", "step": step, "seed": self.seed, "idle": {}, "passes": {}}
        told["micro_rows"] = max(1, micro_rows // self.mesh.place.size) if micro_rows else 0
        told["counts"] = {k: {per: max(1.0, b.count(per)) for per in ("token", "row", "group")} for k, b in batches.items()}
        shares: list[dict[str, Batch]] = [{} for _ in range(self.mesh.place.size)]
        for name, batch in batches.items():
            dealt, told["idle"][name] = self._dealt(batch)
            told["passes"][name] = max(share.pieces(told["micro_rows"]) for share in dealt)
            for share, rows in zip(shares, dealt, strict=True):
                share[name] = rows
        for rank in self.mesh.others:
            self.mesh.tell(rank, packed(told, self.model, shares[rank]))
        for ours, twin in zip(self.model.modules(), self.part.twins[0].modules(), strict=True):
            twin.training = ours.training
        found = self.part.gradients(told, shares[0])
        for rank in self.mesh.others:
            for name, values in json.loads(self.mesh.told(rank)).items():
                found[name].add(Parts(**values))
        return found

    def step(self, scale: float) -> float:
        """As `Crew.step`."""
        self.version += 1
        return self._all({"do": "step", "scale": scale})

    def read(self, model: Any, batch: Batch, what: str) -> Tensor:
        """As `Helpers.read`, on shards; a model that is first met here is sharded now, where it can be."""
        if model not in self.places:
            try:
                self._open(model, describe(model))
            except UntoldError:
                helpers_of.pop(model, None)
                return forward.here(model, batch, what)
        index, inside = self.places[model]
        dealt, idle = self._dealt(batch)
        told = {"do": "read", "model": index, "inside": inside, "what": what, "idle": idle}
        told["passes"] = max(share.pieces(max(batch.group, forward.ROWS)) for share in dealt)
        for rank in self.mesh.others:
            self.mesh.tell(rank, packed(told, nn.Identity(), {"": dealt[rank]}))
        outs = [self.part.read(told, dealt[0])]
        outs += [load(self.mesh.told(rank))["found"] for rank in self.mesh.others]
        rows = self._rows(batch)
        found = torch.zeros(batch.tokens.shape, dtype=outs[0].dtype)
        for at, out in zip(rows, outs, strict=True):
            if at is not None:
                found[at, : out.shape[1]] = out
        return found.to(batch.tokens.device)

    def fresh(self, model: nn.Module) -> None:
        """As `Helpers.fresh`: our whole model and everybody's copy of it."""
        self._sync(model, everywhere=True)

    def together(
        self, messages: Mapping[int, bytes], own: Callable[[], T], instead: Callable[[int], T], read: Callable[[bytes], T]
    ) -> list[T]:
        """As `Helpers.together`; a rank that died ends the run."""
        for rank, message in messages.items():
            self.mesh.tell(rank, message)
        return [own(), *(read(self.mesh.told(rank)) for rank in messages)]

    def message(self, told: Mapping[str, Any], model: nn.Module, tensors: Mapping[str, Tensor]) -> bytes:
        """As `Helpers.message`."""
        index, inside = self.places[model]
        return _message({**told, "model": index, "inside": inside}, tensors)

    def save(self, folder: Path, step: int, beside: Mapping[str, Tensor], note: Mapping[str, object]) -> None:
        """As `Crew.save`, every rank its shards; the folder is one that all ranks see."""
        place = kept.begin(folder, beside)
        self._all({"do": "save", "folder": str(place)})
        kept.finish(place, step, note)

    def restore(self, found: Kept) -> None:
        """As `Crew.restore`, from a checkpoint of any number of processes."""
        if found.folder is not None:
            self._all({"do": "load", "folder": str(found.folder)})
        else:
            self._others({"do": "put"})
            self.part.put(found.whole or {})
        self.version += 1

    def _open(self, model: nn.Module, told: Mapping[str, Any]) -> None:
        index = len(self.part.twins)
        self._others({"do": "open", "model": told})
        self.part.open({"model": told}, {**dict(model.named_parameters()), **dict(model.named_buffers())})
        for name, module in model.named_modules():
            if module is model or isinstance(module, Computing):
                self.places[module] = (index, name)
                self.synced[index, name] = (self.version, False)
        if self.mesh.device.type != "cpu":
            model.to("cpu")  # the shards are what is computed with

    def _sync(self, model: nn.Module, everywhere: bool) -> None:
        index, inside = at = self.places[model]
        if index and at in self.synced and self.synced[at][1] >= everywhere:
            return  # it does not learn
        if self.synced.get(at) in ((self.version, True), (self.version, everywhere)):
            return
        told = {"do": "sync", "model": index, "inside": inside, "everywhere": everywhere}
        self._others(told)
        if everywhere:
            model.to(self.mesh.device)
        self.part.sync(told, into=model)
        self.synced[at] = (self.version, everywhere)

    def _whole(self, back: bool) -> None:
        for model in self.places:
            model.to(self.mesh.device)
        self.part.close()

    def _rows(self, batch: Batch) -> list[Tensor | None]:
        """Rows of each rank; None: none."""
        size = self.mesh.place.size
        parts = rows_of_parts(batch, size)
        every = torch.arange(len(batch.tokens))
        return [*(every if rows is None else rows for rows in parts), *[None] * (size - len(parts))]

    def _dealt(self, batch: Batch) -> tuple[list[Batch], list[int]]:
        """Each rank's rows, and the ranks whose rows count for nothing: they are given a group to take part with."""
        rows = self._rows(batch)
        idle = [rank for rank, at in enumerate(rows) if at is None]
        return [batch.take(torch.arange(batch.group) if at is None else at) for at in rows], idle

    def _others(self, told: Mapping[str, Any]) -> None:
        for rank in self.mesh.others:
            self.mesh.tell(rank, _message(told, {}))

    def _all(self, told: Mapping[str, Any]) -> Any:
        """Let every rank do the same; what it came to here."""
        self._others(told)
        return json.loads(_done(self.part, told, {}) or b"null")


def follow(mesh: Mesh) -> None:
    """Do what rank 0 says, until it has ended."""
    part = Part(mesh)
    while (message := mesh.told()) != b"end":
        line, _, body = message.partition(b"\n")
        if (answer := _done(part, json.loads(line), load(body) if body else {})) is not None:
            mesh.tell(0, answer)


def dismiss(mesh: Mesh) -> None:
    """Let the others end: rank 0's last word."""
    for rank in mesh.others:
        mesh.tell(rank, b"end")


def _done(part: Part, told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes | None:
    """What a rank does with a message, and what it answers, if anything."""
    what = told["do"]
    if what == "gradients":
        return json.dumps(said(part.gradients(told, batches_of(told, tensors, part.twins[0])))).encode()
    if what == "read":
        return save({"found": part.read(told, batches_of({**told, "training": ""}, tensors, nn.Identity())[""]).contiguous()})
    if what == "sample":
        return save(part.sample(told, tensors))
    if what == "step":
        norm = part.step(told["scale"])
        return json.dumps(norm).encode() if part.mesh.first else None
    if what in ("save", "load"):
        getattr(part, what)(Path(told["folder"]))
    elif what in ("open", "put"):
        part.open(told, {}) if what == "open" else part.put({})
    elif what == "close":
        part.close() if not part.mesh.first else None
    else:
        getattr(part, {"prepare": "prepare", "sync": "sync"}[what])(told)
    return None


def _message(told: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> bytes:
    return json.dumps(told).encode() + b"\n" + (save(dict(tensors)) if tensors else b"")

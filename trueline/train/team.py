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
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from trueline.cluster.mesh import Mesh
from trueline.core import stopping
from trueline.models.forked import T, expected, helpers_of
from trueline.models.machine import roomy
from trueline.models.policy import Computing
from trueline.train import forward, kept
from trueline.train.batch import Batch
from trueline.train.crew import Parts, Work
from trueline.train.described import UntoldError, describe, settings_told
from trueline.train.kept import Kept
from trueline.train.messages import batches_of, packed, rows_each, rows_of_parts
from trueline.train.optim import Optim
from trueline.train.part import Part, said

Told = Mapping[str, Any]
END = b"end"


class Team:
    """Rank 0's view. Raises UntoldError, before anything is sent, for a model that the others cannot be told of."""

    def __init__(self, mesh: Mesh, model: nn.Module, work: Mapping[str, Work], optim: Optim) -> None:
        self.mesh, self.model, self.part = mesh, model, Part(mesh)
        self.seed = torch.initial_seed()
        self.places: dict[nn.Module, tuple[int, str]] = {}  # which sharded model a module of ours is, and where inside it
        self.version = 0  # of the weights: updates so far
        self.known: dict[nn.Module, int] = {}  # whole models that are as of a version here
        self.known_everywhere: dict[nn.Module, int] = {}  # and that ranks have a copy of, to sample from
        self.hooks: list[RemovableHandle] = []  # whoever calls a whole model meets the weights of now
        told = {name: (settings_told(objective), weight) for name, (objective, weight) in work.items()}
        self._open(model, describe(model))
        if work:
            self._all({"do": "prepare", "work": told, "optim": settings_told(optim)})
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
        for hook in self.hooks:
            hook.remove()
        if error is None:
            self._sync(self.model, everywhere=False)
            self._all({"do": "close"})
            for model in self.places:
                if roomy(self.mesh.device, sum(p.nbytes for p in model.parameters())):
                    model.to(self.mesh.device)

    def gradients(self, batches: Mapping[str, Batch], step: int, micro_rows: int = 0) -> dict[str, Parts]:
        """As `Crew.gradients`: rows are dealt out by groups."""
        told: dict[str, Any] = {"do": "gradients", "step": step, "seed": self.seed, "idle": {}, "passes": {}}
        told["micro_rows"] = rows_each(micro_rows, self.mesh.place.size)
        told["counts"] = {k: {per: max(1.0, b.count(per)) for per in ("token", "row", "group")} for k, b in batches.items()}
        shares: list[dict[str, Batch]] = [{} for _ in range(self.mesh.place.size)]
        for name, batch in batches.items():
            dealt, told["idle"][name] = self._dealt(batch)
            told["passes"][name] = max(share.pieces(told["micro_rows"]) for share in dealt)
            for share, rows in zip(shares, dealt, strict=True):
                share[name] = rows
        for ours, twin in zip(self.model.modules(), self.part.twins[0].modules(), strict=True):
            twin.training = ours.training
        messages = {rank: packed(told, self.model, shares[rank]) for rank in self.mesh.others}
        found, *others = self._meet(told, messages, lambda: self.part.gradients(told, shares[0]), json.loads)
        for other in others:
            for name, values in other.items():
                found[name].add(Parts(**values))
        return found

    def step(self, scale: float) -> float:
        """As `Crew.step`."""
        self.version += 1
        return self._all({"do": "step", "step": self.version, "scale": scale})

    def read(self, model: Any, batch: Batch, reading: forward.Reading, micro_rows: int = 0) -> dict[str, Tensor]:
        """As `Helpers.read`, on shards."""
        if not self._met(model):
            return forward.here(model, batch, reading, micro_rows)
        index, inside = self.places[model]
        batch, rows = batch.to(torch.device("cpu")), rows_each(micro_rows, self.mesh.place.size)
        dealt, idle = self._dealt(batch)
        told = {"do": "read", "model": index, "inside": inside, "reading": settings_told(reading), "idle": idle}
        told |= {"micro_rows": rows, "passes": max(share.pieces(rows or forward.ROWS) for share in dealt)}
        messages = {rank: packed(told, nn.Identity(), {"": dealt[rank]}) for rank in self.mesh.others}
        parts = self._meet(told, messages, lambda: self.part.read(told, dealt[0]), load)
        return forward.merged(batch, self._rows(batch), parts)

    def fresh(self, model: nn.Module, everywhere: bool = True) -> None:
        """As `Helpers.fresh`: our whole model, and everybody's copy of it."""
        if model in self.places or (everywhere and self._met(model)):
            self._sync(model, everywhere)

    def together(
        self, messages: Mapping[int, bytes], own: Callable[[], T], instead: Callable[[int], T], read: Callable[[bytes], T]
    ) -> list[T]:
        """As `Helpers.together`; a rank that died ends the run."""
        return self._meet({"do": "sample"}, messages, own, read)

    def message(self, told: Told, model: nn.Module, tensors: Mapping[str, Tensor]) -> bytes:
        """As `Helpers.message`."""
        index, inside = self.places[model]
        return _message({**told, "model": index, "inside": inside}, tensors)

    def save(self, folder: Path, step: int, beside: Mapping[str, Tensor], note: Mapping[str, object]) -> None:
        """As `Crew.save`, every rank its shards; the folder is one that all ranks see."""
        place = kept.begin(folder, beside)
        self._all({"do": "save", "step": step, "folder": str(place)})
        assert self.part.optimizer is not None
        due = kept.tensors_of(self.part.twins[0], self.part.optimizer)
        kept.finish(place, step, note, {name: tensor.numel() for name, tensor in due.items()})

    def restore(self, found: Kept) -> None:
        """As `Crew.restore`, from a checkpoint of any number of processes."""
        self.version += 1
        if found.folder is not None:
            self._all({"do": "load", "step": found.step, "folder": str(found.folder)})
        else:
            told = {"do": "put", "step": found.step}
            self._meet(told, self._alike(told), lambda: self.part.put(found.whole or {}))

    def _met(self, model: nn.Module) -> bool:
        """Whether ranks have a model: one that is first asked for in training is sharded now, where it can be."""
        if model not in self.places:
            try:
                self._open(model, describe(model))
            except UntoldError:
                helpers_of.pop(model, None)  # from now on it is this process's alone
                return False
        return True

    def _open(self, model: nn.Module, description: Told) -> None:
        told, index = {"do": "open", "model": description}, len(self.part.twins)
        whole = {**dict(model.named_parameters()), **dict(model.named_buffers())}
        self._meet(told, self._alike(told), lambda: self.part.open(told, whole))
        for name, module in model.named_modules():
            if module is model or isinstance(module, Computing):
                self.places[module], self.known[module] = (index, name), self.version
                self.hooks.append(module.register_forward_pre_hook(lambda m, given: self.fresh(m, everywhere=False)))
        if self.mesh.device.type != "cpu":
            model.to("cpu")  # the shards are what is computed with

    def _sync(self, model: nn.Module, everywhere: bool) -> None:
        """Make the whole model anew from its shards, where they have moved since."""
        (index, inside), known = self.places[model], self.known_everywhere if everywhere else self.known
        now = self.version if index == 0 else 0  # only the first model learns
        if known.get(model) == now:
            return
        told = {"do": "sync", "model": index, "inside": inside, "everywhere": everywhere}
        told["standing"] = everywhere and model not in known  # what does not learn is sent once, to who has it not yet
        if everywhere:
            model.to(self.mesh.device)
            self.known_everywhere[model] = now
        self._meet(told, self._alike(told), lambda: self.part.sync(told, into=model))
        self.known[model] = now

    def _rows(self, batch: Batch) -> list[Tensor | None]:
        """Rows of each rank; None: none."""
        size, parts = self.mesh.place.size, rows_of_parts(batch, self.mesh.place.size)
        every = torch.arange(len(batch.tokens))
        return [*(every if rows is None else rows for rows in parts), *[None] * (size - len(parts))]

    def _dealt(self, batch: Batch) -> tuple[list[Batch], list[int]]:
        """Each rank's rows, and the ranks whose rows count for nothing: they are given a group to take part with."""
        rows = self._rows(batch)
        idle = [rank for rank, at in enumerate(rows) if at is None]
        return [batch.take(torch.arange(batch.group) if at is None else at) for at in rows], idle

    def _alike(self, told: Told) -> dict[int, bytes]:
        """The same message for every other rank."""
        return dict.fromkeys(self.mesh.others, _message(told, {}))

    def _all(self, told: Told) -> Any:
        """Let every rank do the same; what it came to here."""
        return self._meet(told, self._alike(told), lambda: json.loads(_done(self.part, told, {}) or b"null"))[0]

    def _meet(
        self, told: Told, messages: Mapping[int, bytes], own: Callable[[], T], read: Callable[[bytes], T] | None = None
    ) -> list[T]:
        """Send messages, do our own part, and read what others answer, where they do."""
        with self.mesh.at(_named(told)):
            for rank, message in messages.items():
                self.mesh.tell(rank, message)
            return [own(), *(read(self.mesh.told(rank)) for rank in messages if read)]


@contextmanager
def reading(mesh: Mesh, model: nn.Module) -> Iterator[None]:
    """In here, before training or after, what `model` says of batches (train/forward.py) is read by all ranks, on shards."""
    with ExitStack() as stack:
        with suppress(UntoldError):  # then this process reads alone
            stack.enter_context(Team(mesh, model, {}, Optim()))
        yield


def follow(mesh: Mesh) -> None:
    """Do what rank 0 says, until it has ended; SIGTERM, which every rank is told, is for rank 0 to act upon."""
    part = Part(mesh)
    with stopping.put_off():
        while (message := mesh.told()) != END:
            line, _, body = message.partition(b"\n")
            told = json.loads(line)
            with mesh.at(_named(told)):
                if (answer := _done(part, told, load(body) if body else {})) is not None:
                    mesh.tell(0, answer)


def dismiss(mesh: Mesh) -> None:
    """Let the others end: rank 0's last word."""
    for rank in mesh.others:
        mesh.tell(rank, END)


def _done(part: Part, told: Told, tensors: Mapping[str, Tensor]) -> bytes | None:
    """What a rank does with a message, and what it answers, if anything."""
    match told["do"]:
        case "gradients":
            return json.dumps(said(part.gradients(told, batches_of(told, tensors, part.twins[0])))).encode()
        case "read":
            (batch,) = batches_of({**told, "training": ""}, tensors, nn.Identity()).values()
            return save(part.read(told, batch))
        case "sample":
            return save(part.sample(told, tensors))
        case "step":
            norm = part.step(told["scale"])
            return json.dumps(norm).encode() if part.mesh.first else None
        case "save" | "load" as what:
            getattr(part, what)(Path(told["folder"]))
        case "open":
            part.open(told, {})
        case "put":
            part.put({})
        case "prepare":
            part.prepare(told)
        case "sync":
            part.sync(told)
        case "close":
            part.close()
    return None


def _message(told: Told, tensors: Mapping[str, Tensor]) -> bytes:
    return json.dumps(told).encode() + b"\n" + (save(dict(tensors)) if tensors else b"")


def _named(told: Told) -> str:
    """What the watchdog calls an operation."""
    return f"{told['do']} of step {told['step']}" if "step" in told else str(told["do"])
